"""Locks: poetry.lock, uv.lock and pylock.toml (PEP 751)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from leman.environments.detect.pipfile import read_toml
from leman.environments.detect.poetry import rows, table
from leman.environments.detect.reading import Dropped, PythonWanted
from leman.environments.detect.specifiers import python_specifier, requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item
    from leman.environments.detect.tree import Tree


def read_lock(tree: Tree, name: str) -> Iterator[Item]:
    """Yield the exact versions of a lock written in TOML.

    A package that is locked twice (for several Pythons) comes with the markers that tell which.
    """
    text, value, found = read_toml(tree, name)
    yield from found
    python = value.get("requires-python") or table(value, "metadata").get("python-versions")
    if isinstance(python, str) and (wanted := python_specifier(python)):
        yield PythonWanted(wanted, name)
    numbers = _starts(text)
    entries = rows(value.get("packages")) or rows(value.get("package"))
    for position, entry in enumerate(entries):
        line = numbers[position] if position < len(numbers) else 1
        if isinstance(entry, dict):
            yield from _package(entry, f"{name}:{line}")


def _starts(text: str) -> list[int]:
    return [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if re.match(r"^\[\[packages?\]\]", line)
    ]


def _package(entry: dict[str, Any], origin: str) -> Iterator[Item]:
    called, version = str(entry.get("name", "")), entry.get("version")
    source = table(entry, "source")
    local = {"editable", "virtual", "directory", "path"} & (source.keys() | entry.keys())
    if local or source.get("type") in ("directory", "file"):
        return  # the repository's own package: found by its pyproject.toml
    url = _git(entry, source)
    if url:
        yield Dropped("direct-address", f"{called} ({url})")
    yield from requirement(
        called,
        f"=={version}" if isinstance(version, str) and not url else "",
        marker=_marker(entry),
        url=url,
        origin=origin,
    )


def _marker(entry: dict[str, Any]) -> str:
    for key in ("marker", "markers"):
        if isinstance(found := entry.get(key), str):
            return found
    markers = [one for one in rows(entry.get("resolution-markers")) if isinstance(one, str)]
    return " or ".join(f"({one})" for one in markers) if len(markers) > 1 else "".join(markers)


def _git(entry: dict[str, Any], source: dict[str, Any]) -> str:
    if source.get("type") == "git":  # poetry
        return f"git+{source.get('url')}@{source.get('resolved_reference') or ''}".rstrip("@")
    if isinstance(git := source.get("git"), str):  # uv: https://…?rev=main#<commit>
        address, _, commit = git.partition("#")
        return f"git+{address.split('?')[0]}" + (f"@{commit}" if commit else "")
    vcs = table(entry, "vcs")  # PEP 751
    if vcs.get("type") == "git" and isinstance(vcs.get("url"), str):
        return f"git+{vcs['url']}@{vcs.get('commit-id', '')}".rstrip("@")
    return ""
