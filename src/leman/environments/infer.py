"""What notebooks import decides which packages they need; declarations decide which versions."""

from __future__ import annotations

import ast
import os
import re
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName

from leman.environments.detect import inline_limit, stored_figures, stored_versions
from leman.environments.detect.notebooks import code_cells
from leman.environments.detect.specifiers import consistent
from leman.environments.implied import implied_by
from leman.environments.model import Declarations, Origin, Requirement, Want
from leman.environments.names import (
    PLATFORM_ONLY,
    PYTHON_2_MODULES,
    distribution_for,
    is_known,
    normalise,
    standard_library,
    unavailable,
)
from leman.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

_LINE_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\b|import\s+([\w., ]+))", re.MULTILINE)
_MAGIC = re.compile(r"^(\s*)(?:[%!?].*|\S+\?{1,2}\s*)$")
_ASSIGNED_MAGIC = re.compile(r"^(\s*)([\w, ]+?)\s*=\s*[%!].*$")
_OTHER_CELL = re.compile(r"^\s*%%(?!time\b|timeit\b|capture\b|prun\b|memit\b|px\b|local\b)(\w+)")
_SYS_PATH = re.compile(r"sys\.path\.(?:append|insert)\((?:\s*\d+\s*,)?\s*r?['\"]([^'\"]+)['\"]")
_LOCAL_LIMIT = 300  # local files read for one notebook
_HINT_LIMIT = 400_000  # characters of code that are searched for hints


@dataclass(frozen=True, slots=True)
class Imported:
    """One dotted module that code imports, where, and whether it does so only if it can."""

    module: str
    origin: str
    optional: bool = False

    @property
    def top(self) -> str:
        """The first part of the module's name."""
        return self.module.split(".")[0]


@dataclass(frozen=True, slots=True)
class Needs:
    """What one notebook's code needs, before any version is chosen.

    `paths` are folders of the source (relative, POSIX) that hold modules which the notebook
    imports but would not find by itself; `unknown` maps modules that nothing is known of to where
    they are imported; `drawn` are versions that stored figures speak for; `syntax` tells the first
    error of code that no Python 3 can read.
    """

    imports: tuple[Imported, ...] = ()
    local: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    code: str = ""
    stored: dict[str, str] = field(default_factory=dict)
    drawn: tuple[Want, ...] = ()
    syntax: str = ""
    python_2: bool = False


def python_source(cell: str) -> str:
    """Return a cell's code as plain Python: magics and shell lines become ``pass``."""
    other = _OTHER_CELL.match(cell)
    if other:
        return ""
    return "\n".join(map(_plain_line, cell.splitlines()))


def _plain_line(line: str) -> str:
    if line.lstrip().startswith("%%"):
        return ""
    if _ASSIGNED_MAGIC.match(line):
        return _ASSIGNED_MAGIC.sub(r"\1\2 = None", line)
    timed = re.match(r"^(\s*)%(?:time|timeit|prun|memit)\s+(?!-)(.*)$", line)
    if timed:
        return f"{timed[1]}{timed[2]}"
    return _MAGIC.sub(r"\1pass", line)


def needs_of(root: Path, path: str, notebook: dict[str, Any]) -> Needs:
    """Return what a notebook at `path` (POSIX, below `root`) needs; never raises for bad code."""
    found: dict[str, Imported] = {}
    codes, syntax, python_2 = [], "", False
    for number, cell in code_cells(notebook):
        code = python_source(cell)
        codes.append(cell)
        error = _collect(code, f"{path}:cell {number}", found)
        python_2 = python_2 or bool(error and _is_python_2(code))
        syntax = syntax or (f"cell {number}: {error}" if error else "")
    text = "\n".join(codes)
    local, paths = _follow(root, path, text, found)
    return Needs(
        imports=tuple(found.values()),
        local=local,
        paths=paths,
        code=text[:_HINT_LIMIT],
        stored=stored_versions(notebook),
        drawn=tuple(_drawn(notebook)),
        syntax=syntax,
        python_2=python_2,
    )


