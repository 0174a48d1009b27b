"""Repairs of the notebook's code, in the work copy: one line before it, or the order of cells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leman.environments.model import Modification
from leman.reproduction import work as copies
from leman.reproduction.repair.case import code_of
from leman.reproduction.repair.packages import add

if TYPE_CHECKING:
    from pathlib import Path

    from leman.reproduction.model import Failure
    from leman.reproduction.repair.case import Case

_TEX = re.compile(r"latex could not be found|Failed to process string with tex|dvipng")
# Packages of styles switch LaTeX on too, so every text is told, whoever made it.
_NO_TEX = """\
import matplotlib, matplotlib.text
matplotlib.RcParams.validate["text.usetex"] = lambda value: False
matplotlib.rcParams["text.usetex"] = False
matplotlib.text.Text.get_usetex = lambda self: False"""
_NO_COLAB = re.compile(r"No module named 'google(?:\.colab(?:\.\w+)?)?'")
_STAND_INS = "elsewhere/python"
# Only what mounts, shows or downloads; uploads and secrets need their owner, and fail.
_COLAB = """\
import sys, types

def _nothing(*args, **options):
    return None

def _part(name, *calls):
    part = types.ModuleType(f"{__name__}.{name}")
    for call in calls:
        setattr(part, call, _nothing)
    sys.modules[part.__name__] = part
    globals()[name] = part

_part("drive", "mount", "flush_and_unmount")
_part("files", "download", "view")
_part("output", "enable_custom_widget_manager", "clear", "no_vertical_scroll")
_part("auth", "authenticate_user")
_part("data_table", "enable_dataframe_formatter", "disable_dataframe_formatter")
_part("patches")
_part("userdata")
_patches = sys.modules[__name__ + ".patches"]

def _show(picture):
    from IPython.display import display
    from PIL import Image
    display(Image.fromarray(picture[..., ::-1] if picture.ndim == 3 else picture))

_patches.cv2_imshow = _show

class SecretNotFoundError(Exception):
    pass

class StdinNotImplementedError(Exception):
    pass

def _secret(name):
    raise SecretNotFoundError(f"credentials are not available: the owner's secret {name}")

def _upload(*args):
    raise StdinNotImplementedError("somebody has to choose a file to upload")

sys.modules[__name__ + ".userdata"].get = _secret
sys.modules[__name__ + ".files"].upload = _upload
"""
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


def colab(case: Case, failure: Failure) -> bool:
    """Let calls of Google Colab's own module do nothing: its drive is not there, its files may be.

    What the drive would hold is then looked for in the source (``/content/drive/...``).
    """
    if "colab" in case.done or not _NO_COLAB.search(failure.text):
        return False
    if "google.colab" not in code_of(case):
        return False
    case.done.add("colab")
    path = f"{_STAND_INS}/google/colab/__init__.py"

    def step(work: Path) -> Modification | None:
        told = Modification("cell", path, "stands in for Google Colab's own module")
        return told if copies.put(work, {path: _COLAB.encode()}) else None

    change = case.apply(step)
    case.python_paths = (*case.python_paths, _STAND_INS)
    return bool(change) and case.note("go without Google Colab", failure.text[:100], change)
