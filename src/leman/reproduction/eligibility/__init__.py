"""Could any system run this notebook? Decided from the source alone, before anything runs.

A notebook is not eligible where what it needs was never published with it: data files, the
author's own modules, a service on the network, a person at the keyboard, or code that Python
cannot read. `reading` tells what surely happens; whatever is
not sure, and what a run may make by itself, leaves a notebook eligible, so that the rate of
eligible notebooks is a lower bound.
"""

from __future__ import annotations

import ast
import builtins
import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from leman.environments.detect.notebooks import cells, code_cells, joined
from leman.environments.detect.poetry import rows
from leman.environments.infer import modules_of, python_source
from leman.reproduction.eligibility.published import Published
from leman.reproduction.eligibility.reading import touches
from leman.reproduction.model import ELIGIBLE, Eligibility

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.infer import Needs
    from leman.environments.model import Source
    from leman.findings import Finding

_INPUT = re.compile(r"(?<![\w.])(?:raw_)?input\(|getpass\(")


# A star import, code in texts, a magic that runs or loads something, a cell of another language.
_MAY_DEFINE = re.compile(
    r"import\s+\*|\bexec\(|globals\(|locals\(|^[ \t]*pass[ \t]*$|^[ \t]*\w[\w, ]*=\s*%"
    r"|^[ \t]*%(?!%|matplotlib\b|(?:re)?load_ext\s+(?:autoreload|watermark|nb_black|lab_black)\b"
    r"|autoreload\b|config\b|time\b|timeit\b|cd\b|pwd\b|ls\b|pip\b|conda\b|watermark\b|env\b"
    r"|set_env\b|precision\b|reset\b|who\b|whos\b)"
    r"|^[ \t]*%%(?!time\b|timeit\b|html\b|HTML\b|javascript\b|latex\b|markdown\b|bash\b|sh\b"
    r"|writefile\b)",
    re.MULTILINE,
)


_MOST = 1_000_000  # characters of code that are searched for names


def eligibility_of(
    source: Source,
    path: str,
    notebook: dict[str, Any],
    needs: Needs,
    findings: tuple[Finding, ...],
) -> Eligibility:
    """Return the first reason, in the order of certainty, why no system could run a notebook."""
    raw = [cell for _, cell in code_cells(notebook)]
    if needs.syntax and _cells_that_fail(notebook):
        return Eligibility(False, "syntax", needs.syntax)
    if any(_asks_in_vain(source, outputs) for source, outputs in _with_outputs(notebook)):
        return Eligibility(False, "input", "it waits for somebody to type")
    if unknown := [one for one in findings if one.code == "unknown-module"]:
        return Eligibility(False, "unpublished-module", unknown[0].message)
    if unnamed := undefined(tuple(_cells_that_ran(notebook)), tuple(raw)):
        return Eligibility(False, "author-error", f"{unnamed[0]} is used and defined nowhere")
    if early := too_early(notebook):
        return Eligibility(False, "author-error", f"{early} is used before any cell defines it")
    return _first_gone(source, path, notebook, needs)