def _drawn(notebook: dict[str, Any]) -> Iterator[Want]:
    figures = stored_figures(notebook)
    if figures.version:
        why = f"the stored figures are of matplotlib {figures.version}"
        yield Want("matplotlib", f"=={figures.version}", origin="inferred", evidence=why)
    elif figures.old:
        why = "the stored figures do not name their matplotlib, as before 2.1"
        yield Want("matplotlib", "<2.1", origin="inferred", evidence=why)
    if limit := inline_limit(notebook, figures):
        why = f"the stored figures have {figures.dpi} dots per inch"
        yield Want("matplotlib-inline", limit, origin="inferred", evidence=why)


def _collect(code: str, origin: str, found: dict[str, Imported]) -> str:
    """Add the imports of `code` to `found`; return the syntax error, if there is one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        for match in _LINE_IMPORT.finditer(code):
            for name in (match[1] or match[2]).split(","):
                module = name.split(" as ")[0].strip()
                if re.fullmatch(r"[\w.]+", module):
                    found.setdefault(module, Imported(module, origin))
        return str(error)
    for module, optional in _imports(tree):
        known = found.get(module)
        if known is None or (known.optional and not optional):
            found[module] = Imported(module, origin, optional)
    return ""


def _imports(node: ast.AST, *, optional: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield dotted modules; those under ``try`` with an except for imports are optional."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, optional) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            if child.module and not child.level:
                yield child.module, optional
                for alias in child.names:
                    yield f"{child.module}.{alias.name}", True
        elif (isinstance(child, ast.Try) and _catches_imports(child)) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        ):
            yield from _imports(child, optional=True)
        else:
            yield from _imports(child, optional=optional)


def _catches_imports(node: ast.Try) -> bool:
    return any(
        handler.type is None
        or any(word in ast.dump(handler.type) for word in ("Import", "ModuleNot", "'Exception'"))
        for handler in node.handlers
    )


def _is_python_2(code: str) -> bool:
    return bool(
        re.search(r"^\s*print\s+[^\s(=]", code, re.MULTILINE)
        or re.search(r"^\s*exec\s+['\"]", code, re.MULTILINE)
        or re.search(r"except\s+[\w.]+\s*,\s*\w+\s*:", code)
        or re.search(r"\braise\s+\w+\s*,\s*['\"]", code)
    )


def _follow(
    root: Path, path: str, code: str, found: dict[str, Imported]
) -> tuple[frozenset[str], tuple[str, ...]]:
    """Read the source's own modules that are imported, and theirs; return names and folders."""
    here = PurePosixPath(path).parent.as_posix()
    named = [_inside(here, extra) for extra in _SYS_PATH.findall(code)]
    at_hand = [here, *(folder for folder in named if folder is not None)]
    places = modules_of(root)
    local: set[str] = set()
    extra: dict[str, None] = {}
    queue = list(found.values())
    read = 0
    while queue and read < _LOCAL_LIMIT:
        one = queue.pop(0)
        folder = _place_of(one.top, places, at_hand, here)
        if folder is None:
            continue
        if folder not in at_hand and one.top not in local:
            extra[folder] = None
        first = one.top not in local
        local.add(one.top)
        for file in _files_of(root, folder, one.module, whole=first):
            read += 1
            inner: dict[str, Imported] = {}
            _collect(_text(root / file), file, inner)
            for module, imported in inner.items():
                if module not in found:
                    found[module] = imported
                    queue.append(imported)
    return frozenset(local), tuple(extra)


def _inside(here: str, extra: str) -> str | None:
    parts: list[str] = []
    for part in PurePosixPath(here, extra).parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in {".", "/"}:
            parts.append(part)
    return "/".join(parts) or "."


def modules_of(root: Path) -> dict[str, tuple[str, ...]]:
    """Return the top-level modules that a source holds itself → the folders they lie in."""
    return _modules(root, root.stat().st_mtime_ns)


_SEEN: dict[tuple[Path, int], dict[str, tuple[str, ...]]] = {}
_PASSED = {"node_modules", "site-packages", "__pycache__", "venv", "env", "build", "dist"}


