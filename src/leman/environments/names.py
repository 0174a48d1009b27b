"""From names to distributions: of modules, of conda packages.

Three shipped tables answer, each dated in its first line and built by ``tools/build_names.py``:
modules whose distribution has another name (``modules.tsv.gz``; rows written by hand win), the
distributions known to be popular or scientific (``known.txt.gz``), and names that authors give to
files of their own (``local.txt``). A name that none of them knows gets no answer: to install it
because it is free for anybody to register would be to run a stranger's code.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from leman.environments.stdlib import (
    PYTHON_2_MODULES,
    PYTHON_3_NAMES,
    ever_standard,
    standard_library,
)

if TYPE_CHECKING:
    from datetime import date

__all__ = [
    "HEAVY",
    "PLATFORM_ONLY",
    "PYTHON_2_MODULES",
    "Candidate",
    "distribution_for",
    "distribution_for_conda",
    "is_known",
    "is_local_name",
    "normalise",
    "only_in_conda",
    "standard_library",
    "tables_built",
    "unavailable",
]

_DATA = Path(__file__).parent / "data"

# Top-level packages that many distributions share, each named after its dotted path.
_NAMESPACES = frozenset(
    {
        "azure",
        "azureml",
        "backports",
        "diffpy",
        "google",
        "jaraco",
        "llama_index",
        "mpl_toolkits",
        "nvidia",
        "opentelemetry",
        "pyannote",
        "repoze",
        "ruamel",
        "scikits",
        "sphinxcontrib",
        "zc",
        "zope",
    }
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A distribution for a module.

    `name` is normalised (PEP 503). `confidence` is ``table`` where a row or a namespace's rule
    names the distribution, ``equal`` where a known distribution has the module's own name.
    """

    name: str
    confidence: Literal["table", "equal"]
    reason: str


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the table of modules: `name` is empty where nothing can be installed."""

    name: str
    since: str
    until: str
    note: str


def distribution_for(
    module: str, *, submodules: frozenset[str] = frozenset(), on: date | None = None
) -> Candidate | None:
    """Return the distribution that brings `module`, or None where none is known for sure.

    `module` is a dotted import path; the longest known prefix answers, so for ``from google.cloud
    import storage`` ask for ``google.cloud.storage``. `submodules` are dotted paths under a
    top-level `module`, asked before it. `on` chooses between names that changed (rdkit-pypi became
    rdkit); without it the present one is given. Modules of the standard library give None, but for
    those that have left it. `unavailable` says why there is none, where that is known.
    """
    for dotted in (*sorted(submodules, key=lambda path: (-path.count("."), path)), module):
        found = _lookup(dotted, on)
        if found is not None:
            return found
    return None


def _lookup(dotted: str, on: date | None) -> Candidate | None:
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        prefix = ".".join(parts[:end])
        row = _row(prefix, on)
        if row is not None:
            if not row.name:
                return None
            reason = f"{prefix} is in {row.name}" + (f": {row.note}" if row.note else "")
            return Candidate(row.name, "table", reason)
        name = normalise(prefix)
        if end > 1 and parts[0] in _NAMESPACES and is_known(name):
            return Candidate(name, "table", f"{prefix} is named after its distribution, {name}")
    return _equal(parts[0])


def _equal(top: str) -> Candidate | None:
    name = normalise(top)
    if top in ever_standard() or top in PYTHON_2_MODULES or is_local_name(top):
        return None
    if name not in _known():
        return None
    return Candidate(name, "equal", f"the known distribution {name} has a module of its own name")


def unavailable(module: str, *, on: date | None = None) -> str | None:
    """Return why nothing can be installed for `module`, where the tables know a reason."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        row = _row(".".join(parts[:end]), on)
        if row is not None:
            return None if row.name else row.note
    if parts[0] in PYTHON_3_NAMES:
        return f"a module of Python 2; in Python 3 it is {PYTHON_3_NAMES[parts[0]]}"
    if is_local_name(parts[0]):
        return "a usual name of an author's own file; the source has no such file"
    return None


