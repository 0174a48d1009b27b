"""environment.yml, conda-lock.yml and pixi's tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from leman.environments.detect.codes import finding
from leman.environments.detect.condaspec import conda_items, conda_package
from leman.environments.detect.reading import Channel, Variable
from leman.environments.detect.requirements import requirement_line
from leman.environments.detect.specifiers import requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item
    from leman.environments.detect.tree import Tree

# Every scalar stays text, so that python=3.10 is not 3.1; nothing but text, lists and tables is
# ever constructed, and aliases are shared rather than copied.
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_CONFLICT = re.compile(r"^(?:<{7}|\|{7}|={7}|>{7})")


def read_environment(tree: Tree, name: str) -> Iterator[Item]:
    """Yield what a conda environment file says."""
    text, found = tree.read(name)
    yield from found
    if text is None:
        return
    value, seen = load(name, text)
    yield from seen
    if isinstance(value, dict) and isinstance(value.get("dependencies"), list):
        yield from _environment(tree, name, text, value)
    elif seen:
        yield from _line_by_line(tree, name, text)
    elif value:
        yield finding(
            "unreadable-file", name, f"{name} has no list called dependencies; nothing was read"
        )


def is_environment(text: str) -> bool:
    """Say whether a YAML text looks like a conda environment, without parsing it."""
    return bool(
        re.search(r"^dependencies\s*:", text, re.MULTILINE)
        and re.search(
            r"^(?:channels|name|prefix)\s*:|^\s*-\s*(?:\S+::)?(?:python|pip)\b", text, re.MULTILINE
        )
    )


def load(name: str, text: str) -> tuple[Any, list[Item]]:
    """Parse YAML; a broken text is repaired (tabs, merge conflicts) or given up with a finding."""
    if too_deep(text):
        seen = finding("unreadable-file", name, f"{name} is nested deeper than any environment")
        return None, [seen]
    try:
        return yaml.load(text, Loader=_LOADER), []  # noqa: S506 - constructs text, lists, tables
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        first = str(error).replace("\n", " ")[:200]
    try:
        value = yaml.load(_repaired(text), Loader=_LOADER)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError):
        return None, [finding("unreadable-file", name, f"{name} is no valid YAML: {first}")]
    return value, [
        finding(
            "repaired-file",
            name,
            f"{name} holds tabs or the marks of a merge conflict; it was read without them, the"
            " first of two conflicting halves kept",
        )
    ]


def too_deep(text: str) -> bool:
    """Say whether a text nests so deep that libyaml would exhaust the stack of this process."""
    if re.search(r"(?:[-?:]\s+){50}", text):
        return True
    depth = 0
    for match in re.finditer(r"[\[{]+|[\]}]+", text):
        depth = max(0, depth + (1 if match[0][0] in "[{" else -1) * len(match[0]))
        if depth > 200:
            return True
    return False


def _repaired(text: str) -> str:
    kept, other_half = [], False
    for line in text.splitlines():
        if mark := _CONFLICT.match(line):
            other_half = mark[0][0] in "=|" or (other_half and mark[0][0] != ">")
        elif not other_half:
            kept.append(line.replace("\t", "  ").rstrip())
    return "\n".join(kept)


def _environment(tree: Tree, name: str, text: str, value: dict[Any, Any]) -> Iterator[Item]:
    channels = value.get("channels")
    for channel in channels if isinstance(channels, list) else []:
        if isinstance(channel, str):
            yield Channel(channel)
    variables = value.get("variables")
    for key, content in (variables if isinstance(variables, dict) else {}).items():
        if isinstance(key, str) and isinstance(content, str):
            yield Variable(key, content)
    lines = _Lines(text)
    for entry in value["dependencies"]:
        if isinstance(entry, str):
            yield from conda_items(entry, lines.origin(name, entry))
        elif isinstance(entry, dict):
            yield from _nested(tree, name, lines, entry)


def _nested(tree: Tree, name: str, lines: _Lines, entry: dict[Any, Any]) -> Iterator[Item]:
    for key, content in entry.items():
        if key == "pip":
            for one in content if isinstance(content, list) else []:
                if isinstance(one, str):
                    line = re.sub(r"(?:^|\s)#.*$", "", one).strip()
                    yield from requirement_line(
                        tree, name, line, lines.origin(name, one), frozenset({name})
                    )
        elif isinstance(content, str) and isinstance(key, str) and not key.startswith("sel("):
            yield from conda_items(f"{key}={content}", lines.origin(name, key))  # "- numpy: 1.18"
        elif isinstance(content, str):
            yield from conda_items(content, lines.origin(name, content))


class _Lines:
    """Line numbers of list entries, each line found once so that repeated entries differ."""

    def __init__(self, text: str) -> None:
        self._numbers: dict[str, list[int]] = {}
        for number, line in enumerate(text.splitlines(), 1):
            entry = re.sub(r"\s#.*$", "", line).strip()
            entry = entry.removeprefix("-").strip().strip("\"'")
            self._numbers.setdefault(entry, []).append(number)

    def origin(self, name: str, entry: str) -> str:
        numbers = self._numbers.get(re.sub(r"\s#.*$", "", entry).strip().strip("\"'"))
        if not numbers:
            return f"{name}:1"
        return f"{name}:{numbers.pop(0) if len(numbers) > 1 else numbers[0]}"


def _line_by_line(tree: Tree, name: str, text: str) -> Iterator[Item]:
    """Read the list entries of a file that is no valid YAML, pip's after the line ``- pip:``."""
    inside_pip, started, depth = False, False, 0
    for number, raw in enumerate(_repaired(text).splitlines(), 1):
        line = re.sub(r"(?:^|\s)#.*$", "", raw)
        if re.match(r"^\S*dependencies\s*:", line):
            started, inside_pip = True, False
        elif re.match(r"^[A-Za-z]", line):
            started = False
        elif started and (match := re.match(r"^(\s*)-\s*(.+)$", line)):
            if inside_pip and len(match[1]) <= depth:
                inside_pip = False
            if re.match(r"^pip\s*:\s*$", match[2]):
                inside_pip, depth = True, len(match[1])
            elif inside_pip:
                yield from requirement_line(
                    tree, name, match[2].strip(), f"{name}:{number}", frozenset({name})
                )
            else:
                yield from conda_items(match[2], f"{name}:{number}")


