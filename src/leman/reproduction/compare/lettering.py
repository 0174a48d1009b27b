"""Find text in two pictures of one figure, and say whether it reads the same.

Another version of FreeType, or another hinting, draws the same words with glyphs that are up to
a pixel higher, wider or elsewhere. What a word says is read off its shape: the ink of both
pictures is laid over each other (a shift of the whole word, a change of its height by one pixel
and of its length by three in a hundred), then every part of the size of a third of a glyph must
be found again within two thirds of a pixel. The worst part of a word decides. Where that fails,
the word is compared glyph by glyph (`spelling`), and points and commas always are. How much may
remain was measured over FreeType 2.6, 2.12 and 2.14, their ways of hinting and all pairs of digits
in four typefaces, by the height of the glyphs: below seven pixels the renderings of one digit lie
as far apart as two digits do, so nothing is forgiven there.

Text is what has glyphs: words of one ink on flat ground, at most `_TALLEST` pixels high, whose
parts are not all filled (points, bars and dashes are). Another rendering spares few words: where
most words did not change, one that did is not forgiven. Lone glyphs could be markers: inside the
axes they may move by one pixel only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leman.reproduction.compare.glyphs import likeness
from leman.reproduction.compare.pixels import window
from leman.reproduction.compare.regions import boxes, convexity, labelled
from leman.reproduction.compare.spelling import same_glyphs, same_points

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.reproduction.compare.pixels import Mask, Pixels, Plane

_TALLEST = 48  # pixels
_FLAT = 8  # levels within three by three pixels
_GROUND = 12  # levels by which a flat ground may vary
_FAINTEST = 60  # levels of contrast; what is fainter is not judged
_FILLED = 0.8  # share of the convex hull
_FILLED_SMALL = 0.88  # holes of small digits close; a disc of nine pixels fills 0.93
_MOST_WORDS = 400
_WITNESSES = 40  # unchanged words that are looked at
_FAINT = 0.1  # of the ink: less is no part of a glyph
_HIGHEST = 1.8  # heights of its glyphs that a part of a word has at most
_LEAST_GAP, _GAP = 3, 0.2  # pixels, and share of the height: wider than between two glyphs

_Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Word:
    """A word in both pictures: how much ink (0 to 1) each has around `box`.

    `height` is that of its glyphs in pixels, `mixed` says that it has several kinds of them,
    `long` that it has at least some four, `inside` that it may lie inside the axes, `pixels` which
    ones of the box are its own.
    """

    box: _Box
    pixels: Mask
    stored: Plane
    new: Plane
    height: float
    mixed: bool
    long: bool
    inside: bool


@dataclass(frozen=True, slots=True)
class Lettering:
    """The words that differ, and whether most words of the picture do."""

    words: tuple[Word, ...]
    common: bool


def lettering(stored: Pixels, new: Pixels, changed: Mask, axes: _Box) -> Lettering | None:
    """Return the words among what changed; None where there are none.

    `changed` are the pixels out of bounds, `axes` the inside of the axes (everything, if they
    are not known). Both pictures have one size.
    """
    import numpy as np  # noqa: PLC0415

    if not changed.any():
        return None
    left, pictures = changed.copy(), (stored, new)
    words: list[Word] = []
    kept = slightly = 0
    for labels, count in _cuts(pictures):
        dirty = {int(one) for one in np.unique(labels[left])} - {0}
        if len(dirty) > _MOST_WORDS:
            return None
        places = boxes(labels, count)
        tried = (_word(pictures, labels, one, places[one - 1], axes) for one in sorted(dirty))
        words += [word for word in tried if word is not None]
        clean = set(range(1, count + 1)) - {int(one) for one in np.unique(labels[changed])}
        rest = (
            _word(pictures, labels, one, places[one - 1], axes)
            for one in sorted(clean)[:_MOST_WORDS]
        )
        found = _witnesses(rest)
        kept, slightly = max(kept, found[0]), max(slightly, found[1])
        left &= ~covered(tuple(words), left.shape)
        if not left.any():
            break
    most = sum(word.mixed or not word.inside for word in words) + slightly > kept
    return Lettering(tuple(words), most) if words else None


def _witnesses(words: Iterator[Word | None]) -> tuple[int, int]:
    """Count the words that did not change, and those that changed within bounds."""
    import numpy as np  # noqa: PLC0415

    kept = slightly = 0
    for word in words:
        if word is not None and (word.mixed or not word.inside):
            alike = bool(np.abs(word.stored - word.new).max() < 0.1)
            kept, slightly = kept + alike, slightly + (not alike)
        if kept > _WITNESSES:
            break
    return kept, slightly


def _cuts(pictures: tuple[Pixels, Pixels]) -> Iterator[tuple[Any, int]]:
    """Yield ways to cut two pictures into regions that may be words.

    First all that is close to each other, its glyphs brought together; then each for itself,
    as a letter beside a marker is; then ink alone, as of a label that nearly touches its tick.
    """
    import numpy as np  # noqa: PLC0415

    close = labelled(_busy(pictures[0]) | _busy(pictures[1]))
    if close is not None:
        group = _joined(*close)
        yield group[close[0]], int(group.max())
        yield close
    ground = pictures[0][0, 0].astype(np.int16)
    ink = labelled(
        np.maximum.reduce([np.abs(one - ground).max(axis=2) for one in pictures]) > _GROUND
    )
    if ink is not None:
        group = _joined(*ink)
        yield group[ink[0]], int(group.max())


def covered(words: tuple[Word, ...], shape: tuple[int, ...]) -> Mask:
    """Return the pixels of words, one more around."""
    import numpy as np  # noqa: PLC0415

    mask = np.zeros(shape[:2], dtype=np.uint8)
    for word in words:
        mask[word.box] |= word.pixels
    grown: Mask = window(mask, 1, np.maximum).astype(bool)
    return grown


def reads_the_same(word: Word, *, common: bool) -> bool:
    """Say whether both pictures show the same word; `common` as in `Lettering`.

    What lay so close that it was taken for one word, as an upright label and the numbers beside
    it, may have moved each for itself: where the whole does not read the same, all parts must.
    """
    if not common:  # one word that changed among others that did not
        return not may_say_otherwise(word, common=False)
    parts = _parted(word)
    if any(map(_lies, parts)) and word.stored.shape[0] > word.stored.shape[1]:
        return all(reads_the_same(one, common=True) for one in parts)  # lines above each other
    if _reads_as_a_whole(word):
        return True
    return bool(parts) and all(reads_the_same(one, common=True) for one in parts)


def _lies(word: Word) -> bool:
    """Say whether a word is wider than high."""
    tall, wide = (side.stop - side.start for side in _extent(word.stored > _FAINT))
    return bool(wide > 1.15 * tall)


def _reads_as_a_whole(word: Word) -> bool:
    reach, local = (2 if word.inside else 3), 2 / 3
    if not word.mixed and word.inside:
        reach, local = 1, 1 / 3
    limit = _limit(word.height, long=word.long)
    if limit > 0 and likeness(word.stored, word.new, word.height, reach, local) <= limit:
        return same_points(word.stored, word.new)
    return _spelled_the_same(word, reach, common=True)


def _parted(word: Word) -> tuple[Word, ...]:
    """Cut a word at its widest gap that is empty in both pictures; nothing where none is wide."""
    import numpy as np  # noqa: PLC0415

    ink = np.maximum(word.stored, word.new)
    gaps = [(*_gap(ink.max(axis=1 - axis) > _FAINT), axis) for axis in (0, 1)]
    wide, middle, axis = max(gaps)
    if wide < max(_LEAST_GAP, _GAP * word.height):
        return ()
    parts = []
    for side in (slice(0, middle), slice(middle, ink.shape[axis])):
        cut = (side, slice(None)) if axis == 0 else (slice(None), side)
        stored, new = word.stored[cut], word.new[cut]
        shapes = _glyphs(stored), _glyphs(new)
        if shapes[0] is None or shapes[1] is None:
            return ()
        (height, mixed, long), (height_new, mixed_new, long_new) = shapes[0], shapes[1]
        parts.append(
            Word(
                word.box, word.pixels, stored, new, min(height, height_new),
                mixed and mixed_new, long and long_new, word.inside,
            )
        )  # fmt: skip
    return tuple(parts)


def _gap(inked: Mask) -> tuple[int, int]:
    """Return the width and the middle of the widest gap between what is inked."""
    import numpy as np  # noqa: PLC0415

    places = np.nonzero(inked)[0]
    if len(places) < 2:
        return 0, 0
    steps = np.diff(places)
    widest = int(steps.argmax())
    return int(steps[widest]) - 1, int(places[widest] + places[widest + 1] + 1) // 2


def may_say_otherwise(word: Word, *, common: bool) -> bool:
    """Say whether a word that lies within the tolerance of pixels has got another shape.

    A digit of nine pixels turns into another one by changes that few pixels show.
    """
    limit = max(_limit(word.height, long=word.long) if common else 0.0, _TINY)
    if likeness(word.stored, word.new, word.height, 1, 1 / 3) <= limit:
        return not same_points(word.stored, word.new, 1 if common else _ALONE)
    return not _spelled_the_same(word, 1, common=common)


def _spelled_the_same(word: Word, reach: int, *, common: bool) -> bool:
    """Say whether both have the same glyphs, each of which may have moved by a pixel.

    Not for what may be markers: several kinds of glyphs are asked for, and among words that did
    not change one inside the axes is not forgiven.
    """
    if not word.mixed or (word.inside and not common):
        return False
    part = 1.0 if common else _ALONE

    def limit(height: float) -> float:
        # Numbers above each other are no word: what is that high is several glyphs side by side.
        return part * _glyph_limit(height) if height <= _HIGHEST * word.height else 0.0

    return same_glyphs(word.stored, word.new, reach, limit)


def _glyph_limit(height: float) -> float:
    """Return how much of one glyph's ink may remain, less than any two digits left over."""
    if height < _LEAST:
        return 0.0
    return _GLYPH[min(int(height + 0.1) - _LEAST, len(_GLYPH) - 1)]


