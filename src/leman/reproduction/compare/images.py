"""Pictures: equal pixels first, then equal to the eye.

Two pictures of one figure differ by antialiasing, by resolution or by a cropped margin. Both
are laid over each other (`alignment`), then every pixel of one must lie between the darkest
and the lightest of its neighbours in the other, one pixel around, per colour. What exceeds that
is measured against the contrast of its surroundings, so a light line counts like a black one.
A handful of pixels that exceed it is a difference: no average is taken, so one moved point in a
large figure is enough. Two further rules hold at equal size: a long coherent edge that moved by
one pixel inside the axes (a shifted curve), and a large share of edges that moved (many points).

Words get a second look (`lettering`): where nothing else differs they may be drawn by another
FreeType, and where the pixels are within bounds a small digit may still have become another.

What can pass wrongly: at another resolution a changed digit in a label (some three pixels of
the smaller picture) and shifts up to about two pixels of the smaller picture; small text that
touches a line; a letter in the place of a digit of its shape (S for 5, B for 8). What can be called
different although a reader sees the same: text in another typeface, words at 45 degrees and text
below about ten pixels in another rendering, a layout that follows its text.

matplotlib's own tests compare by the root mean square over the whole picture, which a shifted
thin curve hardly moves; hence this one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leman.reproduction.compare.alignment import Pair, aligned
from leman.reproduction.compare.lettering import (
    covered,
    lettering,
    may_say_otherwise,
    reads_the_same,
)
from leman.reproduction.compare.pixels import (
    UnreadableImageError,
    array,
    blocks,
    decode,
    encode,
    window,
)
from leman.reproduction.compare.values import Judgement
from leman.reproduction.model import Verdict

if TYPE_CHECKING:
    from PIL import Image

    from leman.reproduction.compare.pixels import Mask, Pixels

_WIDEST = 800  # pixels of the picture that shows a difference
_BLOCK = 8
_LONG = 5  # blocks that a moved edge must span: 40 pixels, longer than a word in a legend
_ENOUGH = 12_000_000  # pixels; a larger picture is reduced before it is compared
_MOST_TEXT = 0.2  # share of the pixels; where more are out of bounds, it is not text
_STRIPE = 2_000_000  # pixels measured at once, which bounds memory


@dataclass(frozen=True, slots=True)
class _Strictness:
    """Share of the local contrast, least levels (of 255), and pixels that may exceed both."""

    share: float
    floor: int
    pixels: int


# Measured over figures saved twice at 72 to 300 dpi: harmless pairs stay at or below the count,
# shifts of two pixels exceed it tenfold.
_SAME_SIZE = _Strictness(0.25, 2, 2)
_MOVED = _Strictness(0.4, 4, 3)
_SCALED = _Strictness(0.43, 10, 14)
_JPEG_FLOOR = 16  # lossy compression scatters levels around edges


def compare_images(stored: str, new: str, *, lossy: bool = False) -> Judgement:
    """Compare two base64 images by what they show; the bytes are known to differ."""
    try:
        ours = decode(stored)
    except UnreadableImageError as error:
        return Judgement(Verdict.NOT_COMPARED, f"stored: {error}")
    try:
        theirs = decode(new)
    except UnreadableImageError as error:
        return Judgement(Verdict.DIFFERENT, f"new: {error}")
    if ours.size == theirs.size and ours.tobytes() == theirs.tobytes():
        return Judgement(Verdict.NORMALISED, "the same pixels, encoded otherwise")
    ours, theirs, reduced = _reduced(ours, theirs)
    pair = aligned(ours, theirs)
    if pair is None:
        return Judgement(
            Verdict.DIFFERENT,
            f"the images do not fit over each other: stored {_size(ours)}, new {_size(theirs)}",
            _picture(array(theirs), None),
        )
    found = _measure(pair, lossy=lossy)
    how = _how(ours, theirs, pair) + reduced
    if found.reason:
        return Judgement(Verdict.DIFFERENT, found.reason + how, _picture(pair.new, found.wrong))
    return Judgement(Verdict.TOLERANT, found.alike + how)


def _reduced(stored: Image.Image, new: Image.Image) -> tuple[Image.Image, Image.Image, str]:
    """Shrink pictures that are larger than any screen, both by one whole number."""
    pixels = max(one.width * one.height for one in (stored, new))
    factor = math.ceil(math.sqrt(pixels / _ENOUGH))
    if factor == 1:
        return stored, new, ""
    return stored.reduce(factor), new.reduce(factor), f" (compared at 1/{factor} of their size)"


def _size(picture: Image.Image) -> str:
    return f"{picture.width} by {picture.height} pixels"


def _how(stored: Image.Image, new: Image.Image, pair: Pair) -> str:
    if not pair.shifted:
        return ""
    how = f"brought to one scale by {pair.scale:.3g}" if pair.scale != 1 else "laid over each other"
    return f" (stored {_size(stored)}, new {_size(new)}, {how})"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Pixels that differ, why the images are different (or nothing), why they are alike."""

    wrong: Mask
    reason: str
    alike: str = ""


