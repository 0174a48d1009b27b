"""Pipfile and Pipfile.lock (pipenv)."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from leman.environments.detect.codes import finding
from leman.environments.detect.poetry import package_table, rows, table
from leman.environments.detect.reading import PythonWanted
from leman.environments.detect.specifiers import python_specifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item
    from leman.environments.detect.tree import Tree


def read_pipfile(tree: Tree, name: str) -> Iterator[Item]:
    """Yield what a Pipfile says, its development packages last."""
    text, value, found = read_toml(tree, name)
    yield from found
    yield from _python(table(value, "requires"), name)
    for section in ("packages", "dev-packages"):
        yield from package_table(name, text, table(value, section))
    for source in rows(value.get("source"))[1:]:
        address = source.get("url") if isinstance(source, dict) else source
        yield finding("option-not-used", name, f"the package index {address!s} is not used")


def read_pipfile_lock(tree: Tree, name: str) -> Iterator[Item]:
    """Yield the exact versions of a Pipfile.lock, its development packages last."""
    text, found = tree.read(name)
    yield from found
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        yield finding("unreadable-file", name, f"{name} is no valid JSON: {error}")
        return
    yield from _python(table(value, "_meta", "requires"), name)
    for section in ("default", "develop"):
        yield from package_table(name, text or "", table(value, section))


def _python(requires: dict[str, Any], name: str) -> Iterator[Item]:
    for key in ("python_version", "python_full_version"):
        text = requires.get(key)
        if isinstance(text, str) and (wanted := python_specifier(text)):
            yield PythonWanted(wanted, name)
            return


def read_toml(tree: Tree, name: str) -> tuple[str, dict[str, Any], list[Item]]:
    """Return a TOML file's text and content; a broken one is empty and has a finding."""
    text, found = tree.read(name)
    seen: list[Item] = list(found)
    if text is None:
        return "", {}, seen
    try:
        return text, tomllib.loads(text), seen
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        seen.append(finding("unreadable-file", name, f"{name} is no valid TOML: {error}"))
        return text, {}, seen
