"""What the author's cell tags say about comparing.

``leman:exempt`` (also nbval's ``nbval-ignore-output`` and ``nbval-skip``): do not compare.
``leman:volatile``: the outputs change from run to run. ``leman:rtol=1e-3``: this tolerance for
numbers with a fraction. A tag that cannot be read is ignored, and said so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

_EXEMPT = ("leman:exempt", "nbval-ignore-output", "nbval-skip")


@dataclass(frozen=True, slots=True)
class Tags:
    """`exempt` is the tag that exempts the cell, or empty; `note` names tags that were ignored."""

    exempt: str = ""
    volatile: bool = False
    rtol: float | None = None
    note: str = ""


def read_tags(cell: dict[str, Any]) -> Tags:
    """Read the tags of a cell, whatever its metadata looks like."""
    metadata = cell.get("metadata")
    found = metadata.get("tags") if isinstance(metadata, dict) else None
    names = (
        [tag.strip() for tag in found if isinstance(tag, str)] if isinstance(found, list) else []
    )
    rtol, notes = None, []
    for name in names:
        if name.startswith("leman:rtol"):
            value = _number(name.partition("=")[2])
            if value is None:
                notes.append(
                    f"the tag “{name[:60]}” was ignored: expected leman:rtol=1e-3 or alike"
                )
            else:
                rtol = value
        elif name.startswith("leman:") and name not in (*_EXEMPT, "leman:volatile"):
            notes.append(f"the tag “{name[:60]}” was ignored: leman does not know it")
    exempt = next((name for name in names if name in _EXEMPT), "")
    return Tags(exempt, "leman:volatile" in names, rtol, "; ".join(notes))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value < 1 else None