@dataclass(frozen=True, slots=True)
class _Measured:
    """Pixels that are out of bounds, changed in place, on edges; what they were held against."""

    wrong: Mask
    moved: Mask
    edges: Mask
    rule: _Strictness
    long_edges: bool

    def without(self, kept: Mask) -> _Measured:
        """Return the same but for some pixels."""
        wrong, moved, edges = (one & ~kept for one in (self.wrong, self.moved, self.edges))
        return _Measured(wrong, moved, edges, self.rule, self.long_edges)


def _measure(pair: Pair, *, lossy: bool) -> _Outcome:
    """Return the verdict on a pair: by its pixels, then by what its text says."""
    rule = _SCALED if pair.scale != 1 else _MOVED if pair.shifted else _SAME_SIZE
    floor = max(rule.floor, _JPEG_FLOOR) if lossy else rule.floor
    ours, theirs = _softened(pair)
    masks = _masks(ours, theirs, rule.share, floor)
    measured = _Measured(*masks, rule, long_edges=not pair.shifted and not lossy)
    inside = _inside_axes(ours, theirs)
    wrong, reason = _judged(measured, inside)
    if not reason:
        return _spelled(ours, theirs, measured, inside)
    if lossy or int(measured.wrong.sum()) > _MOST_TEXT * measured.wrong.size:
        return _Outcome(wrong, reason)
    found = lettering(ours, theirs, measured.wrong | measured.moved, inside)
    if found is None or _judged(measured.without(covered(found.words, ours.shape)), inside)[1]:
        return _Outcome(wrong, reason)
    if all(reads_the_same(one, common=found.common) for one in found.words):
        alike = "text is drawn with another font rendering; everything else is equal"
        return _Outcome(wrong, "", alike)
    only = "only text differs" + (": probably another font" if found.common else "")
    return _Outcome(wrong, f"{only} ({reason})")


def _spelled(
    ours: Pixels, theirs: Pixels, measured: _Measured, inside: tuple[slice, slice]
) -> _Outcome:
    """Look again at the words of pictures that look alike: small digits differ by few pixels."""
    alike = _Outcome(measured.wrong, "", "the images look alike")
    if not measured.long_edges:  # scaled, cropped or lossy: glyphs differ for that alone
        return alike
    found = lettering(ours, theirs, measured.wrong | measured.moved, inside)
    if found is None:
        return alike
    other = tuple(one for one in found.words if may_say_otherwise(one, common=found.common))
    if not other:
        return alike
    top, left = (other[0].box[axis].start for axis in (0, 1))
    return _Outcome(
        covered(other, ours.shape) & (measured.wrong | measured.moved),
        f"a digit or letter may have changed near row {top}, column {left}",
    )


def _judged(measured: _Measured, inside: tuple[slice, slice]) -> tuple[Mask, str]:
    """Return the pixels that differ and a sentence, empty where the images look alike."""
    import numpy as np  # noqa: PLC0415

    wrong, moved = measured.wrong, measured.moved
    count = int(wrong.sum())
    if count > measured.rule.pixels:
        share = count / wrong.size
        top, left = (int(index[0]) for index in np.nonzero(wrong))
        return wrong, (
            f"the images differ in {count} pixels ({share:.2g} of all),"
            f" the topmost at row {top}, column {left}"
        )
    edges = int(measured.edges.sum())
    if edges and int(moved.sum()) > 0.3 * edges:
        return moved, f"{int(moved.sum())} of {edges} pixels on edges differ"
    if measured.long_edges and _moved_edge(moved[inside]):
        return moved, "a long edge inside the axes has moved by about a pixel"
    return wrong, ""


def _softened(pair: Pair) -> tuple[Pixels, Pixels]:
    """Blur slightly where one picture was reduced: lines snap to whole pixels when drawn."""
    if pair.scale == 1:
        return pair.stored, pair.new
    from PIL import Image, ImageFilter  # noqa: PLC0415

    blur = ImageFilter.GaussianBlur(0.6)
    ours, theirs = (Image.fromarray(one).filter(blur) for one in (pair.stored, pair.new))
    return array(ours), array(theirs)