def _modules(root: Path, stamp: int) -> dict[str, tuple[str, ...]]:
    if (root, stamp) in _SEEN:
        return _SEEN[root, stamp]
    found: dict[str, list[str]] = {}
    for folder, folders, files in root.walk() if hasattr(root, "walk") else _walk(root):
        folders[:] = sorted(f for f in folders if f not in _PASSED and not f.startswith("."))
        place = folder.relative_to(root).as_posix()
        names = [name[:-3] for name in files if name.endswith(".py")]
        if "__init__" in names:
            parent = folder.parent.relative_to(root).as_posix() if folder != root else ""
            if parent and not (folder.parent / "__init__.py").exists():
                found.setdefault(folder.name, []).append(parent)
            continue
        for name in names:
            found.setdefault(name, []).append(place)
        for name in folders:
            if not (folder / name / "__init__.py").exists() and any((folder / name).glob("*.py")):
                found.setdefault(name, []).append(place)
    _SEEN[root, stamp] = {name: tuple(sorted(set(at), key=len)) for name, at in found.items()}
    return _SEEN[root, stamp]


def _walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    for folder, folders, files in os.walk(root):
        yield Path(folder), folders, files


def _place_of(
    name: str, places: dict[str, tuple[str, ...]], at_hand: list[str], here: str
) -> str | None:
    """Return the folder whose module `name` the notebook means: at hand, else nearest, else none.

    Elsewhere in the source only a name that is no well-known distribution counts: a folder
    ``numpy`` far away is not what ``import numpy`` means.
    """
    folders = places.get(name, ())
    for folder in at_hand:
        if folder in folders:
            return folder
    if not folders or name in standard_library("3.11"):
        return None
    candidate = distribution_for(name)
    nearest = max(folders, key=lambda folder: (_shared(folder, here), -len(folder)))
    if candidate and nearest not in {".", "src"} and candidate.confidence == "table":
        return None
    return nearest


def _shared(one: str, other: str) -> int:
    count = 0
    for left, right in zip(one.split("/"), other.split("/"), strict=False):
        if left != right:
            break
        count += 1
    return count


def _files_of(root: Path, folder: str, module: str, *, whole: bool) -> Iterator[str]:
    base = PurePosixPath(folder) / module.split(".", maxsplit=1)[0]
    single = f"{base}.py"
    if (root / single).is_file():
        if whole:
            yield single
    elif whole:
        for file in sorted((root / base).rglob("*.py"))[:_LOCAL_LIMIT]:
            if "test" not in file.name:
                yield file.relative_to(root).as_posix()


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > 2_000_000:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def wants_of(
    needs: Needs, declared: Declarations, own: tuple[Requirement, ...], *, on: date, minor: str
) -> tuple[tuple[Want, ...], tuple[Want, ...], tuple[Finding, ...]]:
    """Join imports and declarations: (packages to install, versions to keep to, findings).

    `own` are the requirements that this notebook alone declares. A declared package that nothing
    imports is a version to keep to if something else pulls it in; it is installed only if there
    is no code at all (a notebook that was understood needs nothing else), or if it was
    declared by hand in a short list: such lists name what code needs without importing it.
    """
    by_name = {
        one.name: one for one in (*declared.requirements, *own) if _applies(one.marker, minor)
    }
    wants: dict[str, Want] = {}
    findings: list[Finding] = []
    for imported in needs.imports:
        _want(imported, needs, by_name, wants, findings, on=on, minor=minor)
    for name, evidence in implied_by(needs.code, on=on):
        wants.setdefault(name, _versioned(name, by_name, "inferred", evidence))
    loose = [one for one in by_name.values() if one.name not in wants]
    by_hand = sum(not one.pinned for one in by_name.values()) * 2 > len(by_name)
    short = not (needs.code or needs.imports) or (
        len(by_name) <= 40 and (by_hand or len(by_name) <= 15)
    )
    for one in loose:
        if one.name in PLATFORM_ONLY:
            continue
        if one in own or short:
            wants[one.name] = _versioned(one.name, by_name, "declared", one.origin)
    wants.setdefault("ipykernel", _versioned("ipykernel", by_name, "kernel", "runs the notebook"))
    limits = [
        Want(one.name, one.specifier, origin="declared", evidence=one.origin)
        for one in by_name.values()
        if one.name not in wants and one.specifier and one.name not in PLATFORM_ONLY
    ]
    seen = _stored(needs, wants, by_name)
    shown = {one.name: one for one in needs.drawn if _fits(one, by_name, minor)}
    if _asks_newer(by_name.get("matplotlib")):
        shown.pop("matplotlib-inline", None)
    for name in shown.keys() & wants.keys():
        seen[name] = replace(wants[name], specifier=shown[name].specifier, url="")
    limits = [one for one in limits if one.name not in shown]
    return (
        tuple(seen.get(name, want) for name, want in wants.items()),
        (*limits, *(one for name, one in shown.items() if name not in wants)),
        tuple(findings),
    )


