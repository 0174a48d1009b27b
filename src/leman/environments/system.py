"""From an error's text to what the machine lacks: a shared library, a program, a compiler."""

from __future__ import annotations

import re
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
