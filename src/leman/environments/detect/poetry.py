"""Tables of packages as Pipfile, poetry and flit write them: name → version or table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from leman.environments.detect.reading import Dropped, LocalProject, PythonWanted
from leman.environments.detect.specifiers import poetry_specifier, python_specifier, requirement
from leman.environments.detect.tree import folder_of, join

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item


_KEY = re.compile(r"^\s*[\"']?([\w.-]+)[\"']?\s*[=:]")


def table(value: Any, *keys: str) -> dict[str, Any]:  # noqa: ANN401 - whatever TOML can hold
    """Return the nested table under `keys`, an empty one where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[Any]:  # noqa: ANN401 - whatever TOML or JSON can hold
    """Return a list as it is, anything else as an empty one."""
    return value if isinstance(value, list) else []


def package_table(name: str, text: str, packages: dict[str, Any]) -> Iterator[Item]:
    """Yield the requirements of a table of packages (Pipfile, poetry, Pipfile.lock)."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if match := _KEY.match(line):
            lines.setdefault(match[1], number)
    for called, wish in packages.items():
        for one in wish if isinstance(wish, list) else [wish]:
            yield from _package(called, one, f"{name}:{lines.get(called, 1)}")


def _package(called: str, wish: Any, origin: str) -> Iterator[Item]:  # noqa: ANN401
    entry = wish if isinstance(wish, dict) else {"version": wish}
    version = entry.get("version", "*")
    version = version if isinstance(version, str) else str(version)
    if called.lower() == "python":
        if wanted := python_specifier(version):
            yield PythonWanted(wanted, origin)
        return
    if isinstance(path := entry.get("path"), str):
        yield LocalProject(join(folder_of(origin.rsplit(":", 1)[0]), path))
        return
    specifier = poetry_specifier(version)
    if specifier is None:
        yield Dropped("specifier-dropped", f"{called} {version}")
    extras = tuple(sorted(str(one) for one in rows(entry.get("extras"))))
    url = _address(entry)
    if url:
        yield Dropped("direct-address", f"{called} ({url})")
    yield from requirement(
        called, specifier or "", extras=extras, marker=_marker(entry), url=url, origin=origin
    )


def _address(entry: dict[str, Any]) -> str:
    if isinstance(git := entry.get("git"), str):
        at = next((entry[key] for key in ("ref", "rev", "tag", "branch") if entry.get(key)), "")
        return f"git+{git}{'@' if at else ''}{at}"
    found = entry.get("url") or entry.get("file") or ""
    return found if isinstance(found, str) and "://" in found else ""


def _marker(entry: dict[str, Any]) -> str:
    parts = []
    marker = entry.get("markers") or entry.get("marker")
    if isinstance(marker, str):
        parts.append(f"({marker})" if " or " in marker else marker)
    if isinstance(python := entry.get("python"), str) and (wanted := python_specifier(python)):
        matches = (re.match(r"^([=<>!~]+)([0-9.*]+)$", part) for part in wanted.split(","))
        parts += [f'python_version {found[1]} "{found[2]}"' for found in matches if found]
    return " and ".join(parts)
