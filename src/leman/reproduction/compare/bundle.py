"""Which of the forms that an output comes in decides, and the verdict on one pair of outputs.

An output often comes in several forms at once: a data frame as HTML and as text, a chart as
JSON, as a picture and as text. One of them decides, the first that both sides have of:

1. JSON (Plotly, Vega, GeoJSON …): it holds the numbers themselves.
2. HTML that shows text or tables: pandas prints there what its plain text cuts off.
3. pictures made of pixels, PNG before JPEG: what the reader looks at.
4. SVG: exact, but its paths change with every version of the drawing library.
5. LaTeX, then Markdown: text with more in it than the plain form.
6. HTML that shows neither (a script's empty frame).
7. plain text, which is all that is left.

A form that the author's output has and ours lacks is no reason to fall back to plain text that
only names an object: a figure that no longer appears would pass as ``<Figure …>``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from leman.reproduction.compare import forms, noise
from leman.reproduction.compare.markup import shows_something
from leman.reproduction.compare.structured import identical
from leman.reproduction.compare.values import Judgement
from leman.reproduction.model import Verdict

if TYPE_CHECKING:
    from leman.reproduction.compare.values import Tolerance

_WIDGET = "application/vnd.jupyter.widget-view+json"
_NO_RULE = frozenset((_WIDGET, "application/javascript", "application/pdf"))
# JSON beside the output that a front end uses for itself, not the output.
_FRONT_END = (
    "application/vnd.google.colaboratory",
    "application/vnd.jupyter.widget",
    "application/vnd.bokehjs",
    "application/vnd.holoviews",
    "application/vnd.dataresource",
    "application/vnd.microsoft",
    "application/vnd.databricks",
)
_PICTURES = ("image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp", "image/bmp")


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a cell: `kind` is stdout, stderr, error or display; `index` its place."""

    kind: str
    index: int
    data: dict[str, Any]

    @property
    def label(self) -> str:
        """The kind as the report names it: stream, error or the richest MIME type."""
        if self.kind != "display":
            return "error" if self.kind == "error" else "stream"
        return next(iter(understood(self)), next(iter(self.data), "text/plain"))


def understood(output: Output) -> list[str]:
    """Return the MIME types of an output that leman can compare, in the order above."""
    names = [name for name in output.data if name not in _NO_RULE]
    names = [name for name in names if not name.startswith(_FRONT_END)]
    html = "text/html" in names and shows_something(forms.as_text(output.data["text/html"]))
    order = [sorted(name for name in names if forms.is_json(name))]
    order += [["text/html"] if html else [], [name for name in _PICTURES if name in names]]
    order += [["image/svg+xml"], ["text/latex"], ["text/markdown"], ["text/html"], ["text/plain"]]
    flat = [name for group in order for name in group if name in names]
    return list(dict.fromkeys(flat))


def judge(stored: Output, new: Output, again: Output | None, tolerance: Tolerance) -> Judgement:
    """Compare one stored output with the new one; never raises."""
    try:
        found = _judge(stored, new, tolerance)
        if (
            again is None
            or found.verdict is Verdict.NOT_COMPARED
            or identical(again.data, new.data)
        ):
            return found
        return _with_second_run(found, (stored, new, again), tolerance)
    except Exception as error:  # noqa: BLE001 - hostile input may break any parser
        said = f"{type(error).__name__}: {str(error)[:200]}"
        return Judgement(Verdict.NOT_COMPARED, f"the comparison itself failed: {said}", failed=True)


def _judge(stored: Output, new: Output, tolerance: Tolerance) -> Judgement:
    if stored.kind == new.kind and identical(stored.data, new.data):
        return Judgement(Verdict.IDENTICAL)
    if stored.kind != new.kind:
        return Judgement(Verdict.DIFFERENT, f"stored is {_named(stored)}, new is {_named(new)}")
    special = {"error": _judge_errors, "stderr": _judge_stderr, "stdout": _judge_stdout}
    if stored.kind in special:
        return special[stored.kind](stored, new, tolerance)
    kind, judgement = decisive(stored, new)
    if judgement is not None:
        return judgement
    return forms.compare_values(kind, stored.data[kind], _counterpart(new, kind), tolerance)


def _counterpart(output: Output, kind: str) -> Any:  # noqa: ANN401
    """Return the value under `kind`, or another picture where that was found instead."""
    if kind in output.data:
        return output.data[kind]
    return next((output.data[name] for name in _PICTURES if name in output.data), None)


def decisive(  # noqa: PLR0911 - one return for each case of the table above
    stored: Output, new: Output
) -> tuple[str, Judgement | None]:
    """Return the MIME type that decides, or a judgement where none can."""
    ours, theirs = understood(stored), understood(new)
    if _WIDGET in stored.data or _WIDGET in new.data:
        return _widget(stored, ours, theirs)
    if not ours:
        kinds = ", ".join(stored.data) or "nothing"
        return "", Judgement(Verdict.NOT_COMPARED, f"no rule for {kinds}")
    common = [name for name in ours if name in theirs]
    first = ours[0]
    if common and (common[0] == first or _says_something(stored, common[0])):
        if common[0] != first and forms.is_image(first):
            return "", _lost(first, new)
        return common[0], None
    if forms.is_image(first) and theirs and forms.is_image(theirs[0]):
        return first, None
    if set(theirs) <= {"text/plain"} and first != "text/plain":
        return "", _lost(first, new)
    if any(name in _NO_RULE for name in stored.data) and first == "text/plain":
        return "", Judgement(Verdict.NOT_COMPARED, f"no rule for {', '.join(stored.data)}")
    kinds = f"stored is {first}, new is {theirs[0] if theirs else 'nothing'}"
    return "", Judgement(Verdict.NOT_COMPARED, f"{kinds}: no rule compares the two")