def is_known(name: str) -> bool:
    """Say whether `name` is a distribution that the shipped tables know."""
    name = normalise(name)
    return name in _known() or f"{name} -" in _known()


def is_local_name(module: str) -> bool:
    """Say whether `module` is a usual name of an author's own file (utils, plot_helpers)."""
    local = _lines("local.txt")
    tokens = [token.rstrip("0123456789") for token in module.lower().split("_")]
    return module.lower() in local or all(not token or token in local for token in tokens)


def distribution_for_conda(name: str) -> tuple[str, ...] | None:
    """Return the PyPI names of a conda package.

    Empty: no Python package, to be dropped. None: PyPI lacks it (`only_in_conda`), or the tables
    do not know it; in that case the equal name serves where `is_known` knows that.
    """
    name = name.strip().lower()
    if name in _conda():
        return None if only_in_conda(name) else _conda()[name]
    if name.startswith(("r-", "bioconductor-", "_", "lib", "gxx", "gcc", "perl-")) and (
        name.startswith(("r-", "bioconductor-", "perl-")) or not is_known(name)
    ):
        return ()
    if normalise(name) in PLATFORM_ONLY:
        return ()
    return None


def only_in_conda(name: str) -> bool:
    """Say whether conda package `name` is a Python package known to be missing from PyPI.

    The same name on PyPI, where there is one, belongs to somebody else or installs nothing of use.
    """
    return _conda().get(name.strip().lower()) == ("!",)


def conda_names(name: str) -> tuple[str, ...]:
    """Return what conda may call a distribution of the index, the name to try first in front.

    Where conda's package of the equal name is another thing (``graphviz`` the program), the equal
    name is left out.
    """
    name = normalise(name)
    other = _conda().get(name)
    alike = {(name,), other or (name,)}  # opencv-python is opencv-python-headless there
    found = sorted((key for key, names in _conda().items() if names in alike), key=_plainness)
    if other is None or other in {(name,), ("!",)}:
        return (name, *(one for one in found if normalise(one) != name))
    return tuple(found) or (name,)


def _plainness(name: str) -> tuple[bool, int, str]:
    return name.endswith(("-base", "-core", "-gpu", "-cpu", "-mkl")), len(name), name


def tables_built() -> str:
    """Return the day on which the shipped tables were built (ISO 8601)."""
    first = next(line for line in _known() if line.startswith("# built "))
    return first[len("# built ") :][:10]


def normalise(name: str) -> str:
    """Return the PEP 503 form of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _known() -> frozenset[str]:
    # Lines as they are: "name", or "name -" where no module has the distribution's name.
    return frozenset(gzip.decompress((_DATA / "known.txt.gz").read_bytes()).decode().splitlines())


@cache
def _modules() -> dict[str, list[_Row]]:
    table: dict[str, list[_Row]] = {}
    text = gzip.decompress((_DATA / "modules.tsv.gz").read_bytes()).decode()
    for line in text.splitlines()[1:]:
        module, name, since, until, note = [*line.split("\t"), "", "", ""][:5]
        row = _Row("" if name == "-" else normalise(name), since, until, note)
        table.setdefault(module, []).append(row)
    return table


def _row(module: str, on: date | None) -> _Row | None:
    day = on.isoformat() if on else "9999"
    for row in _modules().get(module, ()):
        if row.since <= day and (not row.until or day < row.until):
            return row
    return None


@cache
def _conda() -> dict[str, tuple[str, ...]]:
    table = {}
    for line in _lines("conda.tsv"):
        name, _, names = line.partition("\t")
        table[name] = tuple(names.split())
    return table


@cache
def _lines(file: str) -> frozenset[str]:
    lines = (_DATA / file).read_text("utf-8").splitlines()
    return frozenset(line.rstrip() for line in lines if line and not line.startswith("#"))


# Compiled distributions: a build from source needs compilers and minutes, and mostly fails.
HEAVY: frozenset[str] = _lines("heavy.txt")

# What exists on Windows, macOS or inside conda alone: dropped on Linux.
PLATFORM_ONLY: frozenset[str] = _lines("platform_only.txt")
