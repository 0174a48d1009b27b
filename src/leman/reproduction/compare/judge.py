"""The verdict on every output of a notebook, and what they amount to.

What a cell's outputs say where one side has none:

- stored but not produced: different, unless it was no result (warnings, progress, the log of an
  installer, the name of an object).
- produced but not stored: different if the cell has other stored outputs and this one is a
  result; not compared if the cell has none, because authors clear outputs. An error that the
  author did not have is different where the author ran the cell.
- stderr is compared like any text, unless both sides hold only warnings, progress, log lines or
  downloads: these tell of the machine and of the versions. Extra stderr is never a result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leman.reproduction.compare import forms, markup, noise
from leman.reproduction.compare.bundle import (
    Output,
    comparable,
    judge,
    kind_of,
    text_of,
    understood,
)
from leman.reproduction.compare.cells import cells_of, outputs_of, paired_cells, paired_outputs
from leman.reproduction.compare.tags import Tags, read_tags
from leman.reproduction.compare.values import Judgement, Tolerance
from leman.reproduction.model import Comparison, OutputVerdict, Same, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from leman.reproduction.compare.cells import Cell

_SHOWN = 2000  # characters of each side that a verdict carries
_EQUAL = (Verdict.IDENTICAL, Verdict.NORMALISED, Verdict.TOLERANT)
_SAME = {
    Verdict.IDENTICAL: Same.EXACT,
    Verdict.NORMALISED: Same.NORMALISED,
    Verdict.TOLERANT: Same.TOLERANT,
}


@dataclass(frozen=True, slots=True)
class _Place:
    """A cell under comparison: its number, tags and tolerance."""

    cell: int
    tags: Tags
    tolerance: Tolerance


def compare(
    stored: dict[str, Any],
    new: dict[str, Any],
    again: dict[str, Any] | None = None,
    *,
    rtol: float = 1e-9,
) -> Comparison:
    """Compare the author's notebook with our run of it, output by output.

    All three are notebooks of nbformat 4 (or 3) as plain dicts; `again` is a second run of ours
    and tells what changes from run to run. `rtol` is the relative tolerance for numbers with a
    fraction; whole numbers must be equal. Never raises: a comparison that breaks is a verdict
    "not compared" with the reason, and the notebook is then not called the same.
    """
    ours = cells_of(stored)
    theirs = paired_cells(ours, cells_of(new))
    thirds = paired_cells(ours, cells_of(again)) if again is not None else [None] * len(ours)
    verdicts: list[OutputVerdict] = []
    broken = False
    for number, (one, other, third) in enumerate(zip(ours, theirs, thirds, strict=True)):
        tags = read_tags(one)
        tolerance = Tolerance(rtol=rtol if tags.rtol is None else tags.rtol)
        place = _Place(number, tags, tolerance)
        for verdict, failed in _compare_cell(place, one, other, third):
            verdicts.append(verdict)
            broken = broken or failed
    return Comparison(tuple(verdicts), overall(verdicts, broken=broken))


def overall(verdicts: list[OutputVerdict], *, broken: bool = False) -> Same:
    """Return what the verdicts amount to: the weakest of those that say anything.

    Without a single output that was found equal there is nothing to call the same, and where a
    comparison broke (`broken`) nothing may be concluded from the others.
    """
    found = {one.verdict for one in verdicts}
    if Verdict.DIFFERENT in found:
        return Same.NO
    equal = [verdict for verdict in _EQUAL if verdict in found]
    return _SAME[equal[-1]] if equal and not broken else Same.NOT_COMPARED


def _compare_cell(
    place: _Place, stored: Cell, new: Cell, again: Cell | None
) -> Iterator[tuple[OutputVerdict, bool]]:
    ours, theirs = outputs_of(stored), outputs_of(new)
    partners = _partners(theirs, outputs_of(again) if again is not None else [])
    ran = stored.get("execution_count", stored.get("prompt_number")) is not None
    for one, other in paired_outputs(ours, theirs):
        if place.tags.exempt:
            judgement = Judgement(Verdict.EXEMPT, f"exempt by the author's tag {place.tags.exempt}")
            if one is None:
                continue
        elif one is None and other is not None:
            judgement = _extra(other, stored_any=bool(ours), ran=ran)
        elif one is not None and other is None:
            judgement = _missing(one)
        elif one is not None and other is not None:
            judgement = judge(one, other, partners.get(other.index), place.tolerance)
        else:
            continue
        crashed = (one is not None and one.kind == "error") != (
            other is not None and other.kind == "error"
        )
        tagged = _tagged(judgement, place.tags, crashed=crashed)
        yield _verdict(place, one, other, tagged), judgement.failed


def _partners(new: list[Output], again: list[Output]) -> dict[int, Output]:
    """Return the second run's counterpart of each output of the first, by its index."""
    return {
        one.index: other
        for one, other in paired_outputs(new, again)
        if one is not None and other is not None
    }


def _tagged(judgement: Judgement, tags: Tags, *, crashed: bool) -> Judgement:
    """Apply the author's tags; no tag makes an error out of, or in place of, a result volatile."""
    detail = "; ".join(filter(None, (judgement.detail, tags.note)))
    if tags.volatile and judgement.verdict is not Verdict.NOT_COMPARED and not crashed:
        return replace(
            judgement,
            verdict=Verdict.VOLATILE,
            detail="; ".join(filter(None, ("volatile by the author's tag leman:volatile", detail))),
        )
    if tags.rtol is not None and judgement.verdict is Verdict.TOLERANT:
        detail = f"{detail} (tolerance {tags.rtol:g} by the author's tag)"
    return replace(judgement, detail=detail)


