"""Versions that a notebook's stored outputs give away: the best witness of the author's machine."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from leman.environments.detect.figures import stored_figures
from leman.environments.detect.notebooks import cells, joined
from leman.environments.detect.poetry import rows, table

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_TEXT = 200_000  # characters of one output; version lists are short
_MOST_LINE = 2_000
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_VERSION = r"v?[0-9]+(?:\.[0-9]+)+(?:\.?(?:a|b|rc|dev|post)[0-9]*)*(?:\+[\w.]+)?"
_PAIRS = re.compile(rf"^(?:[A-Za-z][\w.-]*=={_VERSION}(?:[\s,]+|$))+$")
_PAIR = re.compile(rf"([A-Za-z][\w.-]*)==({_VERSION})")
_LISTED = re.compile(rf"^\s*([A-Za-z][\w.-]*)\s*[:=\s]\s*({_VERSION})(?:\s+\S+){{0,2}}\s*$")
_SATISFIED = re.compile(
    rf"^Requirement already (?:satisfied|up-to-date): ([A-Za-z][\w.-]*).*\(({_VERSION})\)\s*$"
)
_INSTALLED = re.compile(r"^\s*Successfully installed (.+)$")
_SAID = re.compile(
    rf"(?i)\b([A-Za-z][\w-]*)(?:['\u2019]s)?\s+(?:version\s*(?:is|used)?|ver\.?|v\.)\s*[:=]?\s*['\"]?({_VERSION})"
)
_LISTING = re.compile(
    r"%watermark|watermark\(|show_versions\(|print_versions\(|session_info|sinfo\(|print_header\("
    r"|pip3?\s+(?:list|freeze|show)|(?:conda|mamba)\s+list|versions_report|version_information"
    r"|log_versions|version_table|print_version_info"
)
_OTHER_PROGRAM = re.compile(r"^\s*%%(?:script|python[23]?|py[23]|pypy|perl|ruby|[jJ]ulia|R)\b")
_NOT_PACKAGES_TEXT = (
    "python pip cpython ipython_version os os-release compiler system release machine processor "
    "cores cpu interpreter commit byteorder lc_all lang locale arch bits libhdf5 cuda cudnn "
    "glibc gcc clang msc kernel version date time hostname interpreter-bits file author email "
    "site implementation linux darwin windows hdf5 gdal geos proj openblas mkl blas lapack "
    "gpu driver collecting using downloading processing attempting found name"
)
_NOT_PACKAGES = frozenset(_NOT_PACKAGES_TEXT.split())


def stored_versions(notebook: dict[str, Any]) -> dict[str, str]:
    """Return the versions that stored outputs state: module or distribution name → version.

    Read are listings (watermark, ``show_versions``, ``session_info``, scanpy's header,
    ``pip freeze`` and ``list``), pip's own messages, printed ``__version__`` values, sentences
    such as ``TensorFlow version: 2.3.0``, and the matplotlib that stored figures name. The notebook
    is the parsed JSON, any format. Names are lower-case where a listing gave them, and modules as
    imported where ``__version__`` was printed; the same name is never given two versions: the last
    one stated holds.
    """
    found: dict[str, str] = {}
    modules = _imports(notebook)
    for source, outputs in _cells_with_outputs(notebook):
        lines = "\n".join(outputs).splitlines()
        texts = "\n".join(line for line in lines if len(line) <= _MOST_LINE)
        for name, version in _stated(source, texts, modules):
            if name.lower() not in _NOT_PACKAGES:
                found[name] = version.removeprefix("v").partition("+")[0].rstrip(".")
    if drawn := stored_figures(notebook).version:
        found["matplotlib"] = drawn
    return found


def stored_python(notebook: dict[str, Any]) -> str | None:
    """Return the Python (``3.7``) that stored outputs betray, None where nothing does.

    Paths of installed packages in tracebacks and warnings, ``sys.version`` texts and watermark's
    lines are counted; the most frequent wins.
    """
    counted: Counter[str] = Counter()
    for source, outputs in _cells_with_outputs(notebook, tracebacks=True):
        foreign = _OTHER_PROGRAM.match(source)  # %%script python2: another Python speaks
        for text in () if foreign else outputs:
            for pattern in _PYTHONS:
                counted.update(f"{match[1]}.{match[2]}" for match in pattern.finditer(text))
    return counted.most_common(1)[0][0] if counted else None


_PYTHONS = (
    re.compile(r"[/\\](?:lib|lib64)[/\\]python([23])\.([0-9]{1,2})[/\\]"),
    re.compile(r"(?i)[/\\](?:programs[/\\]python[/\\])?python([23])([0-9]{1,2})[/\\]lib\b"),
    re.compile(r"\bCPython ([23])\.([0-9]{1,2})\.[0-9]+"),
    re.compile(
        r"(?i)\bPython (?:implementation: .*\n)?(?:version)?\s*[:=]?\s*([23])\.([0-9]{1,2})\.[0-9]+"
    ),
    re.compile(
        r"(?m)^'?([23])\.([0-9]{1,2})\.[0-9]+\+? (?:\(|\|)"
        r".*(?:\bGCC\b|\bClang\b|\bMSC\b|default|packaged|main)"
    ),
    re.compile(r"(?m)^python\s*[:=]\s*([23])\.([0-9]{1,2})\.[0-9]+"),
    re.compile(r"-cp([23])([0-9]{1,2})-cp"),
)


def _stated(source: str, text: str, modules: dict[str, str]) -> Iterator[tuple[str, str]]:
    listing = bool(_LISTING.search(source)) or "CPython" in text
    for line in text.splitlines():
        if _PAIRS.match(line.strip()):
            yield from ((match[1].lower(), match[2]) for match in _PAIR.finditer(line))
        elif match := _SATISFIED.match(line):
            yield match[1].lower(), match[2]
        elif match := _INSTALLED.match(line):
            yield from _installed(match[1])
        elif listing and (match := _LISTED.match(line)):
            yield match[1].lower(), match[2]
        else:
            yield from _said(line, modules)
    yield from _printed(source, text, modules)


def _installed(text: str) -> Iterator[tuple[str, str]]:
    for word in text.split():
        name, _, version = word.rpartition("-")
        if name and re.fullmatch(_VERSION, version):
            yield name.lower(), version


def _said(line: str, modules: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield "TensorFlow version: 2.3.0", only for names that the notebook imports."""
    known = {name.lower(): name for name in modules.values()}
    for match in _SAID.finditer(line):
        name = match[1].lower()
        name = {"pytorch": "torch", "scikit-learn": "sklearn", "opencv": "cv2"}.get(name, name)
        if name in known:
            yield known[name], match[2]