# By the height of the glyphs from 7 pixels on, below the least that a changed digit or a Z for a 2
# left over in any two renderings. In long words the other glyphs hold the changed one in place; a
# short one can be shifted and stretched to fit.
_LONG = (0.16, 0.18, 0.25, 0.29, 0.29, 0.31)
_SHORT = (0.14, 0.18, 0.22, 0.24, 0.24, 0.25)
# By the same heights, for one glyph that is laid for itself: at 11 pixels a 5 of Liberation Sans
# lies as near to a 6 as to another rendering of itself. A 5 and an S, an 8 and a B lie nearer.
_GLYPH = (0.13, 0.15, 0.2, 0.21, 0.19, 0.24, 0.24, 0.27, 0.28, 0.28, 0.3)
_ALONE = 0.6  # share of the limit for a word that changed among others that did not
_LEAST = 7
_TINY = 0.1  # where no word is forgiven, but one that hardly changed is no difference either


def _limit(height: float, *, long: bool) -> float:
    """Return how much of the ink may remain in the worst place, 0 where nobody could tell."""
    limits = _LONG if long else _SHORT
    if height < 7:
        return 0.0
    return limits[min(int(height) - 7, len(limits) - 1)]


def _busy(picture: Pixels) -> Mask:
    """Return the pixels around which something changes."""
    import numpy as np  # noqa: PLC0415

    spread = window(picture, 1, np.maximum) - window(picture, 1, np.minimum)
    busy: Mask = spread.max(axis=2) > _FLAT
    return busy


