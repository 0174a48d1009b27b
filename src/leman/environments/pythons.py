"""The CPythons of this machine, and what to do where the right one is missing."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from leman.environments.model import Interpreter
from leman.errors import NoPythonError

# First releases of the minor versions (python.org), for what existed at a date.
RELEASED = {
    "3.6": "2016-12-23",
    "3.7": "2018-06-27",
    "3.8": "2019-10-14",
    "3.9": "2020-10-05",
    "3.10": "2021-10-04",
    "3.11": "2022-10-24",
    "3.12": "2023-10-02",
    "3.13": "2024-10-07",
    "3.14": "2025-10-07",
    "3.15": "2026-10-01",
}
MINORS = tuple(RELEASED)
_VERSION = re.compile(r"^(\d+\.\d+\.\d+)$")


def key(minor: str) -> tuple[int, ...]:
    """Return a minor version as numbers, so that 3.10 comes after 3.9."""
    return tuple(int(part) for part in minor.split("."))


def interpreters(folders: tuple[Path, ...] = ()) -> tuple[Interpreter, ...]:
    """Return one interpreter per minor version, newest patch first found, oldest minor first.

    Order is policy: folders that the user named, then pyenv and uv-managed installations (whole
    and relocatable), then PATH (a distribution's Python may lack venv or headers), then the one
    that runs leman itself.
    """
    found: dict[str, Interpreter] = {}
    for origin, path in _candidates(folders):
        first = found.get(path.name.removeprefix("python"))
        if first and first.origin != origin:
            continue  # to start a Python that would not be taken costs time
        version = _version_of(path)
        if version is None:
            continue
        one = Interpreter(version, path, origin)
        known = found.get(one.minor)
        if one.minor in RELEASED and (
            known is None or (known.origin == origin and key(known.version) < key(version))
        ):
            found[one.minor] = one
    return tuple(found[minor] for minor in sorted(found, key=key))


def choose(pythons: tuple[str, ...], available: tuple[Interpreter, ...]) -> tuple[Interpreter, ...]:
    """Return the interpreters for the wanted minor versions that this machine has, in order.

    Raises NoPythonError, naming the versions and how to get one, if it has none of them.
    """
    by_minor = {one.minor: one for one in available}
    chosen = tuple(by_minor[minor] for minor in pythons if minor in by_minor)
    if not chosen:
        have = ", ".join(by_minor) or "none"
        wanted = " or ".join(pythons) or "?"
        first = pythons[0] if pythons else "3.11"
        raise NoPythonError(
            f"this source needs Python {wanted}; this machine has {have}",
            hint=f"Get it with `uv python install {first}` or `pyenv install {first}`,"
            " or choose another with --python.",
        )
    return chosen


def nearest(pythons: tuple[str, ...], available: tuple[Interpreter, ...]) -> tuple[str, ...]:
    """Return the minors of this machine by their distance from the first wanted one."""
    target = key(pythons[0])[1]
    minors = [one.minor for one in available]
    return tuple(sorted(minors, key=lambda minor: (abs(key(minor)[1] - target), -key(minor)[1])))


def _candidates(folders: tuple[Path, ...]) -> list[tuple[str, Path]]:
    home = Path.home()
    places = [("settings", folder) for folder in folders]
    pyenv = _root_of_pyenv(home)
    places += [("pyenv", path) for path in sorted((pyenv / "versions").glob("*/bin"))]
    managed = home / ".local/share/uv/python"
    places += [("uv", path) for path in sorted(managed.glob("cpython-*/bin"))]
    found = []
    for origin, place in places:
        for folder in (place, place / "bin"):
            found += [(origin, path) for path in sorted(folder.glob("python3.[0-9]*"))]
    found += [
        ("PATH", folder / f"python{minor}")
        for folder in (Path("/usr/local/bin"), Path("/usr/bin"))
        for minor in MINORS
    ]
    found.append(("leman", Path(sys.executable).resolve()))
    exact = re.compile(r"^python3\.\d+$")
    return [
        (origin, path)
        for origin, path in found
        if (exact.match(path.name) or origin == "leman") and path.is_file()
    ]


def _root_of_pyenv(home: Path) -> Path:
    shim = next((path for path in map(Path, sys.path) if ".pyenv" in path.parts), None)
    if shim is None:
        return home / ".pyenv"
    return Path(*shim.parts[: shim.parts.index(".pyenv") + 1])


@lru_cache(maxsize=256)
def _version_of(path: Path) -> str | None:
    if path == Path(sys.executable).resolve():
        return platform.python_version()
    folder = path.resolve().parent.parent.name
    for part in folder.split("-"):  # ~/.pyenv/versions/3.8.18 and cpython-3.8.18-linux-…
        match = _VERSION.match(part)
        if match:
            return match[1]
    try:
        done = subprocess.run(
            [str(path), "-I", "-c", "import platform; print(platform.python_version())"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.match(done.stdout.strip())
    return match[1] if match else None
