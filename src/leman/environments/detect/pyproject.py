"""pyproject.toml: the [project] table (PEP 621, 735) and the tables of poetry, flit, pdm, pixi."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leman.environments.detect.conda import read_pixi
from leman.environments.detect.pipfile import read_toml
from leman.environments.detect.poetry import package_table, rows, table
from leman.environments.detect.reading import LocalProject, PythonWanted
from leman.environments.detect.requirements import read_requirements, requirement_line
from leman.environments.detect.specifiers import python_specifier
from leman.environments.detect.tree import folder_of, join, line_of, line_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item
    from leman.environments.detect.tree import Tree


def read_pyproject(tree: Tree, name: str) -> Iterator[Item]:
    """Yield what a pyproject.toml says: what it needs to run first, optional groups last."""
    text, value, found = read_toml(tree, name)
    yield from found
    if is_project(value):
        yield LocalProject(folder_of(name) or ".")
    project, tools = table(value, "project"), table(value, "tool")
    flit, poetry = table(tools, "flit", "metadata"), table(tools, "poetry")
    for text_of_python in (project.get("requires-python"), flit.get("requires-python")):
        if isinstance(text_of_python, str) and (wanted := python_specifier(text_of_python)):
            line = line_of(text, r"^\s*requires-python")
            yield PythonWanted(wanted, f"{name}:{line}")
    yield from _lines(tree, name, text, project.get("dependencies"))
    yield from _lines(tree, name, text, flit.get("requires"))
    yield from package_table(name, text, table(poetry, "dependencies"))
    yield from read_pixi(name, table(tools, "pixi"))
    if "dependencies" in rows(project.get("dynamic")):
        yield from _dynamic(tree, name, table(tools, "setuptools", "dynamic", "dependencies"))
    yield from _groups(tree, name, text, value)


def _groups(tree: Tree, name: str, text: str, value: dict[str, Any]) -> Iterator[Item]:
    tools = table(value, "tool")
    for groups in (
        table(value, "project", "optional-dependencies"),
        table(value, "dependency-groups"),
        table(tools, "pdm", "dev-dependencies"),
        table(tools, "flit", "metadata", "requires-extra"),
        {"dev": table(tools, "uv").get("dev-dependencies")},
    ):
        for entries in groups.values():
            yield from _lines(tree, name, text, entries)
    poetry = table(tools, "poetry")
    yield from package_table(name, text, table(poetry, "dev-dependencies"))
    for group in table(poetry, "group").values():
        yield from package_table(name, text, table(group, "dependencies"))


def is_project(value: dict[str, Any]) -> bool:
    """Say whether a pyproject.toml describes an installable package, not just tools' settings.

    repo2docker's rule is [project] beside [build-system]; poetry and flit say it in their tables.
    """
    poetry, flit = table(value, "tool", "poetry"), table(value, "tool", "flit")
    if poetry.get("package-mode") is False:
        return False
    return "build-system" in value and bool("project" in value or poetry or flit)


def _lines(tree: Tree, name: str, text: str, entries: Any) -> Iterator[Item]:  # noqa: ANN401
    for entry in rows(entries):
        if isinstance(entry, str):
            line = line_with(text, entry)
            yield from requirement_line(tree, name, entry, f"{name}:{line}")


def _dynamic(tree: Tree, name: str, entry: dict[str, Any]) -> Iterator[Item]:
    files = entry.get("file")
    for file in [files] if isinstance(files, str) else rows(files):
        path = join(folder_of(name), str(file))
        if tree.has(path):
            yield from read_requirements(tree, path, frozenset({name}))
