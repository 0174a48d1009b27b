"""Small notebooks for tests, and how to run them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from leman.reproduction import run
from leman.reproduction.model import Execution, Limits

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits(seconds=60, memory=1_200_000_000, processes=64, output=5_000_000)


def code(source: str, *outputs: dict[str, Any], tags: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a code cell with stored outputs."""
    metadata = {"tags": list(tags)} if tags else {}
    return {
        "cell_type": "code",
        "source": source,
        "metadata": metadata,
        "outputs": list(outputs),
        "execution_count": None,
    }


def error(name: str) -> dict[str, Any]:
    """Return a stored error."""
    return {"output_type": "error", "ename": name, "evalue": "", "traceback": []}


def write(path: Path, *cells: dict[str, Any] | str) -> Path:
    """Write a version 4 notebook; a string is the source of a code cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = [code(cell) if isinstance(cell, str) else cell for cell in cells]
    content = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": whole}
    path.write_text(json.dumps(content))
    return path


def execute(
    notebook: Path,
    environment: run.HasPython,
    *,
    work: Path | None = None,
    limits: Limits = LIMITS,
    level: str = "sandbox",
    **options: Any,
) -> Execution:
    """Run a notebook without network; the executed one lies beside its work folder."""
    work = work or notebook.parent
    return run.execute(
        notebook,
        out=work.parent / "executed.ipynb",
        environment=environment,
        work=work,
        limits=limits,
        isolation=run.isolate(level, network=False),
        **options,
    )


def outputs(execution: Execution) -> list[list[str]]:
    """Return the outputs of an executed notebook, cell by cell, as short texts."""
    cells = json.loads(execution.notebook.read_text())["cells"]
    return [[_text(output) for output in cell.get("outputs", [])] for cell in cells]


def _text(output: dict[str, Any]) -> str:
    text = output.get("text") or output.get("data", {}).get("text/plain") or output.get("ename")
    return text if isinstance(text, str) else "".join(text or [])