def _joined(labels: Any, count: int) -> Any:  # noqa: ANN401 - numbers
    """Return for each region the number of the word that its glyphs make: gaps grow with fonts."""
    import numpy as np  # noqa: PLC0415

    places = boxes(labels, count)
    ends = np.array([(r.start, r.stop, c.start, c.stop) for r, c in places]).reshape(-1, 4)
    tall, wide = ends[:, 1] - ends[:, 0], ends[:, 3] - ends[:, 2]
    small = np.nonzero((np.maximum(tall, wide) <= _TALLEST) & (tall + wide > 4))[0]
    if not 1 < len(small) <= 4 * _MOST_WORDS:
        return np.arange(count + 1)
    number = np.arange(count + 1)
    for across in (True, False):
        low, high, size = (2, 3, tall) if across else (0, 1, wide)
        base, top = (0, 1) if across else (2, 3)
        part = small[np.argsort(ends[small, low], kind="stable")]
        for here in part:
            reach = 0.35 * np.maximum(size[here], size[part])
            gap = ends[part, low] - ends[here, high]
            beside = np.minimum(ends[part, top], ends[here, top]) - np.maximum(
                ends[part, base], ends[here, base]
            )
            near = (gap <= reach) & (ends[part, low] >= ends[here, low])
            near &= beside >= 0.5 * np.minimum(size[part], size[here])
            near &= across | (wide[part] <= 1.6 * tall[part])
            first = number[here + 1]
            for other in number[part[near] + 1]:
                number[number == other] = first
    return np.concatenate([[0], np.unique(number[1:], return_inverse=True)[1] + 1])


