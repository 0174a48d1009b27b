"""What `leman publish` takes besides running: pack, describe, seal, sign, show."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import Clock, machine, verdict, write

LEMAN = str(Path(sys.executable).with_name("leman"))
EXAMPLE = str(Path(__file__).parents[1] / "examples" / "sunspots-and-co2")


def main(rounds: int = 7) -> None:
    """Publish the example with the report of one run, several times; write the section."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = str(folder / "report")
        run = [LEMAN, "run", EXAMPLE, "--twice", "--output", report]
        subprocess.run(run, capture_output=True, check=True)
        for number in range(rounds):
            command = [LEMAN, "publish", EXAMPLE, "--report", report, "--timestamp", "own"]
            with clock.run():
                subprocess.run(
                    [*command, "-o", str(folder / str(number))], capture_output=True, check=True
                )
    good = verdict(clock.median, 2.0, at_least=False)
    write(
        "publish",
        "`leman publish` of the example project, besides running",
        [
            f"{clock.text(processor=True)}, the start of Python, signature and an own time stamp",
            f"included. Target ≤ 2 s: {good}.",
            "",
            f"{machine('rocrate', 'rfc3161-client')}.",
        ],
    )


if __name__ == "__main__":
    main()
