"""What to change after a notebook failed, so that it may run: one small step at a time.

The order is policy: what changes nothing of the author's comes first (a package that was not
declared, the folder of a module of the source), then files in the work copy, then what the
source's history holds, then the order of cells, and last the date and the Python, because these
change every result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leman.reproduction.repair import code, files, packages, past
from leman.reproduction.repair.case import PACKAGES, Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.reproduction.model import Failure

__all__ = ["PACKAGES", "RUNGS", "Case", "repair"]


def repair(case: Case, failure: Failure) -> bool:
    """Change `case` by the first repair that fits the failure and was not tried; False if none."""
    return any(rung(case, failure) for rung in RUNGS)


RUNGS: tuple[Callable[[Case, Failure], bool], ...] = (
    packages.abi,
    code.submodule,
    code.colab,
    packages.module,
    code.magic,
    files.clone,
    files.own_address,
    code.latex,
    files.folder,
    files.file,
    past.gone,
    code.order,
    past.older_code,
    packages.package_back,
    packages.time,
)
