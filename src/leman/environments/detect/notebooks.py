"""What notebooks themselves declare: PEP 723 blocks, install magics and install commands."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

from leman.environments.detect.codes import finding
from leman.environments.detect.commands import installs
from leman.environments.detect.poetry import rows, table
from leman.environments.detect.reading import PythonWanted
from leman.environments.detect.requirements import requirement_line
from leman.environments.detect.specifiers import python_specifier
from leman.environments.detect.tree import LARGEST_NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item
    from leman.environments.detect.tree import Tree

_MOST_LINE = 8_000  # characters
# The reference expression of PEP 723 ("Inline script metadata", reference implementation).
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_SHELL_CELL = re.compile(r"^\s*%%(?:bash|sh|script\s+(?:bash|sh)|system|!)\b.*\n")
_FOREIGN_CELL = re.compile(r"^\s*%%(?!capture|time|timeit|prun|bash|sh\b|script|system|!)\w+")
_MAGIC = re.compile(r"^\s*(?:[%!]{1,2}|(?:\w+\s*=\s*)[%!])\s*(.+)$")
_BARE = re.compile(r"^\s*((?:pip[3]?|conda|mamba)\s+install\s+.+)$")
_CALL = re.compile(
    r"(?:\bsystem|\bgetoutput|\bcheck_call|\bcheck_output|\brun|\bcall|\bPopen|\bpopen)"
    r"\(\s*[rf]*(['\"])((?:(?!\1).)*\binstall\b(?:(?!\1).)*)\1"
)
_LINE_MAGIC = re.compile(r"run_line_magic\(\s*['\"](\w+)['\"]\s*,\s*(['\"])((?:(?!\2).)*)\2")
_LIST = re.compile(r"\[([^\[\]]*?['\"]pip[3]?['\"]\s*,\s*['\"]install['\"][^\[\]]*)\]")
_PIP_MAIN = re.compile(r"\bmain\(\s*\[\s*(['\"]install['\"][^\[\]]*)\]")


def read_notebook(tree: Tree, name: str) -> Iterator[Item]:
    """Yield what a notebook's code cells declare; origins are ``name:cell N``, N from 0."""
    notebook, found = load_notebook(tree, name)
    yield from found
    for number, source in code_cells(notebook):
        if "install" in source or "# /// script" in source:
            yield from cell_items(tree, name, source, f"{name}:cell {number}")


def load_notebook(tree: Tree, name: str) -> tuple[dict[str, Any], list[Item]]:
    """Return a notebook's JSON; an unreadable one is empty and has a finding."""
    text, found = tree.read(name, largest=LARGEST_NOTEBOOK)
    seen: list[Item] = list(found)
    if text is None:
        return {}, seen
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        value = None
        seen.append(
            finding("notebook-unreadable", name, f"{name} is no valid JSON: {str(error)[:160]}")
        )
    return (value if isinstance(value, dict) else {}), seen


def cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a notebook's cells, also of format 3 (cells in worksheets)."""
    sheets = [sheet for sheet in rows(notebook.get("worksheets")) if isinstance(sheet, dict)]
    for holder in [notebook, *sheets]:
        yield from (cell for cell in rows(holder.get("cells")) if isinstance(cell, dict))


def code_cells(notebook: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield the number (from 0, all cells counted) and source of each code cell."""
    for number, cell in enumerate(cells(notebook)):
        if cell.get("cell_type") in ("code", None):
            yield number, joined(cell.get("source", cell.get("input", "")))


def joined(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """Return multi-line text of the notebook format: a text or a list of texts."""
    if isinstance(value, str):
        return value
    return "".join(part for part in rows(value) if isinstance(part, str))


def cell_items(tree: Tree, name: str, source: str, origin: str) -> Iterator[Item]:
    """Yield what one code cell declares."""
    yield from _script_block(tree, name, source, origin)
    if _SHELL_CELL.match(source):
        body = _SHELL_CELL.sub("", source)
        for line in _joined_lines(body):
            if not line.lstrip().startswith("#"):
                yield from installs(tree, name, line, origin)
        return
    if _FOREIGN_CELL.match(source):
        return
    for line in _joined_lines(source):
        if not line.lstrip().startswith("#"):
            yield from _line(tree, name, line, origin)
    for match in _LIST.finditer(_without_comments(source)):
        yield from installs(tree, name, _as_command(match[1]), origin)
    for match in _PIP_MAIN.finditer(_without_comments(source)):
        yield from installs(tree, name, "pip " + _as_command(match[1]), origin)


def _line(tree: Tree, name: str, line: str, origin: str) -> Iterator[Item]:
    if match := _MAGIC.match(line):
        # A shell reads #egg= and version signs as they stand; {sys.executable} is a Python.
        yield from installs(tree, name, re.sub(r"\{[^}]*executable\}", "python", match[1]), origin)
    elif match := _BARE.match(line):
        yield from installs(tree, name, match[1], origin)
    else:
        for match in _CALL.finditer(line):
            yield from installs(tree, name, re.sub(r"\{[^}]*\}", "python", match[2]), origin)
        for match in _LINE_MAGIC.finditer(line):
            yield from installs(tree, name, f"{match[1]} {match[3]}", origin)


def _as_command(items: str) -> str:
    """Return the quoted words of a Python list as a command line."""
    words = [match[2] for match in re.finditer(r"(['\"])(.*?)\1", items)]
    return " ".join(f"'{word}'" if re.search(r"[<>=\s]", word) else word for word in words)


def _joined_lines(source: str) -> list[str]:
    """Return a cell's logical lines; those as long as only data is are left out."""
    lines = re.sub(r"\\[ \t]*\n", " ", source).splitlines()
    return [line for line in lines if len(line) <= _MOST_LINE]


def _without_comments(source: str) -> str:
    lines = (line for line in source.splitlines() if len(line) <= _MOST_LINE)
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def _script_block(tree: Tree, name: str, source: str, origin: str) -> Iterator[Item]:
    for match in _BLOCK.finditer(source.replace("\r\n", "\n") + "\n"):
        if match["type"] != "script":
            continue
        content = "".join(
            line[2:] if line.startswith("# ") else line[1:]
            for line in match["content"].splitlines(keepends=True)
        )
        try:
            value = tomllib.loads(content)
        except tomllib.TOMLDecodeError as error:
            yield finding("unreadable-file", origin, f"the script block is no valid TOML: {error}")
            continue
        python = value.get("requires-python")
        if isinstance(python, str) and (wanted := python_specifier(python)):
            yield PythonWanted(wanted, origin)
        for wish in rows(value.get("dependencies")):
            if isinstance(wish, str):
                yield from requirement_line(tree, name, wish, origin)
        newer = table(value, "tool", "uv").get("exclude-newer")
        if newer:
            yield finding(
                "option-not-used", origin, f"the date {newer} of the script block is not used"
            )
