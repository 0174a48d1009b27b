"""Could any system run this notebook? Decided from the source alone, before anything runs.

A notebook is not eligible where what it needs was never published with it: data files, the
author's own modules, a service on the network, a person at the keyboard, or code that Python
cannot read. The rules look at literal text only, so some notebooks that fail for such a reason
stay eligible: the rate of eligible notebooks is a lower bound.
"""

from __future__ import annotations

import ast
import builtins
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from leman.environments.detect.notebooks import code_cells
from leman.environments.infer import python_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.infer import Needs
    from leman.environments.model import Source
    from leman.findings import Finding

_READERS = re.compile(
    r"^(?:read_\w+|load|loadtxt|genfromtxt|loadmat|open_dataset|open_mfdataset|open_dataarray"
    r"|imread|read|read_file|from_file|fromfile|load_workbook|ExcelFile|HDFStore|File|Dataset"
    r"|open|read_h5ad|read_csv|load_npz|memmap|chdir|listdir|scandir|ascii)$"
)
_WRITES = re.compile(r"^[wax]")
_NETWORK = re.compile(
    r"(?:requests|urllib\.request|urllib2|httpx|session)\.(?:get|post|urlopen|urlretrieve)\("
    r"|\burl(?:open|retrieve)\(|\bwget\b|\bcurl\s|git\s+clone|gdown|kaggle\s|\bEntrez\.|DataReader\("
    r"|\byf\.|from_pretrained\(|fetch_(?:openml|20news|california|lfw|covtype|kddcup|rcv1|olivetti)"
    r"|load_dataset\(|nltk\.(?:download|corpus)|stopwords\.words|word_tokenize\(|spacy\.load\(|TimeSeries\.fetch|fetch_open_data|boto3|storage\.Client"
    r"|read_\w+\(\s*['\"](?:https?|s3|gs|ftp)://|['\"](?:https?|s3|gs|ftp)://[^'\"\s]+\.(?:csv|zip|json|nc|xlsx?|txt"
    r"|gz|fits|h5|hdf5|dat|shp|geojson|tiff?|parquet|pkl|npy|npz|mat|tsv)(?:\?[^'\"\s]*)?['\"]"
    r"|\.coastlines\(|\bcfeature\.|cartopy\.feature|ee\.Initialize|astroquery|graph_from_place"
)
_INPUT = re.compile(r"(?<![\w.])(?:raw_)?input\(|getpass\(")
_ABSOLUTE = re.compile(
    r"^(?:[A-Za-z]:[\\/]|[~/](?:Users|home|content|media|mnt|data|Volumes|scratch|Desktop)?/)",
    re.IGNORECASE,
)

