"""Two sequences of lines, compared piece by piece."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leman.reproduction.compare.numbers import (
    NUMBER,
    Match,
    is_number,
    match_numbers,
    relative_difference,
    rounding_noise,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leman.reproduction.compare.values import Line, Tolerance

_TOKEN = re.compile(rf"{NUMBER}|[^\W\d]\w*|\S")
_SHOWN = 80


def tokens(text: str) -> list[str]:
    """Return numbers, words and single signs in their order; white space separates and is gone."""
    return _TOKEN.findall(text)


@dataclass(slots=True)
class Outcome:
    """What two sequences of lines amount to; `detail` is a sentence where they are not the same."""

    match: Match = Match.SAME
    detail: str = ""
    where: str = ""


@dataclass(slots=True)
class _Tally:
    """What was seen on the way through the lines."""

    match: Match = Match.SAME
    far: int = 0
    near: int = 0
    largest: float = -1.0
    example: tuple[str, str, str] = ("", "", "")
    words: list[tuple[str, str, str]] = field(default_factory=list)

    def number(self, match: Match, stored: str, new: str, where: str) -> None:
        self.match = max(self.match, match)
        if match is Match.SAME or match is Match.VALUE:
            return
        self.far += match is Match.FAR
        self.near += match is Match.NEAR
        difference = relative_difference(stored, new)
        if self.match is match and (difference > self.largest or self.far + self.near == 1):
            self.largest, self.example = difference, (stored, new, where)

    def word(self, stored: str, new: str, where: str) -> None:
        self.match = Match.FAR
        if len(self.words) < 1000:
            self.words.append((stored, new, where))


def compare_lines(stored: Sequence[Line], new: Sequence[Line], tolerance: Tolerance) -> Outcome:
    """Compare line by line; another number of lines is a difference. Time is linear."""
    tally = _Tally()
    for one, other in zip(stored, new, strict=False):
        if one.where != other.where and _placed(one.where) and _placed(other.where):
            tally.word(one.where, other.where, one.where)
        elif one.text != other.text:
            _compare_line(one, other, tolerance, tally)
        if len(stored) != len(new) and tally.match is Match.FAR:
            break
    if len(stored) != len(new):
        return _other_length(stored, new, tally)
    return Outcome(tally.match, _sentence(tally, stored), _first_place(tally))


def _placed(where: str) -> bool:
    """Say whether a place is part of the result: a table's cell, a JSON document's leaf."""
    return where.startswith(("table", "$", "chart"))


def _compare_line(stored: Line, new: Line, tolerance: Tolerance, tally: _Tally) -> None:
    ours, theirs = tokens(stored.text), tokens(new.text)
    if len(ours) != len(theirs):
        tally.word(stored.text, new.text, stored.where)
        return
    tally.match = max(tally.match, Match.VALUE)
    scale = -1.0
    for one, other in zip(ours, theirs, strict=True):
        if one == other:
            continue
        if not (is_number(one) and is_number(other)):
            tally.word(stored.text, new.text, stored.where)
            return
        match = match_numbers(one, other, tolerance)
        if match is Match.FAR and "[" in stored.text and stored.where.startswith("line"):
            scale = _scale(ours) if scale < 0 else scale
            match = Match.NEAR if rounding_noise(one, other, scale) else match
        tally.number(match, one, other, stored.where)


def _scale(found: list[str]) -> float:
    sizes = [abs(float(one)) for one in found if is_number(one) and len(one) < 40]
    return max(sizes, default=0.0)


def _other_length(stored: Sequence[Line], new: Sequence[Line], tally: _Tally) -> Outcome:
    counts = f"stored has {len(stored)} {_unit(stored)}, new has {len(new)}"
    if tally.match is Match.FAR:
        first = (tally.words or [tally.example])[0]
        counts += f"; the first difference is at {first[2]}: {_shown(first)}"
        return Outcome(Match.FAR, counts, first[2])
    rest = (stored if len(stored) > len(new) else new)[min(len(stored), len(new))]
    side = "stored" if len(stored) > len(new) else "new"
    return Outcome(Match.FAR, f"{counts}; only {side} has “{_cut(rest.text)}” ({rest.where})", "")


def _unit(lines: Sequence[Line]) -> str:
    return "lines" if not lines or lines[0].where.startswith("line") else "values"


def _first_place(tally: _Tally) -> str:
    return tally.words[0][2] if tally.words else tally.example[2]


def _sentence(tally: _Tally, stored: Sequence[Line]) -> str:
    if tally.words:
        count = len(tally.words)
        more = f"{count} places differ, the first" if count > 1 else "the text differs"
        numbers = f"; {tally.far} numbers differ besides" if tally.far else ""
        return f"{more} at {tally.words[0][2]}: {_shown(tally.words[0])}{numbers}"
    if not (tally.far or tally.near):
        return ""
    total = sum(1 for line in stored for token in tokens(line.text) if is_number(token))
    one, other, where = tally.example
    count = tally.far or tally.near
    verb = "differ" if tally.far else "differ within the tolerance"
    many = f"{count} of {total} numbers {verb}"
    if total == 1:
        many = f"the number {'differs' if tally.far else 'differs within the tolerance'}"
    size = f"by {tally.largest:.2g} relative"
    if count > 1:
        size = f"the largest {size}"
    return f"{many}, {size}: stored {_cut(one)}, new {_cut(other)} ({where})"


def _shown(pair: tuple[str, str, str]) -> str:
    """Show both sides from shortly before they part."""
    stored, new, _ = pair
    same = 0
    for one, other in zip(stored, new, strict=False):
        if one != other:
            break
        same += 1
    start = max(0, same - 20)
    lead = "…" if start else ""
    return f"stored “{lead}{_cut(stored[start:])}”, new “{lead}{_cut(new[start:])}”"


def _cut(text: str) -> str:
    text = " ".join(text[: 4 * _SHOWN].split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
