"""What the machine lacks: by an error's text, or by the system packages that a source lists."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).parent / "data" / "system.tsv"
_LIBRARY = re.compile(r"(lib[\w.+-]+?\.so[.\d]*): cannot open shared object file")


def system_package_for(text: str) -> tuple[str, str] | None:
    """Return (what is missing, Debian packages) for the text of an error, or None.

    Several packages are separated by spaces. A shared library that the table does not know gives
    its name and an empty string.
    """
    library = _LIBRARY.search(text)
    if library is not None:
        return _first(library.group(1)) or (library.group(1), "")
    return _first(text)


def missing_packages(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the Debian packages of `names` that are not installed; None where dpkg cannot say.

    A package that an installed one provides (a virtual or renamed one) counts as installed.
    """
    installed = _installed()
    return None if installed is None else tuple(one for one in names if one not in installed)


@cache
def _installed() -> frozenset[str] | None:
    program = shutil.which("dpkg-query")
    if program is None:
        return None
    form = "${Package}\t${db:Status-Status}\t${Provides}\n"
    try:
        done = subprocess.run(
            [program, "-W", "-f", form], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    found: set[str] = set()
    for line in done.stdout.splitlines():
        name, status, provided = [*line.split("\t"), "", ""][:3]
        if status == "installed":
            found |= {name, *re.findall(r"([a-z0-9][a-z0-9+.-]+)(?:\s*\([^)]*\))?", provided)}
    return frozenset(found)


def _first(text: str) -> tuple[str, str] | None:
    for what, packages, pattern in _rules():
        if re.search(pattern, text):
            return what, packages
    return None


@cache
def _rules() -> tuple[tuple[str, str, str], ...]:
    lines = _TABLE.read_text("utf-8").splitlines()[1:]
    return tuple((what, packages, pattern) for what, packages, pattern in map(_split, lines))


def _split(line: str) -> tuple[str, str, str]:
    what, packages, pattern = line.split("\t")
    return what, packages, pattern