def _no_result(output: Output) -> str:  # noqa: PLR0911 - one return a kind of output
    """Say why an output is no result, or return an empty string."""
    if output.kind == "stderr":
        return "warnings and progress on stderr" if noise.only_chatter(text_of(output)) else ""
    if output.kind == "stdout":
        text = text_of(output)
        if not text.strip():
            return "white space"
        if noise.only_progress(text):
            return "a progress bar"
        return "the log of an installer" if noise.only_installing(text) else ""
    if output.kind == "display":
        kinds = understood(output)
        if markup.only_loads(forms.as_text(output.data.get("text/html"))):
            return "a drawing library that the page loads"
        text = forms.as_text(output.data.get("text/plain"))
        if not set(kinds) - {"text/plain"} and (
            noise.only_names(text) or noise.only_progress(text) or not kinds
        ):
            return "the name of an object or a widget"
    return ""


def _missing(stored: Output) -> Judgement:
    why = _no_result(stored)
    if why:
        return Judgement(Verdict.NOT_COMPARED, f"the new run has no such output, but it is {why}")
    if stored.kind == "error":
        name = forms.as_text(stored.data.get("ename"))[:80]
        return Judgement(Verdict.DIFFERENT, f"stored raised {name}, the new run raised nothing")
    what = "text on stderr" if stored.kind == "stderr" else stored.label
    return Judgement(Verdict.DIFFERENT, f"the new run has no such output (stored: {what})")


def _extra(new: Output, *, stored_any: bool, ran: bool) -> Judgement:
    if new.kind == "error":
        name = forms.as_text(new.data.get("ename"))[:80]
        if not stored_any and not ran:
            return Judgement(
                Verdict.NOT_COMPARED, f"the new run raised {name}; the author never ran this cell"
            )
        return Judgement(Verdict.DIFFERENT, f"the new run raised {name}, stored raised nothing")
    if new.kind == "stderr":
        return Judgement(Verdict.NOT_COMPARED, "the new run wrote to stderr, stored did not")
    why = _no_result(new)
    if why:
        return Judgement(Verdict.NOT_COMPARED, f"only the new run has this output, and it is {why}")
    if not stored_any:
        return Judgement(Verdict.NOT_COMPARED, "nothing is stored to compare with")
    what = "text" if new.kind == "stdout" else new.label
    return Judgement(Verdict.DIFFERENT, f"only the new run has this output ({what})")


# --- what a report shows of it


def _verdict(
    place: _Place, stored: Output | None, new: Output | None, judgement: Judgement
) -> OutputVerdict:
    some = stored or new
    label = some.label if some else ""
    index = some.index if some else 0
    shown = ("", "")
    pictures = ("", "")
    if judgement.verdict is not Verdict.IDENTICAL:
        try:
            shown = _excerpts(*_texts(stored, new))
            if judgement.verdict in (Verdict.DIFFERENT, Verdict.VOLATILE):
                pictures = (_picture(stored), _picture(new))
        except (ValueError, TypeError, RecursionError):
            shown = ("", "")
    kind = label
    if stored and new and stored.kind == new.kind == "display":
        kind = _safe_kind(stored, new) or label
    return OutputVerdict(
        cell=place.cell,
        output=index,
        kind=kind,
        verdict=judgement.verdict,
        detail=judgement.detail,
        stored=shown[0],
        new=shown[1],
        stored_image=pictures[0],
        new_image=pictures[1],
        picture=judgement.picture,
    )


def _safe_kind(stored: Output, new: Output) -> str:
    try:
        return kind_of(stored, new)
    except (ValueError, TypeError, RecursionError):
        return ""


def _texts(stored: Output | None, new: Output | None) -> tuple[str, str]:
    kind = kind_of(stored, new) if stored and new else ""
    if kind and stored and new and stored.kind != "error":
        return forms.shown(kind, comparable(stored, kind)), forms.shown(kind, comparable(new, kind))
    return _text(stored), _text(new)


def _text(output: Output | None) -> str:
    if output is None:
        return ""
    if output.kind == "error":
        name, message = (forms.as_text(output.data.get(key)) for key in ("ename", "evalue"))
        return f"{name}: {message}"
    if output.kind != "display":
        return text_of(output)
    label = output.label
    return forms.shown(label, output.data.get(label))


def _picture(output: Output | None) -> str:
    """Return a picture as base64 without line ends, empty where the output shows none."""
    if output is None or output.kind != "display" or not forms.is_image(output.label):
        return ""
    return "".join(forms.as_text(output.data.get(output.label)).split())


def _excerpts(stored: str, new: str) -> tuple[str, str]:
    """Cut both sides to what fits, around the place where they first differ."""
    if max(len(stored), len(new)) <= _SHOWN:
        return stored, new
    start = max(0, _first_difference(stored, new) - _SHOWN // 2)
    return _cut(stored, start), _cut(new, start)


def _cut(text: str, start: int) -> str:
    start = max(0, min(start, len(text) - _SHOWN + 2))
    end = start + _SHOWN - 2
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _first_difference(one: str, other: str) -> int:
    """Return the length of the common beginning, by halving: slices compare fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
