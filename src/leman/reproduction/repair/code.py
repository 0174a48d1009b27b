"""Repairs of the notebook's code, in the work copy: one line before it, or the order of cells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leman.environments.model import Modification
from leman.reproduction import work as copies
from leman.reproduction.repair.packages import add

if TYPE_CHECKING:
    from leman.reproduction.model import Failure
    from leman.reproduction.repair.case import Case

_TEX = re.compile(r"latex could not be found|Failed to process string with tex|dvipng")
# Packages of styles switch LaTeX on too, so every text is told, whoever made it.
_NO_TEX = """\
import matplotlib, matplotlib.text
matplotlib.RcParams.validate["text.usetex"] = lambda value: False
matplotlib.rcParams["text.usetex"] = False
matplotlib.text.Text.get_usetex = lambda self: False"""
_NO_MAGIC = re.compile(r"[Mm]agic function `?%{1,2}(\w+)`? not found")
# Magics that an author's profile had loaded: extension to load, distribution that has it.
_MAGICS = {
    "watermark": ("watermark", "watermark"),
    "memit": ("memory_profiler", "memory-profiler"),
    "mprun": ("memory_profiler", "memory-profiler"),
    "lprun": ("line_profiler", "line-profiler"),
    "cython": ("cython", "cython"),
    "sql": ("sql", "ipython-sql"),
    "autoreload": ("autoreload", ""),
    "nb_black": ("nb_black", "nb-black"),
    "version_information": ("version_information", "version-information"),
}


def submodule(case: Case, failure: Failure) -> bool:
    """Import a part of a package that something else imported in the author's session."""
    match = re.search(r"module '(\w+)' has no attribute '(\w+)'", failure.text)
    if not match or case.site is None:
        return False
    package, name = match[1], match[2]
    place = case.site / package
    there = (place / f"{name}.py").is_file() or (place / name / "__init__.py").is_file()
    line = f"import {package}.{name}"
    if not there or line in case.done:
        return False
    case.done.add(line)
    change = case.apply(lambda work: copies.begin_with(work, case.path, line))
    return bool(change) and case.note(line, failure.text[:100], change)


def latex(case: Case, failure: Failure) -> bool:
    """Let matplotlib draw the text of a figure itself where there is no LaTeX."""
    if "latex" in case.done or not _TEX.search(f"{failure.text}\n{failure.traceback}"):
        return False
    case.done.add("latex")
    change = case.apply(lambda work: copies.begin_with(work, case.path, _NO_TEX))
    return bool(change) and case.note("draw texts without LaTeX", failure.text[:100], change)


def order(case: Case, failure: Failure) -> bool:
    """Run cells in the author's order where a name is defined further down."""
    if failure.name != "NameError" or "order" in case.done:
        return False
    case.done.add("order")
    found = copies.in_stored_order(case.work, case.path)
    if found is None:
        return False
    case.order = found
    case.replay.append(lambda work: copies.in_stored_order(work, case.path))
    change = Modification("order", case.path, "cells run in the order of their stored counts")
    return case.note("run cells in the stored order", failure.text[:100], change)


def magic(case: Case, failure: Failure) -> bool:
    """Load the extension that an author's profile loaded, or that was installed by an old magic."""
    found = _NO_MAGIC.search(failure.text)
    extension, distribution = _MAGICS.get(found[1], ("", "")) if found else ("", "")
    if not extension or f"magic {extension}" in case.done:
        return False
    case.done.add(f"magic {extension}")
    line = f"%load_ext {extension}"
    change = case.apply(lambda work: copies.begin_with(work, case.path, line))
    if not change:
        return False
    if distribution and not case.has(distribution):
        case.modifications.append(change)
        return add(case, distribution, failure.text[:100])
    return case.note(line, failure.text[:100], change)
