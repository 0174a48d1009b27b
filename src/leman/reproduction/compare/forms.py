"""One output of a kind that is understood, brought to lines and pictures, and compared.

A kind is ``stdout``, ``stderr``, ``error`` or a MIME type. Every kind is read into a `Form`, so
that comparing, judging volatility and showing the first difference are written once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from leman.reproduction.compare.images import compare_images, volatile_image
from leman.reproduction.compare.lines import compare_lines
from leman.reproduction.compare.markup import MOST_TAGS, read_html, read_svg
from leman.reproduction.compare.numbers import Match
from leman.reproduction.compare.rules import canonical
from leman.reproduction.compare.structured import flattened, identical, read_json
from leman.reproduction.compare.text import HUGE, compare_text, text_lines
from leman.reproduction.compare.values import Judgement, Line, Tolerance, weakest
from leman.reproduction.compare.volatile import volatile_lines
from leman.reproduction.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

_DRAWN = 0.01  # of an SVG's unit: a hundredth of a point cannot be seen


@dataclass(frozen=True, slots=True)
class Form:
    """An output as read: its lines, its pictures (base64), and the scripts it holds."""

    lines: list[Line]
    images: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    charts: list[Line] = field(default_factory=list)
    lossy: bool = False
    drawn: bool = False


def is_image(kind: str) -> bool:
    """Say whether a MIME type is of a picture made of pixels."""
    return kind.startswith("image/") and kind != "image/svg+xml"


def is_json(kind: str) -> bool:
    """Say whether a MIME type holds JSON."""
    return kind == "application/json" or (kind.startswith("application/") and "+json" in kind)


def read(kind: str, value: Any) -> Form:  # noqa: ANN401 - whatever JSON can hold
    """Read an output. Raises ValueError where JSON is broken."""
    if is_json(kind):
        return Form(list(flattened(read_json(value))))
    text = as_text(value)
    if is_image(kind):
        return Form([], [text], lossy="jpeg" in kind or "jpg" in kind or "webp" in kind)
    if kind == "image/svg+xml":
        return Form(read_svg(text), drawn=True)
    if kind == "text/html" and len(text) <= HUGE and text.count("<") <= MOST_TAGS:
        page = read_html(text)
        return Form(page.lines, page.images, page.scripts, page.charts)
    return Form(text_lines(canonical(text)[0]) if len(text) <= HUGE else _plain_lines(text))


def _plain_lines(text: str) -> list[Line]:
    return [Line(f"line {number}", line) for number, line in enumerate(text.splitlines(), start=1)]


def as_text(value: Any) -> str:  # noqa: ANN401
    """Return the text of a notebook's field: a string, or a list of strings."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return "" if value is None else str(value)


def compare_values(kind: str, stored: Any, new: Any, tolerance: Tolerance) -> Judgement:  # noqa: ANN401
    """Compare two outputs of one kind, or two pictures of two kinds."""
    if is_json(kind):
        return _compare_json(stored, new, tolerance)
    ours, theirs = as_text(stored), as_text(new)
    if ours == theirs:
        return Judgement(Verdict.IDENTICAL)
    if is_image(kind):
        if "".join(ours.split()) == "".join(theirs.split()):
            return Judgement(Verdict.IDENTICAL)
        return compare_images(ours, theirs, lossy="jp" in kind or "webp" in kind)
    if kind in ("text/html", "image/svg+xml"):
        size = max(len(ours), len(theirs))
        if size <= HUGE and max(ours.count("<"), theirs.count("<")) <= MOST_TAGS:
            return compare_forms(read(kind, ours), read(kind, theirs), tolerance)
    return compare_text(ours, theirs, tolerance)


def _compare_json(stored: Any, new: Any, tolerance: Tolerance) -> Judgement:  # noqa: ANN401
    ours, theirs = read_json(stored), read_json(new)
    if identical(ours, theirs):
        return Judgement(Verdict.IDENTICAL)
    left, right = list(flattened(ours)), list(flattened(theirs))
    return compare_forms(Form(left), Form(right), tolerance)