_HOME = re.compile(
    r"['\"]((?:/Users/|/home/|[A-Z]:\\{1,2}Users|[A-Z]:/Users)[^'\"\n]{3,300})['\"]",
    re.IGNORECASE,
)
_OUTPUT = re.compile(
    r"savefig|to_\w+\(|save|write|out\w*\s*=|fig\w*(?:dir|path|folder)\s*=", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether any system could run a notebook; `reason` is a word of the taxonomy, `detail` why."""

    eligible: bool = True
    reason: str = ""
    detail: str = ""


ELIGIBLE = Eligibility()


def eligibility_of(  # noqa: PLR0911 - a list of reasons, the first that holds
    source: Source,
    path: str,
    notebook: dict[str, Any],
    needs: Needs,
    findings: tuple[Finding, ...],
) -> Eligibility:
    """Return the first reason, in the order of certainty, why no system could run a notebook."""
    code = [python_source(cell) for _, cell in code_cells(notebook)]
    whole = "\n".join(code)
    if needs.syntax and _cells_that_fail(notebook):
        return Eligibility(False, "syntax", needs.syntax)
    if _INPUT.search(re.sub(r"#.*", "", whole)):
        return Eligibility(False, "input", "it waits for somebody to type")
    if unknown := [one for one in findings if one.code == "unknown-module"]:
        return Eligibility(False, "unpublished-module", unknown[0].message)
    if unnamed := undefined(tuple(code)):
        return Eligibility(False, "author-error", f"{unnamed[0]} is used and defined nowhere")
    for name in files_read(tuple(code)):
        verdict = _file(source, path, name)
        if verdict:
            return verdict
    for name in _homes(whole):
        if PurePosixPath(name).name not in _everything(source.path):
            return Eligibility(False, "absolute-path", f"{name} lies on the author's computer")
    raw = "\n".join(cell for _, cell in code_cells(notebook))
    match = _NETWORK.search("\n".join(re.sub(r"^\s*#.*", "", line) for line in raw.splitlines()))
    if match:
        return Eligibility(False, "network", f"it asks the network: {match[0].strip()[:60]}")
    return Eligibility()


def undefined(cells_code: tuple[str, ...]) -> tuple[str, ...]:
    """Return names that cells use at their top level and no cell defines, imports or deletes.

    Nothing is said of notebooks with ``import *`` or with magics, which may define any name.
    """
    defined: set[str] = set(dir(builtins)) | {"display", "get_ipython", "In", "Out", "exit", "quit"}
    used: dict[str, None] = {}
    for code in cells_code:
        if re.search(r"import\s+\*|^\s*pass\s*$|\bexec\(|globals\(|locals\(", code, re.MULTILINE):
            return ()
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ()
        for node in ast.walk(tree):
            defined |= _defines(node)
        used.update(dict.fromkeys(_top_names(tree)))
    return tuple(name for name in used if name not in defined and not name.startswith("_"))


def _defines(node: ast.AST) -> set[str]:  # noqa: PLR0911 - one return a kind of node
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return {name}
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {(alias.asname or alias.name).split(".")[0] for alias in names}
        case ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
            return {name}
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return set(names)
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
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


def files_read(code: tuple[str, ...]) -> tuple[str, ...]:
    """Return the literal file names that calls known to read files are given."""
    found: dict[str, None] = {}
    for cell in code:
        try:
            tree = ast.parse(cell)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _READERS.match(_called(node)) and node.args:
                name = node.args[0]
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    mode = node.args[1] if len(node.args) > 1 else None
                    if isinstance(mode, ast.Constant) and _WRITES.match(str(mode.value)):
                        continue
                    if re.search(r"\.\w{1,8}$|[\\/]", name.value):
                        found[name.value] = None
    return tuple(found)


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _file(source: Source, path: str, name: str) -> Eligibility | None:
    if "://" in name or "\n" in name or any(sign in name for sign in "*?{"):
        return None
    clean = name.replace("\\", "/")
    base = PurePosixPath(clean).name
    here = (source.path / path).parent
    pointer = os.path.normpath(PurePosixPath(path).parent / clean)  # there, without its content
    there = not _ABSOLUTE.match(name) and os.path.exists(here / clean)  # noqa: PTH110 - never raises
    if there and pointer not in source.missing:
        return None
    missing = [one for one in source.missing if PurePosixPath(one).name == base]
    if missing:
        return Eligibility(False, "missing-blob", f"{missing[0]} is not in this copy")
    if base in _names(source.path) or _is_written(source.path, base):
        return None
    if _ABSOLUTE.match(name):
        return Eligibility(False, "absolute-path", f"{name} lies on the author's computer")
    return Eligibility(False, "missing-file", f"{name} was never published")


def _homes(code: str) -> list[str]:
    """Return literal folders of somebody's home that a notebook reads from or works in."""
    code = "\n".join(re.sub(r"^\s*#.*", "", line) for line in code.splitlines())
    lines = [line for line in code.splitlines() if not _OUTPUT.search(line)]
    found = [match[1] for match in _HOME.finditer("\n".join(lines))]
    return [name.replace("\\\\", "/").replace("\\", "/").rstrip("/") for name in found]


@lru_cache(maxsize=8)
def _everything(root: Path) -> frozenset[str]:
    return frozenset(path.name for path in root.rglob("*")) | {root.name}


@lru_cache(maxsize=8)
def _names(root: Path) -> frozenset[str]:
    return frozenset(path.name for path in root.rglob("*") if ".git" not in path.parts)


@lru_cache(maxsize=8)
def _writers(root: Path) -> str:
    """Return all code lines of a source that look as if they write a file."""
    verbs = re.compile(
        r"\bto_\w+\(|save\w*\(|write|dump|\\?['\"][wax]b?\+?\\?['\"]|urlretrieve|wget|curl|\s>\s|\s-[oO]\s"
    )
    reads = re.compile(r"\bread_\w+\(|\bload\w*\(|imread|genfromtxt")
    lines = []
    for path in [*root.rglob("*.py"), *root.rglob("*.ipynb"), *root.rglob("*.sh")]:
        if path.is_file() and path.stat().st_size < 5_000_000:
            text = path.read_text(encoding="utf-8", errors="replace")
            lines += [
                line
                for line in text.splitlines()
                if len(line) < 1000 and verbs.search(line) and not reads.search(line)
            ]
    return "\n".join(lines)


def _is_written(root: Path, base: str) -> bool:
    return len(base) > 3 and base in _writers(root)


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