def _word(
    pictures: tuple[Pixels, Pixels],
    labels: Any,  # noqa: ANN401 - a plane of numbers
    number: int,
    place: _Box,
    axes: _Box,
) -> Word | None:
    """Return the word in a region, None where it is none in either picture."""
    tall, wide = (one.stop - one.start for one in place)
    if min(tall, wide) > 4 * _TALLEST or max(tall, wide) < 8 or max(tall, wide) > 40 * _TALLEST:
        return None
    box = tuple(
        slice(max(0, one.start - 2), min(length, one.stop + 2))
        for one, length in zip(place, labels.shape, strict=True)
    )
    here = labels[box]
    inks = _inks(pictures[0][box], pictures[1][box], here == 0, (here == 0) | (here == number))
    if inks is None:
        return None
    shapes = [_glyphs(one) for one in inks]
    if shapes[0] is None or shapes[1] is None:
        return None
    (height, mixed, long), (height_new, mixed_new, long_new) = shapes[0], shapes[1]
    outside = any(
        side.start is not None and (one.stop <= side.start or one.start >= side.stop)
        for one, side in zip(place, axes, strict=True)
    )
    return Word(
        (box[0], box[1]), here == number, *inks,
        min(height, height_new), mixed and mixed_new,
        long and long_new, not outside,
    )  # fmt: skip


def _inks(stored: Pixels, new: Pixels, flat: Mask, own: Mask) -> tuple[Plane, Plane] | None:
    """Return how much ink lies on each pixel; None unless it is one ink on one flat ground."""
    import numpy as np  # noqa: PLC0415

    edge = np.ones_like(flat)
    edge[1:-1, 1:-1] = False
    edge &= flat
    if not edge.any():
        return None
    both = [one.astype(np.float32) for one in (stored, new)]
    ground = np.median(both[0][edge], axis=0)
    if any(np.abs(one[edge] - ground).max() > _GROUND for one in both):
        return None
    depths = [(one - ground) * own[:, :, None] for one in both]
    darkest = [one.reshape(-1, 3)[np.square(one).sum(axis=2).argmax()] for one in depths]
    lengths = [float(np.linalg.norm(one)) for one in darkest]
    if min(lengths) < max(_FAINTEST, 0.6 * max(lengths)):
        return None
    ink = darkest[int(lengths[1] > lengths[0])]
    longest = max(lengths)
    inks = []
    for one in depths:
        amount = one @ ink / longest**2
        stray = np.abs(one - amount[:, :, None] * ink).max()
        if stray > 6 + 0.12 * longest:
            return None
        inks.append(np.clip(amount, 0, 1).astype(np.float32))
    return inks[0], inks[1]


def _glyphs(ink: Plane) -> tuple[float, bool, bool] | None:
    """Return the height of glyphs, whether they are of several kinds, and many; or None."""
    found = labelled(ink > 0.35)
    if found is None or found[1] == 0:
        return None
    labels, count = found
    sizes, shapes, bars = [], [], []
    for number, place in enumerate(boxes(labels, count), 1):
        tall, wide = (one.stop - one.start for one in place)
        if min(tall, wide) > _TALLEST or max(tall, wide) > max(_TALLEST, 5 * min(tall, wide)):
            return None
        shape = labels[place] == number
        filled = _FILLED_SMALL if max(tall, wide) < 10 else _FILLED
        if min(tall, wide) > 2 and convexity(shape) < filled:
            sizes.append(min(max(tall, wide), 1.6 * min(tall, wide)))
            shapes.append(shape)
        elif max(tall, wide) > 3:
            bars.append(shape)  # of an l or a minus: no glyph to go by, but not a marker either
    if 3 * len(sizes) < count or not sizes:
        return None
    height = sorted(sizes)[len(sizes) // 2]
    # Glyphs that touch are one region: a word is no higher than its short side, unless lone.
    tall, wide = (one.stop - one.start for one in _extent(ink > 0.35))
    lone = 1.2 * wide <= tall <= 2 * wide
    height = float(min(height, tall if lone else min(tall, wide)))
    mixed = any(_unlike(shapes[0], one) for one in shapes[1:] + bars)
    return height, mixed, max(tall, wide) >= 3.8 * height


def _extent(mask: Mask) -> _Box:
    import numpy as np  # noqa: PLC0415

    rows, columns = np.nonzero(mask)
    return slice(int(rows.min()), int(rows.max()) + 1), slice(
        int(columns.min()), int(columns.max()) + 1
    )


def _unlike(one: Mask, other: Mask) -> bool:
    """Say whether two shapes differ by more than drawing a marker twice."""
    if any(abs(a - b) > 1 for a, b in zip(one.shape, other.shape, strict=True)):
        return True
    tall, wide = (min(a, b) for a, b in zip(one.shape, other.shape, strict=True))
    a, b = one[:tall, :wide], other[:tall, :wide]
    return bool((a & b).sum() < 0.6 * (a | b).sum())
