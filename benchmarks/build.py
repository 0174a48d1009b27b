"""An environment of 45 packages: leman's builder against `python -m venv` and pip.

Both install the same versions with the same hashes from the same index, in turn, in one run.
Cold: nothing was downloaded before. Warm: leman has the downloads in its cache, and pip, at its
best, all wheels in a folder, so that it asks no server. leman leaves bytecode to
the first import, pip compiles everything; leman with the bytecode of what notebooks import, as
`leman run` has it done, is measured as well.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import Clock, machine, verdict, write
from leman.config import settings
from leman.environments.build import UvBuilder
from leman.environments.holds import let_go
from leman.environments.index import Index
from leman.environments.model import Lock, Want
from leman.environments.pythons import interpreters
from leman.environments.uv import Uv
from leman.files import remove_tree, size_of
from leman.reproduction.run import isolate
from leman.reproduction.workshop import open_workshop

if TYPE_CHECKING:
    from leman.environments.model import Interpreter

WANTS = ("numpy==1.24.3", "scipy", "matplotlib", "pandas", "ipykernel")
CUTOFF = date(2023, 6, 1)
IMPORTS = ("matplotlib.pyplot", "numpy", "pandas", "scipy.optimize")


def locked(python: Interpreter) -> tuple[Lock, str]:
    """Return the lock to install, and the index that it was made from."""
    wants = []
    for text in WANTS:
        name, equal, pin = text.partition("==")
        wants.append(Want(name, equal + pin, origin="declared", evidence="benchmark"))
    workshop = open_workshop(settings(), isolate("auto"))
    lock = workshop.builder.lock(tuple(wants), python=python, cutoff=CUTOFF)
    return lock, workshop.builder.index.url


def builder(folder: Path, address: str) -> UvBuilder:
    """Return a builder with an empty cache and no environment, all in `folder`."""
    uv = Uv(folder / "cache", settings().index_url)
    return UvBuilder(folder / "environments", uv, uv, Index(address, folder / "index"))


def requirements(lock: Lock) -> str:
    """Return the same lock as pip reads it: versions with the hashes of all files."""
    lines = []
    for entry in tomllib.loads(lock.text)["packages"]:
        files = [*entry.get("wheels", ()), *filter(None, [entry.get("sdist")])]
        hashes = " ".join(f"--hash=sha256:{one['hashes']['sha256']}" for one in files)
        lines.append(f"{entry['name']}=={entry['version']} {hashes}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Pip:
    """`python -m venv` and pip on the same index; `wheels` is filled once, for the warm case."""

    python: Path
    wanted: Path
    folder: Path
    address: str

    def make(self, *options: str) -> None:
        """Make an environment as most people do, with an empty cache of downloads.

        The one before is moved away, not removed: that takes time, and makes ext4 slow afterwards.
        """
        if self.folder.exists():
            self.folder.rename(tempfile.mkdtemp(dir=self.folder.parent))
        subprocess.run([self.python, "-m", "venv", self.folder / "environment"], check=True)
        self.run("install", "--require-hashes", *options)

    def run(self, verb: str, *options: str) -> None:
        """Run pip in that environment, without the settings of this machine."""
        own = {"PIP_CONFIG_FILE": os.devnull, "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
        own |= {"PIP_INDEX_URL": self.address, "PIP_CACHE_DIR": str(self.folder / "cache")}
        python = str(self.folder / "environment/bin/python")
        quiet = ("--no-deps", "--disable-pip-version-check", "--quiet")
        subprocess.run(
            [python, "-m", "pip", verb, *quiet, *options, "-r", str(self.wanted)],
            check=True,
            env={**os.environ, **own},
        )


def forget(built: UvBuilder) -> None:
    """Remove the environments of a builder, keep its cache."""
    for path in built.home.glob("[0-9a-f]*"):
        let_go(path)
    remove_tree(built.home)


def main(rounds: int = 3) -> None:
    """Measure in turn, write the section."""
    python = next((one for one in interpreters() if one.minor == "3.8"), interpreters()[-1])
    names = ("cold", "warm", "warm with bytecode", "found", "pip cold", "pip warm")
    clocks = {name: Clock() for name in names}
    with tempfile.TemporaryDirectory(dir=settings().home.parent) as name:
        folder = Path(name)
        lock, address = locked(python)
        (folder / "requirements.txt").write_text(requirements(lock))
        pip = Pip(python.path, folder / "requirements.txt", folder / "pip", address)
        wheels = str(folder / "wheels")
        added = 0
        for number in range(rounds):
            with clocks["pip cold"].run():
                pip.make()
            if not number:
                pip.run("download", "--dest", wheels)
            own = builder(folder / f"leman-{number}", address)
            with clocks["cold"].run():
                own.install(lock)
            for _ in range(3):
                forget(own)
                with clocks["warm"].run():
                    own.install(lock)
            with clocks["found"].run():
                own.install(lock)
            before = size_of(folder)
            further = replace(own, home=folder / "further")
            further.install(lock)
            added = size_of(folder) - before
            for one in (further, own):
                forget(one)
            with clocks["warm with bytecode"].run():
                own.install(replace(lock, imports=IMPORTS))
            forget(own)
            with clocks["pip warm"].run():
                pip.make("--no-index", "--find-links", wheels)
    report(clocks, lock, added)


def report(clocks: dict[str, Clock], lock: Lock, added: int) -> None:
    """Write the table."""
    cold = clocks["pip cold"].median / clocks["cold"].median
    warm = clocks["pip warm"].median / clocks["warm"].median
    byte = clocks["pip warm"].median / clocks["warm with bytecode"].median
    found = clocks["pip warm"].median / clocks["found"].median
    pip = subprocess.run(
        [lock.python.path, "-m", "pip", "--version"], capture_output=True, text=True, check=False
    ).stdout.split()[1:2]
    text = {name: clock.text(processor=True) for name, clock in clocks.items()}
    good = {
        "cold": verdict(cold, 20, at_least=True),
        "warm": verdict(warm, 50, at_least=True),
        "added": verdict(added / 1e6, 10, at_least=False),
    }
    rows = [
        ("cold: nothing downloaded before", text["cold"], text["pip cold"], f"{cold:.1f}"),
        ("warm: everything was downloaded", text["warm"], text["pip warm"], f"{warm:.1f}"),
        ("warm, with bytecode", text["warm with bytecode"], text["pip warm"], f"{byte:.1f}"),
        ("the same lock again", text["found"], text["pip warm"], f"{found:.0f}"),
    ]
    targets = [f"≥ 20: {good['cold']}", f"≥ 50: {good['warm']}", "", ""]
    intro = (
        f"Python {lock.python.version}, packages as of {CUTOFF}: {', '.join(WANTS)} and what they"
        " need. The other side: `python -m venv` + `pip install --no-deps --require-hashes` of the"
        " same versions, warm with `--no-index --find-links` a folder of wheels. pip compiles all"
        " bytecode; leman leaves it to the first import, except (with bytecode) what notebooks"
        f" import, here {', '.join(IMPORTS)}."
    )
    write(
        "build",
        f"An environment of {len(lock.packages)} packages",
        [
            intro,
            "",
            "| | leman | venv + pip | times as fast | target |",
            "|---|---|---|---|---|",
            *(
                "| " + " | ".join((*row, target)) + " |"
                for row, target in zip(rows, targets, strict=True)
            ),
            "",
            f"One more environment adds {added / 1e6:.1f} MB (target ≤ 10: {good['added']}).",
            "",
            f"{machine('uv')}; pip {''.join(pip) or '?'}.",
        ],
    )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    main(arguments.parse_args().rounds)
