"""Sources to publish, and records whose author cheats."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leman.files import remove_tree
from leman.records.bag.check import unheard
from leman.records.bag.seal import seal
from leman.records.layout import SIGNATURES, STAMPS
from leman.records.signing import add_signature

if TYPE_CHECKING:
    from pathlib import Path

    from leman.records.keys import Key
    from leman.records.publish import Published


@dataclass(frozen=True, slots=True)
class Sample:
    """A published record, the source that it was made of, and whom its reader may trust."""

    done: Published
    source: Path
    home: Path
    signers: Path
    authorities: Path


HEIGHTS = [2.31, 2.87, 3.02, 2.64]


def cell(source: str, *outputs: dict[str, Any], number: int, tags: tuple[str, ...] = ()) -> Any:
    """Return a code cell with stored outputs."""
    return {
        "cell_type": "code",
        "id": f"cell-{number}",
        "metadata": {"tags": list(tags)} if tags else {},
        "source": source,
        "outputs": list(outputs),
        "execution_count": number,
    }


def printed(text: str) -> dict[str, Any]:
    """Return what a print leaves behind."""
    return {"output_type": "stream", "name": "stdout", "text": text}


def notebook(*cells: Any) -> str:
    """Return a notebook of Python 3 as JSON."""
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": spec, "language_info": {"name": "python", "version": "3.11.7"}}
    value = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(value, indent=1)


def write_source(folder: Path) -> Path:
    """Write a source of two notebooks that need nothing but Python, with all that may be odd."""
    (folder / "data").mkdir(parents=True)
    (folder / "sub").mkdir()
    (folder / "out").mkdir()
    (folder / "README.md").write_text("# Tides at two harbours\n\nHeights over four hours.\n")
    (folder / "requirements.txt").write_text("")
    (folder / "runtime.txt").write_text("python-3.11-2024-05-01\n")
    (folder / "data" / "heights.csv").write_text("\n".join(map(str, HEIGHTS)) + "\n")
    (folder / "data" / "odd name, é.txt").write_text("x\n")
    (folder / "sub" / "again.csv").symlink_to("../data/heights.csv")
    (folder / "leaves").symlink_to("/etc/hostname")
    (folder / ".env").write_text("TOKEN=not-for-others\n")
    (folder / "data" / ".DS_Store").write_text("litter")
    (folder / "tool.sh").write_text("#!/bin/sh\n")
    (folder / "tool.sh").chmod(0o755)
    (folder / "mean.ipynb").write_text(
        notebook(
            cell("h = [float(x) for x in open('data/heights.csv')]", number=1),
            cell("print(sum(h) / len(h))", printed(f"{sum(HEIGHTS) / 4}\n"), number=2),
            cell("print('max', max(h))", printed("max 3.02\n"), number=3),
        )
    )
    (folder / "draws.ipynb").write_text(
        notebook(
            cell("import random, time", number=1),
            # Letters, since two numbers drawn may lie so close that they excuse nothing.
            cell(
                "print(''.join(random.sample('abcdefghijklmnop', 16)))",
                printed("ponmlkjihgfedcba\n"),
                number=2,
            ),
            cell("print(time.time())", printed("1.0\n"), number=3, tags=("leman:exempt",)),
            cell("print(6 * 7)", printed("42\n"), number=4),
        )
    )
    return folder


def seal_anew(record: Path, key: Key | None) -> str:
    """Make a changed record whole again, as its author could: manifests, then a signature."""
    for name in (SIGNATURES, STAMPS):
        remove_tree(record / name)
    number = seal(record, info=[("Bagging-Date", "2026-11-25")], references=[], progress=unheard)
    if key:
        add_signature(record, key, stamping=None)
    return number


def replace_in(path: Path, old: str, new: str) -> None:
    """Replace the one place where a file has `old`."""
    text = path.read_text()
    assert text.count(old) == 1, (path, old, text.count(old))
    path.write_text(text.replace(old, new))
