"""How long a user waits for `leman --help`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.measuring import Clock, machine, verdict, write

LEMAN = str(Path(sys.executable).with_name("leman"))


def main(rounds: int = 21) -> None:
    """Measure, write the section."""
    helped, bare = Clock(), Clock()
    for _ in range(rounds):
        with helped.run():
            subprocess.run([LEMAN, "--help"], stdout=subprocess.DEVNULL, check=True)
        with bare.run():
            subprocess.run([sys.executable, "-c", "pass"], check=True)
    good = verdict(helped.median, 0.3, at_least=False)
    write(
        "help",
        "`leman --help`",
        [
            f"{helped.text(processor=True)}; of it Python alone {bare.text(processor=True)}.",
            f"Target ≤ 0.3 s: {good}.",
            "",
            f"{machine('click')}.",
        ],
    )


if __name__ == "__main__":
    main()