def _masks(ours: Pixels, theirs: Pixels, share: float, floor: int) -> tuple[Mask, Mask, Mask]:
    """Return pixels out of bounds, pixels that changed in place, and those on edges."""
    import numpy as np  # noqa: PLC0415

    height, width = ours.shape[:2]
    step = max(64, _STRIPE // max(1, width))
    wrong = np.zeros((height, width), dtype=bool)
    moved = np.zeros((height, width), dtype=bool)
    edges = np.zeros((height, width), dtype=bool)
    for top in range(0, height, step):
        first, last = max(0, top - 4), min(height, top + step + 4)
        if np.array_equal(ours[first:last], theirs[first:last]):
            continue
        inner = slice(top - first, min(height, top + step) - first)
        found = _stripe(ours[first:last], theirs[first:last], share, floor)
        for plane, part in zip((wrong, moved, edges), found, strict=True):
            plane[top : top + step] = part[inner]
    return wrong, moved, edges


def _stripe(ours: Pixels, theirs: Pixels, share: float, floor: int) -> tuple[Any, Any, Any]:
    import numpy as np  # noqa: PLC0415

    a, b = ours.astype(np.int16), theirs.astype(np.int16)
    low_a, high_a = window(a, 1, np.minimum), window(a, 1, np.maximum)
    low_b, high_b = window(b, 1, np.minimum), window(b, 1, np.maximum)
    excess = np.maximum.reduce([a - high_b, low_b - a, b - high_a, low_a - b])
    # Seven pixels around, from the windows of three that are there already.
    contrast = np.maximum(
        window(high_a, 2, np.maximum) - window(low_a, 2, np.minimum),
        window(high_b, 2, np.maximum) - window(low_b, 2, np.minimum),
    )
    wrong = (excess > np.maximum(floor, share * contrast)).any(axis=2)
    in_place = np.maximum(max(4, floor), 0.4 * contrast)
    moved = (np.abs(a - b) > in_place).any(axis=2)
    return wrong, moved, (contrast > 24).any(axis=2)


# --- a curve that moved by a single pixel


def _moved_edge(moved: Mask) -> bool:
    """Say whether changed pixels hang together over a long way."""
    grid = blocks(moved, _BLOCK) * _BLOCK * _BLOCK >= 3
    return _longest(grid) >= _LONG


def _inside_axes(ours: Pixels, theirs: Pixels) -> tuple[slice, slice]:
    """Return the part between the outermost straight dark lines of both, else everything."""
    import numpy as np  # noqa: PLC0415

    dark = (ours.max(axis=2) < 100) & (theirs.max(axis=2) < 100)
    rows = np.nonzero(dark.mean(axis=1) > 0.3)[0]
    columns = np.nonzero(dark.mean(axis=0) > 0.3)[0]
    if len(rows) < 2 or len(columns) < 2 or rows[-1] - rows[0] < 32:
        return slice(None), slice(None)
    return slice(int(rows[0]) + 2, int(rows[-1]) - 1), slice(
        int(columns[0]) + 2, int(columns[-1]) - 1
    )


def _longest(grid: Mask) -> int:
    """Return the largest extent, in cells, of a group of neighbouring cells that are set."""
    import numpy as np  # noqa: PLC0415

    left = {(int(row), int(column)) for row, column in zip(*np.nonzero(grid), strict=True)}
    longest = 0
    while left:
        stack = [left.pop()]
        rows, columns = [stack[0][0]], [stack[0][1]]
        while stack:
            row, column = stack.pop()
            for near in ((row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                if near in left:
                    left.remove(near)
                    stack.append(near)
                    rows.append(near[0])
                    columns.append(near[1])
        longest = max(longest, max(rows) - min(rows) + 1, max(columns) - min(columns) + 1)
    return longest


# --- the picture that shows where


def _picture(new: Pixels, wrong: Mask | None) -> str:
    """Return the new picture, faded, with what differs in red, as PNG in base64."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    grey = new.astype(np.float32).mean(axis=2)
    faded = np.repeat((160 + grey * (95 / 255))[:, :, None], 3, axis=2).astype(np.uint8)
    if wrong is not None:
        faded[window(wrong.astype(np.uint8), 2, np.maximum).astype(bool)] = (214, 30, 40)
    shown = Image.fromarray(faded)
    if shown.width > _WIDEST:
        shown = shown.resize(
            (_WIDEST, max(1, round(shown.height * _WIDEST / shown.width))), Image.Resampling.BOX
        )
    return encode(shown)


# --- pictures that change from run to run


def volatile_image(stored: str, new: str, again: str) -> str:
    """Say why a picture is volatile, or return an empty string.

    Two runs of our own must differ, the stored picture may not be further from the new one than
    three times that, and where both runs agree it must agree with them too (but for a quarter
    as many blocks as vary: labels of an axis follow the data).
    """
    import numpy as np  # noqa: PLC0415

    try:
        pictures = [decode(one) for one in (stored, new, again)]
    except UnreadableImageError:
        return ""
    size = pictures[1].size
    if any(abs(one.width / size[0] - 1) > 0.1 or abs(one.height / size[1] - 1) > 0.1
           for one in pictures):  # fmt: skip
        return ""
    planes = [array(one if one.size == size else one.resize(size)) for one in pictures]
    drift = _block_difference(planes[0], planes[1])
    own = _block_difference(planes[1], planes[2])
    varying = own > 1.0
    if not varying.any() or float(drift.mean()) > 3 * float(own.mean()):
        return ""
    around = window(varying.astype(np.uint8), 1, np.maximum).astype(bool)
    if int(((drift > 2.0) & ~around).sum()) > 0.25 * int(varying.sum()):
        return ""
    return (
        "the picture also differs between two runs of leman, in the same places"
        f" (mean difference {float(own.mean()):.2g} of 255 levels,"
        f" stored to new {float(drift.mean()):.2g})"
    )


def _block_difference(one: Pixels, other: Pixels) -> Any:  # noqa: ANN401 - a plane of floats
    import numpy as np  # noqa: PLC0415

    return blocks(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean(axis=2), 16)
