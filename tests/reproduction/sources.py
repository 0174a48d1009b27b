"""Small sources of notebooks for tests of what happens before and after a run."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

from leman.environments.model import Source

if TYPE_CHECKING:
    from pathlib import Path


def cell(source: str, *outputs: dict[str, Any], count: int | None = None) -> dict[str, Any]:
    """Return a code cell; `count` is the number under which its author ran it."""
    return {
        "cell_type": "code",
        "source": source.splitlines(keepends=True),
        "metadata": {},
        "outputs": list(outputs),
        "execution_count": count,
    }


def printed(text: str) -> dict[str, Any]:
    """Return a stored output of print()."""
    return {"output_type": "stream", "name": "stdout", "text": text}


def book(*cells: dict[str, Any] | str, **metadata: Any) -> dict[str, Any]:
    """Return a notebook; a string is the source of a code cell."""
    whole = [one if isinstance(one, dict) else cell(one) for one in cells]
    return {"cells": whole, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}


def source(folder: Path, files: dict[str, Any], *, missing: tuple[str, ...] = ()) -> Source:
    """Write files (a notebook as a dict) below `folder` and return it as a source of 2020."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return Source("here", "", folder, "sha256:0", published=date(2020, 1, 1), missing=missing)


def codes(path: Path) -> list[str]:
    """Return the sources of a notebook's cells."""
    return ["".join(one["source"]) for one in json.loads(path.read_text())["cells"]]
