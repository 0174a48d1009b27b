"""Plain text: terminal output, reprs, Markdown, LaTeX."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from leman.reproduction.compare.lines import compare_lines
from leman.reproduction.compare.numbers import Match, match_numbers
from leman.reproduction.compare.rules import canonical
from leman.reproduction.compare.values import Judgement, Line, Tolerance
from leman.reproduction.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

HUGE = 2_000_000  # characters; beyond it only lines that differ are looked at closely
_LITERAL = 100_000
_MARK = re.compile(r"[\[({]|[\])}]|\n|'[^'\n]*'|\"[^\"\n]*\"")


def text_lines(text: str) -> list[Line]:
    """Split into lines that hold something; an array that is printed over several is one line."""
    breaks = _breaks(text)
    lines = []
    start, number = 0, 1
    for end in [*breaks, len(text)]:
        part = text[start:end]
        if part.strip():
            skipped = len(part) - len(part.lstrip("\n"))
            lines.append(Line(f"line {number + skipped}", part.strip("\n").rstrip()))
        number += part.count("\n") + 1
        start = end + 1
    return lines


def _breaks(text: str) -> list[int]:
    """Return where lines end, leaving out line ends inside brackets that are closed later."""
    sure: list[int] = []
    inside: list[int] = []
    depth = 0
    for mark in _MARK.finditer(text):
        sign = mark[0]
        if sign == "\n":
            (inside if depth else sure).append(mark.start())
        elif len(sign) == 1 and sign in "[({":
            depth += 1
        elif len(sign) == 1 and sign in "])}" and depth:
            depth -= 1
            if not depth:
                inside.clear()
    return sure + inside


def compare_text(  # noqa: PLR0911 - each way of being equal has its own verdict
    stored: str, new: str, tolerance: Tolerance
) -> Judgement:
    """Compare two texts: identical, equal once normalised, within tolerance, or different."""
    if stored == new:
        return Judgement(Verdict.IDENTICAL)
    if max(len(stored), len(new)) > HUGE:
        return _compare_huge(stored, new, tolerance)
    ours, used_ours = canonical(stored)
    theirs, used_theirs = canonical(new)
    names = tuple(dict.fromkeys(used_ours + used_theirs))
    if ours == theirs:
        return Judgement(Verdict.NORMALISED, _alike(names))
    left, right = text_lines(ours), text_lines(theirs)
    outcome = compare_lines(left, right, tolerance)
    if outcome.match is Match.FAR:
        literal = _compare_literals(ours, theirs, tolerance)
        return literal or Judgement(Verdict.DIFFERENT, outcome.detail)
    moved = _moved_column(left, right)
    if moved:
        return Judgement(Verdict.DIFFERENT, moved)
    if outcome.match is Match.NEAR:
        return Judgement(Verdict.TOLERANT, outcome.detail)
    return Judgement(Verdict.NORMALISED, _alike((*names, "white space and number formats")))


def _alike(names: tuple[str, ...]) -> str:
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"equal once {listed} are written alike"


def _compare_huge(stored: str, new: str, tolerance: Tolerance) -> Judgement:
    """Compare line by line, looking closely only at lines that differ."""
    ours, theirs = stored.splitlines(), new.splitlines()
    if len(ours) != len(theirs):
        return Judgement(Verdict.DIFFERENT, f"stored has {len(ours)} lines, new has {len(theirs)}")
    left, right = [], []
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True), start=1):
        if one != other:
            left.append(Line(f"line {number}", canonical(one)[0]))
            right.append(Line(f"line {number}", canonical(other)[0]))
    outcome = compare_lines(left, right, tolerance)
    if outcome.match is Match.FAR:
        return Judgement(Verdict.DIFFERENT, outcome.detail)
    if outcome.match is Match.NEAR:
        return Judgement(Verdict.TOLERANT, outcome.detail)
    return Judgement(Verdict.NORMALISED, f"{len(left)} of {len(ours)} lines are written otherwise")


# --- a value that has slipped into another column of a printed table


def _moved_column(stored: list[Line], new: list[Line]) -> str:
    """Name the first line of a printed table whose values stand under other columns.

    White space is otherwise free, and an empty cell is white space. Looked for only where most
    lines have as many fields as the widest, which makes a table of the text.
    """
    if all(_gaps(one.text) == _gaps(other.text) for one, other in zip(stored, new, strict=True)):
        return ""
    ours = [_fields(line.text) for line in stored]
    theirs = [_fields(line.text) for line in new]
    widest = max(map(len, ours), default=0)
    full = [index for index, fields in enumerate(ours) if len(fields) == widest]
    if widest < 2 or len(full) < 2 or 2 * len(full) < len(ours):
        return ""
    guide = full[0]
    if len(theirs[guide]) != widest:
        return ""
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if len(one) < widest and _owners(one, ours[guide]) != _owners(other, theirs[guide]):
            return f"a value stands in another column ({stored[index].where})"
    return ""


def _gaps(text: str) -> list[str]:
    return re.findall(r"\s+", text)


def _fields(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer(r"\S+", text)]


def _owners(fields: list[tuple[int, int]], columns: list[tuple[int, int]]) -> list[int]:
    """Return the column that each field stands under, by the nearer of its two edges."""
    return [
        min(
            range(len(columns)),
            key=lambda index: min(abs(columns[index][0] - start), abs(columns[index][1] - end)),
        )
        for start, end in fields
    ]


# --- literals: a dict has no order that its value depends on


def _compare_literals(stored: str, new: str, tolerance: Tolerance) -> Judgement | None:
    """Compare two Python literals by value; None where they are none or are not equal."""
    if not stored.lstrip().startswith(("{", "[", "(")) or max(len(stored), len(new)) > _LITERAL:
        return None
    try:
        ours, theirs = ast.literal_eval(stored.strip()), ast.literal_eval(new.strip())
        matches = max(_match_values(ours, theirs, tolerance), default=Match.SAME)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if matches is Match.FAR:
        return None
    verdict = Verdict.TOLERANT if matches is Match.NEAR else Verdict.NORMALISED
    return Judgement(verdict, "the same Python value, its keys printed in another order")


def _match_values(stored: Any, new: Any, tolerance: Tolerance) -> Iterator[Match]:  # noqa: ANN401
    """Yield how the leaves of two literals match."""
    if type(stored) is not type(new):
        yield Match.FAR
    elif isinstance(stored, dict):
        yield Match.FAR if stored.keys() != new.keys() else Match.SAME
        for key in stored.keys() & new.keys():
            yield from _match_values(stored[key], new[key], tolerance)
    elif isinstance(stored, list | tuple):
        yield Match.FAR if len(stored) != len(new) else Match.SAME
        for one, other in zip(stored, new, strict=False):
            yield from _match_values(one, other, tolerance)
    elif isinstance(stored, float):
        yield match_numbers(repr(stored), repr(new), tolerance)
    else:
        yield Match.SAME if stored == new else Match.FAR
