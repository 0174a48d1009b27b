"""What a README says about its environment: hints of the lowest rank."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement

from leman.environments.detect.commands import installs
from leman.environments.detect.specifiers import lenient, python_specifier
from leman.environments.detect.tree import Tree
from leman.environments.model import Requirement
from leman.environments.names import is_known

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAMES = re.compile(
    r"(?i)^read_?me(?:\.(?:md|rst|txt|markdown|ipynb))?$|^install(?:ation)?\.(?:md|rst|txt)$"
)
_COMMAND = re.compile(
    r"^(?:[$>%!#]|\(\w+\)\s*\$?|[-*+]|[0-9]+[.)])?\s*`?((?:(?:sudo|python3?\s+-m)\s+)?"
    r"(?:pip3?|conda|mamba|uv\s+pip)\s+(?:install|create)\s[^`]*)`?\s*$"
)
_FILES = re.compile(r"(?:-r|--requirement|-f|--file)[\s=]+\S+")  # read as files, by declared()
_PYTHON = re.compile(
    r"(?i)\bpython\s*(?:version)?\s*[:=(]?\s*(>=|==|=|>|≥|~=|\^|v)?\s*([23]\.[0-9]{1,2})(?:\.[0-9x*]+)?"
    r"(\s*\+|\s+(?:or|and)\s+(?:higher|above|later|newer|greater|up))?"
)
_LISTED = re.compile(
    r"^\s*[-*+|]\s*[`*_\[]*([A-Za-z][\w-]*)[`*_\]]*(?:\([^)]*\))?\s*[:|,(]?\s*"
    r"(?:(==|>=)\s*|v(?:ersion)?\.?\s*)?([0-9]+\.[0-9]+[\w.]*)\)?\s*(?:$|[|,;\)])"
)


def readme_hints(root: Path) -> tuple[Requirement, ...]:
    """Return packages that a README's install commands and version lists name.

    Weak: use only a version, and only where nothing else states one. Origins are ``README.md:12``.
    """
    return tuple(item for item in _items(root) if isinstance(item, Requirement))


def readme_python(root: Path) -> tuple[str, str]:
    """Return the Python that a README mentions first, as (PEP 440 specifier, ``file:line``).

    Both are empty where none is mentioned.
    """
    for name, number, line in _lines(root):
        if match := _PYTHON.search(line):
            at_least = match[1] in (">=", ">", "≥", "^") or match[3]
            specifier = f">={match[2]}" if at_least else python_specifier(match[2])
            return specifier, f"{name}:{number}"
    return "", ""


def _items(root: Path) -> Iterator[object]:
    tree = Tree(root, ())
    for name, number, line in _lines(root):
        origin = f"{name}:{number}"
        if match := _COMMAND.match(line.strip()):
            yield from installs(tree, name, _FILES.sub("", match[1]), origin)
        elif (match := _LISTED.match(line)) and is_known(match[1].lower()):
            with suppress(InvalidRequirement):
                wish = f"{match[1]}{match[2] or '=='}{match[3].rstrip('.')}"
                yield from list(lenient(wish, origin))


def _lines(root: Path) -> Iterator[tuple[str, int, str]]:
    tree = Tree(root, ())
    try:
        names = sorted(path.name for path in root.iterdir() if _NAMES.match(path.name))
    except OSError:
        return
    for name in names:
        text, _ = tree.read(name)
        for number, line in enumerate((text or "").splitlines(), 1):
            if len(line) < 1_000:
                yield name, number, line
