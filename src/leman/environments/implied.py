"""What code needs without importing it: ``read_excel`` needs openpyxl, ``.tl.leiden`` leidenalg.

The rules stand in ``data/implied.tsv``. A rule holds where its text, its other text and its
regular expression are in the code, within its span of dates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from leman.environments.names import distribution_for, normalise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

_TABLE = Path(__file__).parent / "data" / "implied.tsv"

_EXTENSION = re.compile(r"^\s*%(?:re)?load_ext\s+([\w.]+)", re.MULTILINE)
# Extensions that come with IPython or with Google Colab, or whose module is no hint.
_NO_DISTRIBUTION = frozenset({"autoreload", "storemagic", "google.colab.data_table"})
_EXTENSIONS = {
    "Cython": ("cython", "setuptools"),
    "autotime": ("ipython-autotime",),
    "cython": ("cython", "setuptools"),
    "cythonmagic": ("cython", "setuptools"),
    "google.cloud.bigquery": ("google-cloud-bigquery", "pandas"),
    "lab_black": ("nb-black", "black"),
    "nb_black": ("nb-black", "black"),
    "pycodestyle_magic": ("pycodestyle-magic", "flake8", "pycodestyle"),
    "rmagic": ("rpy2", "pandas"),
    "rpy2.ipython": ("rpy2", "pandas", "tzlocal"),
    "sql": ("ipython-sql", "sqlalchemy"),
}


@dataclass(frozen=True, slots=True)
class _Rule:
    text: str
    other: str
    names: tuple[str, ...]
    since: str
    until: str
    reason: str
    pattern: str

    def match(self, code: str, day: str) -> str:
        """Return the piece of `code` that the rule is about, or nothing."""
        if self.text not in code or self.other not in code:
            return ""
        if day < self.since or (self.until and day >= self.until):
            return ""
        if not self.pattern:
            return self.text
        found = _compiled(self.pattern).search(code)
        return " ".join(found.group().split())[:60] if found else ""


def implied_by(code: str, *, on: date) -> tuple[tuple[str, str], ...]:
    """Return (distribution, reason) for what `code` needs without importing it, as of `on`.

    `code` is best the whole code of a notebook with its magics: a rule about ``.plot()`` looks for
    pandas in it. Lines that are comments do not count. Distributions are normalised (PEP 503),
    each is named once, in the order of the rules. They are hints: what they name is known, but the
    code may never get to the place.
    """
    lines = (line for line in code.splitlines() if not line.lstrip().startswith("#"))
    code = "\n".join(lines)
    found: dict[str, str] = {}
    for name, reason in (*_by_rule(code, on), *_by_extension(code, on)):
        found.setdefault(name, reason)
    return tuple(found.items())


def _by_rule(code: str, on: date) -> Iterator[tuple[str, str]]:
    day = on.isoformat()
    for rule in _rules():
        if piece := rule.match(code, day):
            for name in rule.names:
                module = name.removeprefix("import:")
                # "import:igraph" is whatever distribution brought that module on that day.
                candidate = distribution_for(module, on=on) if module != name else None
                yield (candidate.name if candidate else module), f"`{piece}`: {rule.reason}"


def _by_extension(code: str, on: date) -> Iterator[tuple[str, str]]:
    for extension in _EXTENSION.findall(code):
        reason = f"%load_ext {extension}"
        if extension in _NO_DISTRIBUTION:
            continue
        if extension in _EXTENSIONS:
            yield from ((name, reason) for name in _EXTENSIONS[extension])
        elif (candidate := distribution_for(extension, on=on)) is not None:
            yield candidate.name, reason


@cache
def _rules() -> tuple[_Rule, ...]:
    rules = []
    for line in _TABLE.read_text("utf-8").splitlines()[1:]:
        text, other, names, since, until, reason, pattern = [*line.split("\t"), *[""] * 6][:7]
        listed = tuple(n if n.startswith("import:") else normalise(n) for n in names.split())
        rules.append(_Rule(text, other, listed, since, until, reason, pattern))
    return tuple(rules)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