def read_conda_lock(tree: Tree, name: str) -> Iterator[Item]:
    """Yield the packages of a conda-lock.yml (version 1), for Linux where it tells platforms."""
    text, found = tree.read(name)
    yield from found
    value, seen = load(name, text) if text is not None else (None, [])
    yield from seen
    packages = value.get("package") if isinstance(value, dict) else None
    entries = (
        [one for one in packages if isinstance(one, dict)] if isinstance(packages, list) else []
    )
    platforms = {str(one.get("platform")) for one in entries}
    for one in entries:
        if "linux-64" in platforms and one.get("platform") != "linux-64":
            continue
        called, version = str(one.get("name", "")), str(one.get("version", ""))
        if one.get("manager") == "pip":
            yield from requirement(called, f"=={version}", origin=name)
        else:
            yield from conda_package(called, version, name, exact=True)


def read_pixi(name: str, table: dict[str, Any]) -> Iterator[Item]:
    """Yield what pixi's tables say (pixi.toml, or [tool.pixi] of pyproject.toml)."""
    head = table.get("workspace") or table.get("project") or {}
    channels = head.get("channels") if isinstance(head, dict) else None
    for channel in channels if isinstance(channels, list) else []:
        if isinstance(channel, str):
            yield Channel(channel)
    for key, reader in (("dependencies", _pixi_conda), ("pypi-dependencies", _pixi_pypi)):
        entries = table.get(key)
        for called, wish in (entries if isinstance(entries, dict) else {}).items():
            version = wish.get("version", "*") if isinstance(wish, dict) else wish
            yield from reader(str(called), str(version), name)


def _pixi_conda(called: str, version: str, origin: str) -> Iterator[Item]:
    plain = f"={version}" if re.match(r"^[0-9]", version) else version
    yield from conda_package(called, plain, origin)


def _pixi_pypi(called: str, version: str, origin: str) -> Iterator[Item]:
    yield from requirement(called, version, origin=origin)