def _asks_newer(matplotlib: Requirement | None) -> bool:
    """Say whether a matplotlib is asked for with which an old matplotlib-inline shows no figure."""
    least = re.search(r"(?:==|>=|~=)\s*(\d+)\.(\d+)", matplotlib.specifier if matplotlib else "")
    return least is not None and (int(least[1]), int(least[2])) >= (3, 9)


def _fits(shown: Want, by_name: dict[str, Requirement], minor: str) -> bool:
    """Say whether what the figures show does not contradict what is declared, or the Python."""
    declared = by_name[shown.name].specifier if shown.name in by_name else ""
    if shown.specifier == "<2.1":
        return not declared and minor == "3.6"
    if not shown.specifier.startswith("=="):
        return not declared
    return not declared or consistent(declared, shown.specifier.removeprefix("=="))


def _applies(marker: str, minor: str) -> bool:
    if not marker:
        return True
    try:
        here = {"python_version": minor, "python_full_version": f"{minor}.9"}
        return Marker(marker).evaluate({**here, "sys_platform": "linux", "extra": ""})
    except (InvalidMarker, UndefinedEnvironmentName):
        return True


def _stored(
    needs: Needs, wants: dict[str, Want], by_name: dict[str, Requirement]
) -> dict[str, Want]:
    """Versions that the stored outputs show: what the author really had."""
    shown = {}
    for module, version in needs.stored.items():
        candidate = distribution_for(module)
        name = normalise(candidate.name if candidate else module)
        if name in wants and not (by_name.get(name) and by_name[name].specifier):
            why = f"the stored outputs show version {version}"
            shown[name] = Want(name, f"=={version}", origin=wants[name].origin, evidence=why)
    return shown


def _want(  # noqa: PLR0913 - one loop's body, kept apart for its length
    imported: Imported,
    needs: Needs,
    by_name: dict[str, Requirement],
    wants: dict[str, Want],
    findings: list[Finding],
    *,
    on: date,
    minor: str,
) -> None:
    top = imported.top
    if top in needs.local or top in standard_library(minor) or top.startswith("_"):
        return
    candidate = distribution_for(imported.module, on=on)
    dotted = "." in imported.module
    if candidate is None and dotted:
        candidate = distribution_for(top, on=on)
    if candidate is None:
        declared = normalise(top)
        if declared in by_name:
            wants.setdefault(declared, _versioned(declared, by_name, "declared", imported.origin))
        elif not imported.optional and not dotted and top not in PYTHON_2_MODULES:
            why = unavailable(top, on=on) or "no distribution is known for it"
            findings.append(
                Finding(
                    "unknown-module",
                    "warning",
                    imported.origin,
                    f"`import {top}`: {why}",
                    f"Declare the package that provides {top} in requirements.txt.",
                )
            )
        return
    name = normalise(candidate.name)
    surely = {one.top for one in needs.imports if not one.optional}
    guessed = imported.optional and name not in by_name and candidate.confidence != "table"
    if guessed and (top not in surely or not is_known(name)):
        return
    evidence = f"import {imported.module if not imported.optional else top} ({imported.origin})"
    wants.setdefault(name, _versioned(name, by_name, "inferred", evidence))


def _versioned(name: str, by_name: dict[str, Requirement], origin: Origin, evidence: str) -> Want:
    one = by_name.get(name)
    if one is None:
        return Want(name, origin=origin, evidence=evidence)
    told = f"{evidence}; {one.origin}" if one.origin and one.origin not in evidence else evidence
    return Want(name, one.specifier, one.extras, one.url, origin, told)