def _with_outputs(notebook: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    for one in cells(notebook):
        if one.get("cell_type") in ("code", None):
            yield joined(one.get("source", one.get("input", ""))), rows(one.get("outputs"))


def _asks_in_vain(source: str, outputs: list[Any]) -> bool:
    """Say whether a cell waits for somebody and its outputs do not show what was typed."""
    if not _INPUT.search(re.sub(r"#.*", "", python_source(source))):
        return False
    return not any(isinstance(one, dict) and one.get("output_type") == "stream" for one in outputs)


def undefined(cells_code: tuple[str, ...], every: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return names that cells use at their top level and no cell defines, imports or deletes.

    `every` are all the cells, also those that are meant to fail, which may define names. Nothing
    is said of notebooks with ``import *`` or with magics that may define any name.
    """
    defined: set[str] = set(dir(builtins)) | {"display", "get_ipython", "In", "Out", "exit", "quit"}
    used: dict[str, None] = {}
    asked, all_cells = set(cells_code), dict.fromkeys([*cells_code, *every])
    if sum(map(len, all_cells)) > _MOST:
        return ()
    for cell in all_cells:
        if _MAY_DEFINE.search(cell):
            return ()
        try:
            tree = ast.parse(python_source(cell))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ()
        defined |= set(_defined(tree))
        if cell in asked:
            used.update(dict.fromkeys(_top_names(tree)))
    return tuple(name for name in used if name not in defined and not name.startswith("_"))


def too_early(notebook: dict[str, Any]) -> str:
    """Return a name that a cell uses before another one binds it; "" where none surely is.

    It must be so from top to bottom and in the order of the stored counts: the author's session
    had the name from a cell that is gone, or from one that ran twice.
    """
    found = [one for one in cells(notebook) if one.get("cell_type") in ("code", None)]
    counts = [one.get("execution_count", one.get("prompt_number")) for one in found]
    codes = [joined(one.get("source", one.get("input", ""))) for one in found]
    ran = [code in set(_cells_that_ran(notebook)) for code in codes]
    trees: list[ast.AST] = []
    for code in codes:
        if _MAY_DEFINE.search(code) or sum(map(len, codes)) > _MOST:
            return ""
        try:
            trees.append(ast.parse(python_source(code)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ""
    orders = [list(range(len(found)))]
    numbers = [count for count in counts if isinstance(count, int)]
    if len(numbers) == len(found) and len(set(numbers)) == len(numbers):
        orders.append(sorted(orders[0], key=lambda one: numbers[one]))
    early = [_first_early([(trees[one], ran[one]) for one in order]) for order in orders]
    return early[0] if all(early) else ""


def _first_early(order: list[tuple[ast.AST, bool]]) -> str:
    later = {name for tree, _ in order for name in _defined(tree)}
    for tree, ran in order:
        later_than_here = later - set(_defined(tree))
        if ran and (used := [name for name in _top_names(tree) if name in later_than_here]):
            return used[0]
        later = later_than_here
    return ""


def _defined(node: ast.AST) -> Iterator[str]:
    """Yield names that are bound where a cell runs, not inside a function of it."""
    for child in ast.iter_child_nodes(node):
        yield from _defines(child)
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner = [one for one in ast.walk(child) if isinstance(one, ast.Global)]
            yield from (name for one in inner for name in one.names)
        else:
            yield from _defined(child)


def _defines(node: ast.AST) -> set[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return {name}
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {(alias.asname or alias.name).split(".")[0] for alias in names}
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            return {name}
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            return {name}
    return set()


def _top_names(node: ast.AST) -> Iterator[str]:
    """Yield names that are looked up when a cell runs, not when a function of it is called."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
            yield child.id
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Try):
            yield from _top_names(child)


def _cells_that_fail(notebook: dict[str, Any]) -> bool:
    """Tell whether a cell that no Python 3 reads is meant to run: it stores no error."""
    for _, cell in code_cells(notebook):
        try:
            ast.parse(python_source(cell))
        except (SyntaxError, ValueError):
            holders = [one for one in notebook.get("cells", []) if isinstance(one, dict)]
            source = [one for one in holders if "".join(one.get("source") or "") == cell]
            if not any(_is_error(output) for one in source for output in one.get("outputs") or ()):
                return True
        except (RecursionError, MemoryError):
            return False
    return False


def _is_error(output: object) -> bool:
    return isinstance(output, dict) and output.get("output_type") in {"error", "pyerr"}


def _first_gone(source: Source, path: str, notebook: dict[str, Any], needs: Needs) -> Eligibility:
    """Return what the notebook surely asks for and nobody has: files before the network."""
    here = PurePosixPath(path).parent.as_posix()
    cells = [cell for cell in _cells_that_ran(notebook) if cell.strip()]
    published = Published(source)
    found = touches(
        cells,
        folder=here,
        exists=published.exists,
        modules=lambda name: _module(source.path, here, name, needs.local),
    )
    written = [name for one in found if one.kind == "write" for name in one.names]
    handed = [name for one in found if one.kind == "hand" for name in one.names]
    published = Published(source, written, handed)
    asked = [one for one in found if one.kind in {"address", "network"}]
    for one in [touch for touch in found if touch.kind in {"read", "list", "glob", "given"}]:
        if gone := published.verdict(one):
            return Eligibility(False, *gone)
    if any(one.kind == "blank" for one in found):
        return Eligibility(False, "missing-file", "the author left the path of a file empty")
    for one in asked:
        if one.kind == "address" and (gone := published.verdict(one)):
            return Eligibility(False, *gone)
        if one.kind == "network" and not _is_own(source, one.names[0]):
            return Eligibility(False, "network", f"it asks the network: {one.names[0][:60]}")
    return ELIGIBLE


def _cells_that_ran(notebook: dict[str, Any]) -> Iterator[str]:
    """Yield the code of cells that store no error: one that does is meant to fail."""
    for one in cells(notebook):
        outputs = one.get("outputs")
        failed = isinstance(outputs, list) and any(map(_is_error, outputs))
        if one.get("cell_type") in ("code", None) and not failed:
            yield joined(one.get("source", one.get("input", "")))


def _is_own(source: Source, command: str) -> bool:
    """Tell whether a command fetches the source itself."""
    match = re.search(r"git\s+clone\s.*?([\w.-]+?)(?:\.git)?/?(?:\s|$)", command)
    return match is not None and match[1].lower() in source.url.lower()


def _module(root: Path, here: str, name: str, own: frozenset[str]) -> tuple[str, str] | None:
    """Return the path and the code of a module of the source."""
    if name.split(".", maxsplit=1)[0] not in own:
        return None
    inside = name.replace(".", "/")
    for folder in dict.fromkeys(
        [here, ".", *modules_of(root).get(name.split(".", maxsplit=1)[0], ())]
    ):
        for file in (f"{folder}/{inside}.py", f"{folder}/{inside}/__init__.py"):
            place = root / file
            if place.is_file() and place.resolve().is_relative_to(root.resolve()):
                text = place.read_text(encoding="utf-8", errors="replace")
                return os.path.normpath(file), text
    return None


def producers(root: Path, base: str) -> tuple[str, ...]:
    """Return the notebooks whose code seems to write a file called `base`, POSIX paths."""
    verbs = rf"(?:to_\w+\(|save|write|dump|open\()[^\n]*{re.escape(base)}"
    found = []
    for path in sorted(root.rglob("*.ipynb")):
        small = path.is_file() and path.stat().st_size < 20_000_000
        if small and ".ipynb_checkpoints" not in path.parts:
            text = path.read_text(encoding="utf-8", errors="replace")
            if base in text and re.search(verbs, text):
                found.append(path.relative_to(root).as_posix())
    return tuple(found)