def compare_forms(stored: Form, new: Form, tolerance: Tolerance) -> Judgement:
    """Compare what was read of two outputs, part by part; the weakest part decides."""
    if stored.drawn:
        tolerance = replace(tolerance, atol=max(tolerance.atol, _DRAWN))
    parts = [_compare_parts(stored.lines, new.lines, tolerance)]
    if len(stored.images) != len(new.images):
        counts = f"stored shows {len(stored.images)} pictures, new {len(new.images)}"
        parts.append(Judgement(Verdict.DIFFERENT, counts))
    parts += [
        compare_images(one, other)
        for one, other in zip(stored.images, new.images, strict=False)
        if one != other
    ]
    if stored.charts or new.charts:
        parts.append(_compare_parts(stored.charts, new.charts, tolerance))
    elif stored.scripts != new.scripts:
        parts.append(_scripts(stored, new))
    found = weakest(parts)
    if found.verdict is Verdict.IDENTICAL:
        return Judgement(Verdict.NORMALISED, "equal but for generated names and looks")
    return found


def _scripts(stored: Form, new: Form) -> Judgement:
    if bool(stored.scripts) != bool(new.scripts) and stored.lines and new.lines:
        # Tables come with and without a script that makes them sortable or foldable.
        return Judgement(Verdict.NORMALISED, "equal but for a script that only one side has")
    return Judgement(Verdict.NOT_COMPARED, "a script draws this output, and the scripts differ")


def _compare_parts(stored: Sequence[Line], new: Sequence[Line], tolerance: Tolerance) -> Judgement:
    """Compare lines as they are, and those that differ once more by the rules of plain text."""
    if stored == new:
        return Judgement(Verdict.IDENTICAL)
    left, right, used = _normalised(stored, new)
    outcome = compare_lines(left, right, tolerance)
    if outcome.match is Match.FAR:
        return Judgement(Verdict.DIFFERENT, outcome.detail)
    if outcome.match is Match.NEAR:
        return Judgement(Verdict.TOLERANT, outcome.detail)
    how = ", ".join(used) or "number formats"
    return Judgement(Verdict.NORMALISED, f"equal once {how} are written alike")


def _normalised(
    stored: Sequence[Line], new: Sequence[Line]
) -> tuple[list[Line], list[Line], tuple[str, ...]]:
    left, right = list(stored), list(new)
    used: list[str] = []
    for index, (one, other) in enumerate(zip(stored, new, strict=False)):
        if one.text != other.text:
            ours, names = canonical(one.text)
            theirs, more = canonical(other.text)
            left[index], right[index] = Line(one.where, ours), Line(other.where, theirs)
            used += [*names, *more]
    return left, right, tuple(dict.fromkeys(used))


def volatile(kind: str, values: tuple[Any, Any, Any], tolerance: Tolerance) -> str:
    """Say why an output (stored, new, again) is volatile, or return an empty string."""
    stored, new, again = (read(kind, value) for value in values)
    reasons = []
    lines = [(stored.lines, new.lines, again.lines), (stored.charts, new.charts, again.charts)]
    for ours, theirs, thirds in lines:
        if _compare_parts(ours, theirs, tolerance).verdict is not Verdict.DIFFERENT:
            continue
        reason = volatile_lines(_masked(ours, theirs, thirds), tolerance)
        if not reason:
            return ""
        reasons.append(reason)
    if not len(stored.images) == len(new.images) == len(again.images):
        return ""
    for one, other, third in zip(stored.images, new.images, again.images, strict=True):
        if one != other and not compare_images(one, other, lossy=stored.lossy).equal:
            reason = volatile_image(one, other, third)
            if not reason:
                return ""
            reasons.append(reason)
    return "; ".join(dict.fromkeys(reasons))


def _masked(*sides: Sequence[Line]) -> list[list[Line]]:
    """Apply the rules of plain text to the lines that are not the same on all sides."""
    result = [list(side) for side in sides]
    if len({len(side) for side in sides}) == 1:
        pick = [
            i for i, row in enumerate(zip(*sides, strict=True)) if len({o.text for o in row}) > 1
        ]
    else:
        pick = []
    for side in result:
        for index in pick or range(len(side)):
            side[index] = Line(side[index].where, canonical(side[index].text)[0])
    return result


def shown(kind: str, value: Any) -> str:  # noqa: ANN401
    """Return an output as text that a reader can follow; empty for pictures."""
    if is_image(kind):
        return ""
    if is_json(kind) or kind == "text/html":
        form = read(kind, value)
        return "\n".join(line.text for line in (*form.lines, *form.charts))
    return as_text(value)
