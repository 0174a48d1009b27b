"""JSON outputs (Plotly, Vega, GeoJSON, any ``+json``) as lines, one for each leaf."""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from typing import TYPE_CHECKING, Any

from leman.reproduction.compare.values import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

# Made anew at every run, or a library's defaults of its version: no part of the result.
_GENERATED = frozenset(
    (
        "uid",
        "uuid",
        "model_id",
        "root_id",
        "roots",
        "elementid",
        "plotlyServerURL",
        "template",
        "$schema",
    )
)
_HASH = re.compile(
    r"(?:data-|view_|param_|selector|bk-|p)?(?:[0-9a-f]{16,64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z"
)
_COUNTED = re.compile(r"(?:view_|param_|selector|p)\d{1,6}\Z")  # numbered by a process-wide counter
_TYPES = {
    "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q",
    "f4": "f", "f8": "d",
}  # fmt: skip


def read_json(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return a MIME bundle's JSON, which old front ends stored as text.

    Raises ValueError where the text is no JSON.
    """
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        value = "".join(value)
    return json.loads(value) if isinstance(value, str) else value


def identical(stored: Any, new: Any) -> bool:  # noqa: ANN401
    """Say whether two values are the same JSON; Python calls 1, 1.0 and True equal, JSON does not.

    NaN, which old notebooks hold, is the same as NaN.
    """
    if isinstance(stored, str) or isinstance(new, str):
        return type(stored) is type(new) and bool(stored == new)
    return json.dumps(stored, sort_keys=True) == json.dumps(new, sort_keys=True)


def flattened(value: Any, root: str = "$") -> Iterator[Line]:  # noqa: ANN401
    """Yield a line for each leaf, keys sorted; generated ids are left out. No recursion."""
    stack: list[tuple[str, Any]] = [(root, value)]
    while stack:
        path, one = stack.pop()
        if isinstance(one, dict):
            numbers = _typed_array(one)
            if numbers is not None:
                stack.append((path, numbers))
                continue
            keys = sorted((str(key), key) for key in one)
            stack += [
                (f"{path}.{_key(text)}", one[key])
                for text, key in reversed(keys)
                if text not in _GENERATED
            ]
            if not one:
                yield Line(path, "{ }")
        elif isinstance(one, list | tuple):
            stack += [(f"{path}[{index}]", part) for index, part in reversed([*enumerate(one)])]
            if not one:
                yield Line(path, "[ ]")
        else:
            yield Line(path, f"{_name(path)} = {_leaf(one)}")


def _name(path: str) -> str:
    """Return the last part of a path: compared too, so that a renamed key is seen."""
    return path[path.rfind(".") + 1 :][-300:]


def _key(text: str) -> str:
    return "…" if _HASH.match(text) else text


def _leaf(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, str):
        return "“…”" if _HASH.match(value) or _COUNTED.match(value) else f"“{value}”"
    return json.dumps(value) if isinstance(value, bool | int | float | None) else str(value)


def _typed_array(value: dict[Any, Any]) -> list[Any] | None:
    """Return the numbers of ``{"dtype": "f8", "bdata": "…"}``, which Plotly 6 writes for a list."""
    data, kind = value.get("bdata"), value.get("dtype")
    if not isinstance(data, str) or not isinstance(kind, str) or kind.lstrip("<|") not in _TYPES:
        return None
    code = _TYPES[kind.lstrip("<|")]
    try:
        raw = base64.b64decode(data, validate=True)
        return list(struct.unpack(f"<{len(raw) // struct.calcsize('<' + code)}{code}", raw))
    except (binascii.Error, struct.error):
        return None
