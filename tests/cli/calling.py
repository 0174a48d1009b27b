"""What the tests of the command line share: how it is called, and projects to call it on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Said:
    """What one call ended with."""

    code: int
    out: str
    err: str


class Leman(Protocol):
    """Calls leman with arguments, in this process."""

    def __call__(self, *arguments: str) -> Said:
        """Return what it said."""
        ...


def project(folder: Path, *cells: tuple[str, str | None]) -> Path:
    """Write a project with one notebook, `a.ipynb`; a cell is code and what it printed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runtime.txt").write_text("python-3.11-2023-06-01\n")
    document: dict[str, Any] = {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {"kernelspec": {"name": "python3", "language": "python"}},
        "cells": [_cell(number, *cell) for number, cell in enumerate(cells, start=1)],
    }
    (folder / "a.ipynb").write_text(json.dumps(document))
    return folder


def _cell(number: int, code: str, printed: str | None) -> dict[str, Any]:
    stream = {"output_type": "stream", "name": "stdout", "text": [printed]}
    return {
        "cell_type": "code",
        "execution_count": number,
        "metadata": {},
        "source": code,
        "outputs": [] if printed is None else [stream],
    }
