"""Whether a difference is only what changes from run to run.

Two runs of our own are compared first. What is stable between them must be as the author stored
it; what varies must lie in a plausible range. Anything else stays different: that a cell prints
one random number does not excuse another number beside it.
"""

from __future__ import annotations

import statistics
from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from leman.reproduction.compare.lines import tokens
from leman.reproduction.compare.numbers import Match, is_number, match_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leman.reproduction.compare.values import Line, Tolerance

_ONE = 20.0  # spreads between two runs that a single stored number may lie away
_MANY = 10.0  # the same for the median of several
_LINES = 3000  # above it lines are matched by content alone, which takes linear time
_ALSO = "the output also differs between two runs of leman, in the same places"


def volatile_lines(runs: Sequence[Sequence[Line]], tolerance: Tolerance) -> str:
    """Say why an output (stored, new, again) is volatile, or return an empty string."""
    stored, new, again = runs
    if len(new) == len(again):
        if len(stored) != len(new):
            return ""
        return _same_length(stored, new, again, tolerance)
    return _varying_length(stored, new, again)


def _same_length(
    stored: Sequence[Line], new: Sequence[Line], again: Sequence[Line], tolerance: Tolerance
) -> str:
    ratios: list[float] = []
    varying = 0
    for one, other, third in zip(stored, new, again, strict=True):
        if one.text == other.text == third.text:
            continue
        ours, theirs, thirds = tokens(one.text), tokens(other.text), tokens(third.text)
        if len(theirs) != len(thirds):
            varying += 1  # a text of varying length: nothing in it can be held against another
            continue
        if len(ours) != len(theirs):
            return ""
        for stored_token, token, other_token in zip(ours, theirs, thirds, strict=True):
            if _alike(token, other_token, tolerance):
                if not _alike(stored_token, token, tolerance):
                    return ""
                continue
            varying += 1
            ratios += _ratio(stored_token, token, other_token)
    if not varying or not _plausible(ratios):
        return ""
    return f"{_ALSO} ({varying} {'place' if varying == 1 else 'places'})"


def _alike(one: str, other: str, tolerance: Tolerance) -> bool:
    if one == other:
        return True
    if is_number(one) and is_number(other):
        return match_numbers(one, other, tolerance) is not Match.FAR
    return False


def _ratio(stored: str, new: str, again: str) -> list[float]:
    """Return how many spreads the stored number lies from the mean; nothing for words."""
    if not (is_number(new) and is_number(again)):
        return []
    if not is_number(stored):
        return [float("inf")]
    try:
        a, b, c = float(stored), float(new), float(again)
        return [abs(a - (b + c) / 2) / abs(b - c)]
    except (ValueError, OverflowError, ZeroDivisionError):
        return [float("inf")]


def _plausible(ratios: list[float]) -> bool:
    if not ratios:
        return True
    if len(ratios) == 1:
        return ratios[0] <= _ONE
    return statistics.median(ratios) <= _MANY


def _varying_length(stored: Sequence[Line], new: Sequence[Line], again: Sequence[Line]) -> str:
    """Lines that both runs share must be stored too, in their order; the rest is free.

    Lines that share their words but not their numbers are taken as one kind of line.
    """
    spread = abs(len(new) - len(again))
    if abs(len(stored) - len(new)) > 10 * spread:
        return ""
    ours, theirs, thirds = ([line.text for line in one] for one in (stored, new, again))
    stable = _common(theirs, thirds)
    if len(_common(ours, stable)) < len(stable):
        return ""
    kinds = {_kind(text) for text in theirs} | {_kind(text) for text in thirds}
    known = sum(_kind(text) in kinds for text in ours)
    if 2 * known < len(ours):
        return ""
    return f"{_ALSO}: {len(new)} and {len(again)} lines (stored: {len(stored)})"


def _common(one: list[str], other: list[str]) -> list[str]:
    """Return the lines that both have, in order where they are few, else by content."""
    if max(len(one), len(other)) > _LINES:
        return list((Counter(one) & Counter(other)).elements())
    matcher = SequenceMatcher(None, one, other)
    return [
        text for block in matcher.get_matching_blocks()
        for text in one[block.a : block.a + block.size]
    ]  # fmt: skip


def _kind(text: str) -> str:
    return " ".join("0" if is_number(token) else token for token in tokens(text))
