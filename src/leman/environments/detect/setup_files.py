"""setup.py and setup.cfg, read without ever running them."""

from __future__ import annotations

import ast
import configparser
import re
import warnings
from typing import TYPE_CHECKING

from leman.environments.detect.codes import finding
from leman.environments.detect.reading import LocalProject, PythonWanted
from leman.environments.detect.requirements import read_requirements, requirement_line
from leman.environments.detect.specifiers import python_specifier
from leman.environments.detect.tree import folder_of, join, line_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item
    from leman.environments.detect.tree import Tree

_REQUIREMENT_KEYS = ("install_requires", "extras_require", "tests_require")


def read_setup_py(tree: Tree, name: str) -> Iterator[Item]:
    """Yield what a setup.py says in literals; what it computes is reported, not run."""
    text, found = tree.read(name)
    yield from found
    if text is None:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            module = ast.parse(text.replace("\0", ""))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        yield finding("unreadable-file", name, f"{name} is no valid Python 3: {error}")
        if re.search(r"\bsetup\s*\(", text):
            yield LocalProject(folder_of(name) or ".")
        return
    if not re.search(r"\bsetup\s*\(", text):
        return
    yield LocalProject(folder_of(name) or ".")
    variables = _variables(module)
    values = _arguments(module)
    for node in values.get("python_requires", []):
        for wish, line in _texts(node, variables):
            if wanted := python_specifier(wish):
                yield PythonWanted(wanted, f"{name}:{line}")
    for key in _REQUIREMENT_KEYS:
        for node in values.get(key, []):
            yield from _requirements(tree, name, node, variables)


def _requirements(
    tree: Tree, name: str, node: ast.expr, variables: dict[str, ast.expr]
) -> Iterator[Item]:
    if list_or_text := _literal(node, variables):
        for wish, line in list_or_text:
            for one in wish.splitlines():
                if one.strip():
                    yield from requirement_line(tree, name, one.strip(), f"{name}:{line}")
        return
    if _is_empty(node, variables):
        return
    # Computed: nearly always from a requirements file whose name stands somewhere in setup.py.
    text, _ = tree.read(name)
    for file in dict.fromkeys(
        re.findall(r"['\"]([\w./-]{0,80}require[\w-]{0,40}\.txt)['\"]", text or "")
    ):
        path = join(folder_of(name), file)
        if tree.has(path) and tree.is_inside(path):
            yield from read_requirements(tree, path, frozenset({name}))
            return
    yield finding(
        "dynamic-setup",
        f"{name}:{node.lineno}",
        f"{name} computes its requirements while it runs; it was not run, so they are unknown",
        "List the requirements in pyproject.toml or requirements.txt.",
    )


def _variables(module: ast.Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, node.value)
    return found


def _arguments(module: ast.Module) -> dict[str, list[ast.expr]]:
    """Return setup()'s arguments, as keywords or as keys of a table that is passed on."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg:
                    found.setdefault(keyword.arg, []).append(keyword.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    found.setdefault(key.value, []).append(value)
    return found


def _texts(node: ast.expr, variables: dict[str, ast.expr]) -> list[tuple[str, int]]:
    return _literal(node, variables) or []


def _literal(
    node: ast.expr, variables: dict[str, ast.expr], depth: int = 8
) -> list[tuple[str, int]] | None:
    """Return the texts of a literal (list, tuple, table of lists, sum, name), else None."""
    if depth == 0:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [(node.value, node.lineno)]
    if isinstance(node, ast.Name):
        value = variables.get(node.id)
        return None if value is None else _literal(value, variables, depth - 1)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts: list[ast.expr] = [node.left, node.right]
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        parts = node.elts
    elif isinstance(node, ast.Dict):
        parts = node.values
    else:
        return None
    known = [_literal(part, variables, depth - 1) for part in parts]
    return [text for part in known if part for text in part] or None


def _is_empty(node: ast.expr, variables: dict[str, ast.expr]) -> bool:
    if isinstance(node, ast.Name):
        node = variables.get(node.id, node)
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return not node.elts
    if isinstance(node, ast.Dict):
        return all(_is_empty(value, variables) for value in node.values)
    return isinstance(node, ast.Constant) and not node.value


def read_setup_cfg(tree: Tree, name: str) -> Iterator[Item]:
    """Yield what the [options] of a setup.cfg say."""
    text, found = tree.read(name)
    yield from found
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text or "")
    except configparser.Error as error:
        yield finding("unreadable-file", name, f"{name} is no valid setup.cfg: {error}")
        return
    python = parser.get("options", "python_requires", fallback="")
    if wanted := python_specifier(python):
        yield PythonWanted(wanted, f"{name}:{line_with(text or '', 'python_requires')}")
    wishes = [parser.get("options", "install_requires", fallback="")]
    if parser.has_section("options.extras_require"):
        wishes += [value for _, value in parser.items("options.extras_require")]
    lines = [line for wish in wishes for line in re.split(r"[\n]", wish) if line.strip()]
    for line in lines:
        if line.strip().startswith("file:"):
            path = join(folder_of(name), line.split(":", 1)[1].strip())
            if tree.has(path):
                yield from read_requirements(tree, path, frozenset({name}))
        elif not line.strip().startswith("#"):
            number = line_with(text or "", line.strip())
            yield from requirement_line(tree, name, line.strip(), f"{name}:{number}")
