"""Compare two drawings of a word glyph by glyph: each may have its own place and size.

Another FreeType rounds the place of every glyph for itself, so the second half of a word may lie
a pixel further left while the first does not move. Both drawings are cut into what hangs together
(with dots and accents above it), the parts are matched in order, and parts that touch in one
drawing only are held against each other together. A part must keep its place along the word and
its distance from the line within about a pixel, and its shape within a limit. A letter that was
dropped, a sign or a point that came or moved leaves a part without its like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leman.reproduction.compare.glyphs import blurred, likeness
from leman.reproduction.compare.pixels import window
from leman.reproduction.compare.regions import boxes, labelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.reproduction.compare.pixels import Plane

_INK = 0.35  # what hangs together
_MOST_PARTS = 80
_NEAR = 1.5  # pixels
# Pixels by which the sides of a part may differ: along the word, at its top and at its bottom.
# Commas differ from points by what hangs below the line, so small parts may differ by less.
_ALONG, _TOP, _BOTTOM, _SMALL = 1.25, 1.3, 0.8, 0.6
_FOOT = 0.3  # by which the foot of a point may move that grew with the digits
_ASIDE = 1.1  # by which a part may be elsewhere along the word
_POINT = 0.45  # of the height of a digit, which a point, a comma or a hyphen does not exceed
_MORE_INK = 1.6
_LARGE, _TOP_OF_LARGE = 11, 2.1  # hinting draws letters of this height up to two pixels higher


@dataclass(frozen=True, slots=True)
class _Part:
    """Ink that hangs together, in the frame of the word, and where it ends (parts of pixels)."""

    ink: Plane
    left: float
    right: float
    top: float
    bottom: float


def same_glyphs(stored: Plane, new: Plane, reach: float, limit: Callable[[float], float]) -> bool:
    """Say whether two drawings of one place have the same glyphs in the same order.

    `stored` and `new` hold the ink (0 to 1), `reach` says how far the word may have moved (pixels),
    `limit` what `likeness` may leave over for a glyph of some height.
    """
    import numpy as np  # noqa: PLC0415

    ours, theirs = _both(stored, new)
    if not ours or not theirs:
        return False
    pairs = _matched(ours, theirs, reach)
    if len(pairs) < 2:
        return False
    line = float(np.median([other.bottom - one.bottom for one, other in pairs]))
    if abs(line) > reach + 0.5:
        return False
    sizes = _sizes(pairs)
    return all(
        _on_line(*pair, line, size) and _alike(*pair, size) <= limit(size)
        for pair, size in zip(pairs, sizes, strict=True)
    )


def same_points(stored: Plane, new: Plane, give: float = 1) -> bool:
    """Say whether two drawings of one word agree in their points, commas and hyphens.

    These are a few pixels, which `likeness` hardly sees beside digits. `give` is a share of what
    another rendering may change.
    """
    import numpy as np  # noqa: PLC0415

    both = _both(stored, new)
    if not all(both):
        return False
    most = min(max(part.bottom - part.top for part in parts) for parts in both)
    small = [[part for part in parts if _is_small(part, most)] for parts in both]
    if len(small[0]) != len(small[1]):
        return False
    large = [[part for part in parts if not _is_small(part, most)] for parts in both]
    lines = [float(np.median([part.bottom for part in parts])) for parts in large]
    tops = [float(np.median([part.top for part in parts])) for parts in large]
    line = lines[1] - lines[0]
    rise = tops[1] - tops[0] - line if most >= _LARGE and give == 1 else 0.0
    return all(
        _on_line(*pair, line, most, give) or _grown(*pair, line, rise)
        for pair in zip(small[0], small[1], strict=True)
    )


def _grown(one: _Part, other: _Part, line: float, rise: float) -> bool:
    """Say whether a point got as much higher, or lower, as hinting drew the digits beside it.

    Its foot has to stay: a comma has its own below the line.
    """
    top, bottom = other.top - one.top - line, other.bottom - one.bottom - line
    more, less = sorted((float(one.ink.sum()), float(other.ink.sum())))[::-1]
    return (
        abs(rise) <= _TOP
        and abs(top - rise) <= _SMALL
        and abs(bottom) <= _FOOT
        and more <= _MORE_INK * less
    )


def _is_small(part: _Part, height: float) -> bool:
    return max(part.bottom - part.top, part.right - part.left) <= _POINT * height


def _both(stored: Plane, new: Plane) -> tuple[list[_Part], list[_Part]]:
    import numpy as np  # noqa: PLC0415

    if stored.shape[0] > stored.shape[1]:  # upright
        stored, new = np.rot90(stored, -1), np.rot90(new, -1)
    return _parts(stored), _parts(new)


def _sizes(pairs: list[tuple[_Part, _Part]]) -> list[float]:
    """Return for each pair the height that a digit of the same font size has, or less.

    That is the height of capitals where the word has any and the part stands on the line, as small
    letters and points do; raised and lowered digits count for themselves.
    """
    import numpy as np  # noqa: PLC0415

    tall = [min(part.bottom - part.top for part in pair) for pair in pairs]
    base = float(np.median([one.bottom for one, _ in pairs]))
    # Brackets are higher than digits: narrow, and they reach below the line.
    most = max(
        (
            own
            for (one, other), own in zip(pairs, tall, strict=True)
            if max(one.right - one.left, other.right - other.left) > 0.45 * own
            or abs(one.bottom - base) <= 0.75
        ),
        default=0.0,
    )
    sizes = []
    for (one, _), own in zip(pairs, tall, strict=True):
        if own < _POINT * most:
            sizes.append(most)  # a point or a dash
        elif own < 0.85 * most and abs(one.bottom - base) <= 1:
            sizes.append(min(most, own / 0.75))
        else:
            sizes.append(min(most, own))
    return sizes


def _parts(ink: Plane) -> list[_Part]:
    """Cut a word into what hangs together, from left to right; empty where it is too ragged."""
    import numpy as np  # noqa: PLC0415

    found = labelled(ink > _INK)
    if found is None or not 0 < found[1] <= _MOST_PARTS:
        return []
    labels, count = found
    spans = [(place[1].start, place[1].stop) for place in boxes(labels, count)]
    groups = _overlapping(spans, spans)
    around = [
        window((labels == one).astype(np.uint8), 1, np.maximum) for one in range(1, count + 1)
    ]
    parts = []
    for group in groups:
        own = np.isin(labels, [one + 1 for one in group])
        near = np.maximum.reduce([around[one] for one in group]).astype(bool)
        parts.append(_part(np.where(own | (near & (labels == 0)), ink, 0).astype(np.float32)))
    return sorted(parts, key=lambda part: part.left)


def _part(ink: Plane) -> _Part:
    top, bottom = _ends(ink.max(axis=1))
    left, right = _ends(ink.max(axis=0))
    return _Part(ink, left, right, top, bottom)


def _ends(profile: Any) -> tuple[float, float]:  # noqa: ANN401 - a row of numbers
    """Return where a profile begins and ends: half a pixel of ink is half a pixel."""
    import numpy as np  # noqa: PLC0415

    inked = np.nonzero(profile > _INK * profile.max())[0]
    first, last = int(inked[0]), int(inked[-1])
    padded = np.pad(profile, 1)  # padded[k + 1] is profile[k]
    begin = padded[first : first + 2].sum() / padded[first + 1 : first + 3].max()
    end = padded[last + 1 : last + 3].sum() / padded[last : last + 2].max()
    return first + 1 - float(begin), last + float(end)


def _overlapping(
    spans: list[tuple[float, float]], others: list[tuple[float, float]]
) -> list[list[int]]:
    """Return groups of spans that share more than half of the narrower one.

    Spans are numbered on from the first list to the second where these are not the same.
    """
    shift = 0 if spans is others else len(spans)
    number = list(range(len(others) + shift))
    for i, (start, stop) in enumerate(spans):
        for j, (begin, end) in enumerate(others, shift):
            common = min(stop, end) - max(start, begin)
            if number[i] != number[j] and common > 0.5 * min(stop - start, end - begin):
                gone = number[j]
                number = [number[i] if one == gone else one for one in number]
    return [[k for k, one in enumerate(number) if one == name] for name in sorted(set(number))]


def _matched(ours: list[_Part], theirs: list[_Part], reach: float) -> list[tuple[_Part, _Part]]:
    """Return the parts of both that belong together; nothing where a part is left over."""
    start, end = theirs[0].left, max(part.right for part in theirs)
    first, last = ours[0].left, max(part.right for part in ours)
    give = reach + max(0.5, 0.03 * (last - first))
    if abs(start - first) > give or abs(end - last) > give:
        return []
    stretch = (end - start) / (last - first)

    def moved(place: float) -> float:
        return start + (place - first) * stretch

    spans = [(moved(part.left), moved(part.right)) for part in ours]
    pairs = []
    for group in _overlapping(spans, [(part.left, part.right) for part in theirs]):
        found = _paired(
            [ours[k] for k in group if k < len(ours)],
            [theirs[k - len(ours)] for k in group if k >= len(ours)],
        )
        for one, other in found:
            sides = (moved(one.left) - other.left, moved(one.right) - other.right)
            if max(map(abs, sides)) > _ALONG or abs(sum(sides)) > 2 * _ASIDE:
                return []
        if not found:
            return []
        pairs += found
    return pairs


def _paired(ours: list[_Part], theirs: list[_Part]) -> list[tuple[_Part, _Part]]:
    """Pair the parts of a group; what touches in one drawing only is cut as in the other."""
    if not ours or not theirs:
        return []
    if len(ours) == 1 < len(theirs):
        ours = _cut(ours[0], theirs)
    elif len(theirs) == 1 < len(ours):
        theirs = _cut(theirs[0], ours)
    if len(ours) != len(theirs):
        ours, theirs = [_together(ours)], [_together(theirs)]
    return list(zip(ours, theirs, strict=True))


def _cut(whole: _Part, model: list[_Part]) -> list[_Part]:
    """Cut a part as another drawing is: every pixel goes to the part that is nearest there."""
    import numpy as np  # noqa: PLC0415

    edges = [one.left for one in model], [one.right for one in model]
    aside = round((whole.left - min(edges[0]) + whole.right - max(edges[1])) / 2)
    near = [blurred(np.roll(one.ink, aside, axis=1), _NEAR) for one in model]
    owner = np.argmax(near, axis=0)
    inks = [np.where(owner == k, whole.ink, 0).astype(np.float32) for k in range(len(model))]
    return [_part(ink) for ink in inks] if all(ink.max() > _INK for ink in inks) else [whole]


def _together(parts: list[_Part]) -> _Part:
    import numpy as np  # noqa: PLC0415

    return parts[0] if len(parts) == 1 else _part(np.maximum.reduce([one.ink for one in parts]))


def _on_line(one: _Part, other: _Part, line: float, height: float, give: float = 1) -> bool:
    """Say whether a part stands as high above the line as its like."""
    top, bottom = other.top - one.top - line, other.bottom - one.bottom - line
    tall = max(one.bottom - one.top, other.bottom - other.top)
    if _is_small(one, height) or _is_small(other, height):
        more, less = sorted((float(one.ink.sum()), float(other.ink.sum())))[::-1]
        return max(abs(top), abs(bottom)) <= give * _SMALL and more <= _MORE_INK**give * less
    above = _TOP if height < _LARGE else _TOP_OF_LARGE
    below = _TOP if tall > 0.8 * height else _BOTTOM  # what reaches below the line, as a g does
    return abs(top) <= above and abs(bottom) <= below and abs(top + bottom) <= above + 0.5


def _alike(one: _Part, other: _Part, height: float) -> float:
    """Return what is left over of a part, laid on its like."""
    import numpy as np  # noqa: PLC0415

    places = [
        (int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
        for rows, columns in (np.nonzero(part.ink > 0.02) for part in (one, other))
    ]
    tall = max(place[2] - place[0] for place in places)
    wide = max(place[3] - place[1] for place in places)
    planes = []
    for part, centre in ((one, places[0]), (other, places[1])):
        plane = np.zeros((tall + 2, wide + 2), dtype=np.float32)
        cut = part.ink[centre[0] : centre[2], centre[1] : centre[3]]
        up, aside = (tall - cut.shape[0]) // 2 + 1, (wide - cut.shape[1]) // 2 + 1
        plane[up : up + cut.shape[0], aside : aside + cut.shape[1]] = cut
        planes.append(plane)
    several = max(one.right - one.left, other.right - other.left) > 1.5 * height
    return likeness(planes[0], planes[1], height, 1, 2 / 3 if several else 1 / 3)
