"""Two texts side by side, line by line, with the words that changed marked."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

# difflib's worst case is cubic and these texts may be hostile, so every size has a bound.
MOST_LINES = 120
MOST_COLUMNS = 400
_MOST_WORDS = 120
_MOST_MARKED_LINES = 60
_MOST_ALIGNED = 16
_CONTEXT = 3
_WORD = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\w+|\s+|.")

Piece = tuple[bool, str]  # (changed, text)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the comparison; an empty `stored` or `new` means that the side has no line."""

    kind: Literal["equal", "changed", "removed", "added", "gap"]
    stored: tuple[Piece, ...] = ()
    new: tuple[Piece, ...] = ()
    count: int = 0  # of a gap: how many equal lines it stands for


def rows(stored: str, new: str) -> tuple[Row, ...]:
    """Return the rows that show `stored` beside `new`; equal lines far from a change are counted.

    Of each text the first `MOST_LINES` lines and `MOST_COLUMNS` columns are looked at; a last row
    of kind "gap" with count 0 says that there is more.
    """
    old_lines, new_lines = stored.split("\n"), new.split("\n")
    left, right = (_bounded(lines) for lines in (old_lines, new_lines))
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    found = list(_aligned(matcher, left, right))
    shown = tuple(_folded(found))
    cut = left != old_lines or right != new_lines
    return (*shown, Row("gap")) if cut else shown


def _bounded(lines: list[str]) -> list[str]:
    return [
        line if len(line) <= MOST_COLUMNS else line[:MOST_COLUMNS] + " …"
        for line in lines[:MOST_LINES]
    ]


def _aligned(matcher: SequenceMatcher[str], left: list[str], right: list[str]) -> Iterator[Row]:
    marked = 0
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            yield from (Row("equal", _plain(line), _plain(line)) for line in left[a:b])
            continue
        for old, new in _paired(left[a:b], right[c:d]):
            if old is not None and new is not None:
                marked += 1
                yield _pair(old, new, in_words=marked <= _MOST_MARKED_LINES)
            elif old is not None:
                yield Row("removed", stored=((True, old),))
            elif new is not None:
                yield Row("added", new=((True, new),))


def _paired(left: list[str], right: list[str]) -> list[tuple[str | None, str | None]]:
    """Pair the lines of two blocks in order, the most alike ones with each other.

    Large blocks, and blocks of one length, are paired line by line from the top.
    """
    if len(left) == len(right) or max(len(left), len(right)) > _MOST_ALIGNED:
        return list(zip_longest(left, right))
    old, new = ([Counter(_WORD.findall(line)) for line in block] for block in (left, right))
    best = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for a in reversed(range(len(left))):
        for b in reversed(range(len(right))):
            both = best[a + 1][b + 1] + _alikeness(old[a], new[b])
            best[a][b] = max(best[a + 1][b], best[a][b + 1], both)
    found: list[tuple[str | None, str | None]] = []
    a = b = 0
    while a < len(left) and b < len(right):
        if best[a][b] == best[a + 1][b]:
            found.append((left[a], None))
            a += 1
        elif best[a][b] == best[a][b + 1]:
            found.append((None, right[b]))
            b += 1
        else:
            found.append((left[a], right[b]))
            a, b = a + 1, b + 1
    return [*found, *((line, None) for line in left[a:]), *((None, line) for line in right[b:])]


def _alikeness(old: Counter[str], new: Counter[str]) -> float:
    """Return the share of common words, 0 to 1; under a quarter counts as unrelated."""
    total = old.total() + new.total()
    share = 2 * (old & new).total() / total if total else 1.0
    return share if share >= 0.25 else 0.0


def _plain(line: str) -> tuple[Piece, ...]:
    return ((False, line),)


def _pair(old: str, new: str, *, in_words: bool) -> Row:
    left, right = _WORD.findall(old), _WORD.findall(new)
    if not in_words or max(len(left), len(right)) > _MOST_WORDS:
        return Row("changed", ((True, old),), ((True, new),))
    stored: list[Piece] = []
    fresh: list[Piece] = []
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        changed = tag != "equal"
        if b > a:
            stored.append((changed, "".join(left[a:b])))
        if d > c:
            fresh.append((changed, "".join(right[c:d])))
    return Row("changed", tuple(stored) or ((True, ""),), tuple(fresh) or ((True, ""),))


def _folded(found: list[Row]) -> Iterator[Row]:
    """Replace long runs of equal lines by a gap, some lines of context kept around changes."""
    near = [False] * len(found)
    for number, row in enumerate(found):
        if row.kind != "equal":
            for other in range(max(0, number - _CONTEXT), min(len(found), number + _CONTEXT + 1)):
                near[other] = True
    skipped: list[Row] = []
    for row, keep in zip(found, near, strict=True):
        if not keep:
            skipped.append(row)
            continue
        yield from _gap(skipped)
        skipped = []
        yield row
    yield from _gap(skipped)


def _gap(skipped: list[Row]) -> Iterator[Row]:
    if len(skipped) > 1:
        yield Row("gap", count=len(skipped))
    else:
        yield from skipped
