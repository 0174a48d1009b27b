"""Read notebooks of any quality; put outputs that belong together side by side."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from leman.reproduction.compare import forms
from leman.reproduction.compare.bundle import Output, understood
from leman.reproduction.compare.markup import only_loads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Cell = dict[str, Any]
Paired = tuple["Output | None", "Output | None"]

_OLD_NAMES = {  # nbformat 3, section "output types"
    "png": "image/png",
    "jpeg": "image/jpeg",
    "svg": "image/svg+xml",
    "html": "text/html",
    "latex": "text/latex",
    "javascript": "application/javascript",
    "json": "application/json",
    "text": "text/plain",
}
_ALIGNED = 2000  # outputs or cells; above it they are paired by their place


def cells_of(notebook: Any) -> list[Cell]:  # noqa: ANN401 - from outside
    """Return the cells of a notebook of format 3 or 4; none where it has none."""
    if not isinstance(notebook, dict):
        return []
    found = notebook.get("cells")
    if not isinstance(found, list):
        sheets = notebook.get("worksheets")
        sheets = sheets if isinstance(sheets, list) else []
        found = [
            cell
            for sheet in sheets
            if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
            for cell in sheet["cells"]
        ]
    return [cell if isinstance(cell, dict) else {} for cell in found]


def paired_cells(stored: Sequence[Cell], new: Sequence[Cell]) -> list[Cell]:
    """Return the new cell for each stored one, an empty one where there is none.

    By their place; where their numbers differ, by what their sources have in common.
    """
    if len(stored) == len(new):
        return list(new)
    if max(len(stored), len(new)) > _ALIGNED:
        return [new[index] if index < len(new) else {} for index in range(len(stored))]
    matched: list[Cell] = [{} for _ in stored]
    keys = [[_source(cell) for cell in side] for side in (stored, new)]
    for block in SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_matching_blocks():
        for step in range(block.size):
            matched[block.a + step] = new[block.b + step]
    return matched


def _source(cell: Cell) -> tuple[str, str]:
    return str(cell.get("cell_type")), forms.as_text(cell.get("source", cell.get("input")))


def outputs_of(cell: Cell) -> list[Output]:
    """Return a cell's outputs, streams merged.

    All of stderr becomes one output, because how it interleaves with stdout is chance; stdout
    is merged where nothing but streams stands between.
    """
    raw = cell.get("outputs")
    merged: list[Output] = []
    errors: list[str] = []
    errors_at = 0
    for index, one in enumerate(raw if isinstance(raw, list) else []):
        output = _output(one, index)
        if output is None:
            continue
        text = output.data.get("text")
        if output.kind == "stderr":
            errors_at = errors_at if errors else index
            errors.append(text or "")
        elif output.kind == "stdout" and merged and merged[-1].kind == "stdout":
            joined = merged[-1].data["text"]
            joined.append(text or "")
        else:
            data = {"text": [text or ""]} if output.kind == "stdout" else output.data
            merged.append(Output(output.kind, index, data))
    if errors:
        merged.append(Output("stderr", errors_at, {"text": errors}))
    return merged


def _output(raw: Any, index: int) -> Output | None:  # noqa: ANN401
    if not isinstance(raw, dict):
        return None
    kind = raw.get("output_type")
    if kind == "stream":
        name = raw.get("name", raw.get("stream"))
        text = forms.as_text(raw.get("text"))
        return Output("stderr" if name == "stderr" else "stdout", index, {"text": text})
    if kind in ("error", "pyerr"):
        error = {name: forms.as_text(raw.get(name)) for name in ("ename", "evalue")}
        return Output("error", index, error)
    data = raw.get("data")
    if not isinstance(data, dict):
        data = {new: raw[old] for old, new in _OLD_NAMES.items() if old in raw}
    if kind in ("display_data", "execute_result", "pyout", "update_display_data") or data:
        return Output("display", index, {str(name): value for name, value in data.items()})
    return None


def paired_outputs(stored: Sequence[Output], new: Sequence[Output]) -> Iterator[Paired]:
    """Yield outputs that belong together; None where one side has no counterpart."""
    errors = [[one for one in side if one.kind == "stderr"] for side in (stored, new)]
    ours, theirs = ([one for one in side if one.kind != "stderr"] for side in (stored, new))
    yield from _paired(ours, theirs)
    if errors[0] or errors[1]:
        yield next(iter(errors[0]), None), next(iter(errors[1]), None)


def _paired(stored: Sequence[Output], new: Sequence[Output]) -> Iterator[Paired]:
    if len(stored) == len(new) or max(len(stored), len(new)) > _ALIGNED:
        for index in range(max(len(stored), len(new))):
            yield (
                stored[index] if index < len(stored) else None,
                new[index] if index < len(new) else None,
            )
        return
    # By their kinds, so that one output too many does not shift all others.
    left, right = [_kind(one) for one in stored], [_kind(one) for one in new]
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for tag, start, stop, first, last in matcher.get_opcodes():
        if tag == "equal" or stop - start == last - first:
            yield from zip(stored[start:stop], new[first:last], strict=True)
        else:
            yield from ((one, None) for one in stored[start:stop])
            yield from ((None, one) for one in new[first:last])


def _kind(output: Output) -> str:
    if output.kind != "display":
        return output.kind
    if only_loads(forms.as_text(output.data.get("text/html"))):
        return "loader"
    return next(iter(understood(output)), "display")