def _printed(source: str, text: str, modules: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Pair the ``X.__version__`` of a cell with the versions in its output, if equally many."""
    if "__version__" not in source:
        return
    code = re.sub(r"(?m)^\s*[%!].*$", "", source)
    asked = [
        modules.get(match[1], match[1])
        for line in code.splitlines()
        if not line.lstrip().startswith("#")
        for match in re.finditer(r"\b([A-Za-z_]\w*)\.(?:version\.)?__version__", line)
    ]
    lines = [line for line in text.splitlines() if "Warning" not in line and "/" not in line]
    given = re.findall(rf"(?<![\w.]){_VERSION}(?![\w.]*\w)", "\n".join(lines))
    others = len(re.findall(r"sys\.version\b|python_version\(", code))
    if len(asked) == len(given) and not others:
        yield from zip(asked, given, strict=True)
    else:
        for name in set(asked):  # labelled: "numpy: 1.18.1"
            label = re.search(
                rf"(?im)\b{re.escape(name)}\b\W{{1,4}}(?:version)?\W{{0,3}}({_VERSION})", text
            )
            if label:
                yield name, label[1]


def _imports(notebook: dict[str, Any]) -> dict[str, str]:
    """Return local name → top-level module over all code cells, cells that do not parse by line."""
    found: dict[str, str] = {}
    for cell in cells(notebook):
        source = joined(cell.get("source", cell.get("input", "")))
        if "import" not in source or cell.get("cell_type") not in ("code", None):
            continue
        for line in source.splitlines():
            text = line.strip().rstrip(";")
            if not text.startswith(("import ", "from ")):
                continue
            try:
                nodes = ast.parse(text).body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            for node in nodes:
                if isinstance(node, ast.Import):
                    for alias in node.names:
                        top = alias.name.split(".")[0]
                        found[alias.asname or top] = top
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    top = node.module.split(".")[0]
                    found.setdefault(top, top)
    return found


def _cells_with_outputs(
    notebook: dict[str, Any], *, tracebacks: bool = False
) -> Iterator[tuple[str, list[str]]]:
    for cell in cells(notebook):
        texts = [
            text
            for output in rows(cell.get("outputs"))
            if isinstance(output, dict)
            for text in _texts(output, tracebacks=tracebacks)
        ]
        if texts:
            yield joined(cell.get("source", cell.get("input", ""))), texts


def _texts(output: dict[str, Any], *, tracebacks: bool) -> Iterator[str]:
    if tracebacks and isinstance(trace := output.get("traceback"), list):
        yield _ANSI.sub("", "\n".join(str(line) for line in trace)[:_MOST_TEXT])
    data = table(output, "data")
    for value in (output.get("text"), data.get("text/plain")):
        if value:
            yield _ANSI.sub("", joined(value)[:_MOST_TEXT]).strip("'\"")
    html = joined(data.get("text/html"))[:_MOST_TEXT]
    if "ersion" in html or "Software" in html:  # version_information and session_info write tables
        yield re.sub(r"<[^>]+>", " ", re.sub(r"</(?:tr|p|div|li|pre)>|<br/?>", "\n", html))