def _says_something(stored: Output, kind: str) -> bool:
    return kind != "text/plain" or not noise.only_names(forms.as_text(stored.data[kind]))


def _lost(kind: str, new: Output) -> Judgement:
    other = ", ".join(new.data) or "nothing"
    return Judgement(Verdict.DIFFERENT, f"stored has {kind}, the new run has {other} instead")


def _widget(stored: Output, ours: list[str], theirs: list[str]) -> tuple[str, Judgement | None]:
    common = [name for name in ours if name in theirs and name != "text/plain"]
    if common:
        return common[0], None
    if ours and ours[0] != "text/plain" and not theirs:
        return "", Judgement(Verdict.DIFFERENT, f"stored has {ours[0]}, the new run only a widget")
    text = forms.as_text(stored.data.get("text/plain", ""))
    state = "a progress bar" if noise.only_progress(text) else "widget"
    return "", Judgement(Verdict.NOT_COMPARED, f"{state}: its state is not compared")


def _judge_errors(stored: Output, new: Output, tolerance: Tolerance) -> Judgement:
    ours, theirs = (forms.as_text(one.data.get("ename")) for one in (stored, new))
    if ours.rpartition(".")[2] != theirs.rpartition(".")[2]:
        return Judgement(Verdict.DIFFERENT, f"stored raised {ours[:80]}, the new run {theirs[:80]}")
    found = forms.compare_values(
        "error", stored.data.get("evalue"), new.data.get("evalue"), tolerance
    )
    if found.verdict is Verdict.DIFFERENT:
        return replace(
            found, detail=f"both raised {ours[:80]}, the message differs: {found.detail}"
        )
    return found


def _judge_stderr(stored: Output, new: Output, tolerance: Tolerance) -> Judgement:
    ours, theirs = text_of(stored), text_of(new)
    if ours != theirs and noise.only_chatter(ours) and noise.only_chatter(theirs):
        return Judgement(Verdict.NOT_COMPARED, "stderr: warnings and progress only")
    found = forms.compare_values("stderr", ours, theirs, tolerance)
    if found.verdict is Verdict.DIFFERENT:
        return replace(found, detail=f"stderr: {found.detail}")
    return found


def _judge_stdout(stored: Output, new: Output, tolerance: Tolerance) -> Judgement:
    ours, theirs = text_of(stored), text_of(new)
    if ours != theirs and noise.only_installing(ours) and noise.only_installing(theirs):
        return Judgement(Verdict.NOT_COMPARED, "the log of an installer is no result")
    return forms.compare_values("stdout", ours, theirs, tolerance)


def text_of(output: Output) -> str:
    """Return the text of a stream."""
    return forms.as_text(output.data.get("text"))


def _named(output: Output) -> str:
    if output.kind == "error":
        return f"the error {forms.as_text(output.data.get('ename'))[:80]}"
    return f"text on {output.kind}" if output.kind != "display" else output.label


# --- a second run


def comparable(output: Output, kind: str) -> Any:  # noqa: ANN401
    """Return what of an output is compared under a kind."""
    if output.kind == "display":
        return _counterpart(output, kind)
    return output.data.get("evalue" if output.kind == "error" else "text")


def kind_of(stored: Output, new: Output) -> str:
    """Return the kind under which a pair is compared, empty where there is none."""
    if stored.kind != new.kind:
        return ""
    return decisive(stored, new)[0] if stored.kind == "display" else stored.kind


def _with_second_run(
    found: Judgement, runs: tuple[Output, Output, Output], tolerance: Tolerance
) -> Judgement:
    stored, new, again = runs
    kind = kind_of(stored, new)
    if not kind or again.kind != new.kind:
        return found
    if kind == "error" and len({one.data.get("ename") for one in runs}) > 1:
        return found
    values = (comparable(stored, kind), comparable(new, kind), comparable(again, kind))
    if values[2] is None:
        return found
    if found.equal:
        return _noted(found, kind, values, tolerance)
    reason = forms.volatile(kind, values, tolerance)
    if not reason:
        return found
    return replace(found, verdict=Verdict.VOLATILE, detail=f"{reason}; {found.detail}")


def _noted(
    found: Judgement, kind: str, values: tuple[Any, Any, Any], tolerance: Tolerance
) -> Judgement:
    """Add to a verdict of equality that a second run gave something else."""
    if identical(values[1], values[2]):
        return found
    other = forms.compare_values(kind, values[1], values[2], tolerance)
    if other.verdict is not Verdict.DIFFERENT:
        return found
    note = f"a second run of leman differs: {other.detail}"
    return replace(found, detail="; ".join(filter(None, (found.detail, note))))
