"""``data/leman-record.json``: what leman knows of a record, read back without believing it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from leman.findings import Finding
from leman.records.layout import FACTS, FORMAT, LARGEST_FACTS

if TYPE_CHECKING:
    from pathlib import Path

_SHAPE: dict[str, type] = {
    "description": dict,
    "source": dict,
    "environments": list,
    "notebooks": list,
    "exempt": list,
    "references": list,
    "answers": dict,
}
_PATH = re.compile(r"[^\0]+")


def read(root: Path) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Return the facts of the record in `root`, empty where they cannot be used, and why."""
    path = root / FACTS
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST_FACTS:
            return {}, (_bad(f"it is larger than {LARGEST_FACTS} bytes, or a link"),)
        value = json.loads(path.read_bytes())
    except OSError as error:
        return {}, (_bad(f"it cannot be read: {error.strerror}"),)
    except (ValueError, RecursionError) as error:
        return {}, (_bad(f"it is no JSON: {str(error)[:200]}"),)
    wrong = _format(value) or _shape(value)
    return (value, tuple(_paths(value))) if wrong is None else ({}, (wrong,))


def _format(value: Any) -> Finding | None:  # noqa: ANN401 - from outside
    found = value.get("format") if isinstance(value, dict) else None
    if found == FORMAT:
        return None
    if isinstance(found, str) and found.startswith(FORMAT.partition("/")[0] + "/"):
        words = f"the record has the format {found[:40]}, this leman reads {FORMAT}"
        return Finding("future-format", "error", FACTS, words, "Use a newer leman.")
    return _bad(f"its format is {str(found)[:80]!r}, expected {FORMAT!r}")


def _shape(value: dict[str, Any]) -> Finding | None:
    wrong = [name for name, kind in _SHAPE.items() if not isinstance(value.get(name), kind)]
    wrong += [name for name in ("environments", "notebooks") if not _rows(value.get(name))]
    if not wrong:
        return None
    return _bad(f"{', '.join(dict.fromkeys(wrong))}: missing or of the wrong kind")


def _rows(value: Any) -> bool:  # noqa: ANN401 - from outside
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _paths(facts: dict[str, Any]) -> list[Finding]:
    """Check the paths that leman would follow: each stays inside the record."""
    named = [("notebook", one.get("path")) for one in facts["notebooks"]]
    named += [("executed", one.get("executed") or "x") for one in facts["notebooks"]]
    named += [("lock", one.get("lock")) for one in facts["environments"]]
    found = []
    for what, path in named:
        if not isinstance(path, str) or not is_inside(path):
            found.append(_bad(f"the path of a {what} is {str(path)[:200]!r}"))
    return found


def is_inside(path: str) -> bool:
    """Tell whether a relative POSIX path names something below where it starts."""
    parts = path.split("/")
    return bool(_PATH.fullmatch(path)) and not path.startswith("/") and ".." not in parts


def _bad(message: str) -> Finding:
    return Finding(
        "bad-facts", "error", FACTS, message, "Ask the record's author for another copy."
    )
