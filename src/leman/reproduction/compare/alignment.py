"""Lay one picture over another one of another size.

A figure saved at another resolution, or cropped by another margin, shows the same at another
place. The scale is taken from the sizes (resolutions that matplotlib and notebooks use are
preferred over the bare ratio, which the crop blurs), the shift from the pictures themselves.
Margins that are left over must be empty; what hangs over otherwise is content that only one
picture has.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leman.reproduction.compare.pixels import array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from leman.reproduction.compare.pixels import Pixels

    _Shift = tuple[int, int]

_RESOLUTIONS: tuple[int, ...] = (
    50,
    60,
    72,
    75,
    80,
    90,
    96,
    100,
    108,
    110,
    120,
    125,
    140,
    144,
    150,
    160,
    180,
    192,
)
_RESOLUTIONS += (200, 216, 220, 240, 250, 300, 350, 400, 500, 600)
_USUAL = (72, 100, 144, 150, 200, 300)  # those of notebooks and of savefig in articles
_CROPPED = 1.8  # by what factor cropping may shorten a side
_ASPECT = 0.06  # how far the ratios of width and of height may lie apart


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures of one size; `scale` is what the larger one was reduced by, 1 for none.

    `shifted` says that one was moved or cropped to fit.
    """

    stored: Pixels
    new: Pixels
    scale: float
    shifted: bool


@dataclass(frozen=True, slots=True)
class _Fit:
    """Where a picture goes: reduced by `scale`, begun at a fraction of a pixel, then shifted."""

    scale: float
    shift: _Shift
    left: float = 0.0
    top: float = 0.0


def aligned(stored: Image.Image, new: Image.Image) -> Pair | None:
    """Return the two pictures at one size, or None where their shapes or margins do not fit."""
    if stored.size == new.size:
        return Pair(array(stored), array(new), 1.0, shifted=False)
    swapped = stored.width * stored.height < new.width * new.height
    large, small = (new, stored) if swapped else (stored, new)
    grey = (large.convert("L"), small.convert("L"))  # places are searched without colour
    tried = sorted(_rough(*grey, scale) for scale in _scales(large, small))
    found = []
    for _, scale, shift in tried[:3]:
        laid = _laid(large, small, _refined(*grey, _Fit(scale, shift)))
        if laid is not None:
            found.append(laid)
    if not found:
        return None
    pair = min(found, key=lambda one: one[0])[1]
    return Pair(pair.new, pair.stored, pair.scale, pair.shifted) if swapped else pair


def _scales(large: Image.Image, small: Image.Image) -> list[float]:
    """Return the scales to try; none where the shapes do not fit.

    Where the ratios of width and of height agree, only the resolution differs; where they do
    not, one picture may have been cropped to its content, at one of the usual resolutions.
    """
    across, down = large.width / small.width, large.height / small.height
    bare = (across * down) ** 0.5
    found = []
    if abs(across / down - 1) <= _ASPECT:
        known = {a / b for a in _RESOLUTIONS for b in _RESOLUTIONS if a > b}
        near = sorted(
            (one for one in known if abs(one / bare - 1) < 0.05), key=lambda one: abs(one - bare)
        )
        found = [*_spaced(near)[:4], bare]
    usual = {a / b for a in _USUAL for b in _USUAL if a >= b}
    low, high = max(across, down) / _CROPPED, min(across, down) * _CROPPED
    return list(dict.fromkeys([*found, *sorted(one for one in usual if low < one < high)]))


def _spaced(scales: list[float]) -> list[float]:
    kept: list[float] = []
    for scale in scales:
        if all(abs(scale / one - 1) > 0.004 for one in kept):
            kept.append(scale)
    return kept


def _rough(large: Image.Image, small: Image.Image, scale: float) -> tuple[float, float, _Shift]:
    """Return how badly the pictures fit at a scale: (mean difference, scale, shift)."""
    reduced, target = _reduced(large, scale), array(small)
    across = _shift(_profile(reduced, 0), _profile(target, 0))
    down = _shift(_profile(reduced, 1), _profile(target, 1))
    cut = _shared(reduced, target, (across, down), check=False)
    fit = _difference(*cut, step=2) if cut else 256.0
    return fit, scale, (across, down)


def _refined(large: Image.Image, small: Image.Image, fit: _Fit) -> _Fit:
    """Search the fraction of a pixel that lays both pictures best over each other."""
    if fit.scale == 1.0:
        return fit
    target = array(small)
    best, found = 256.0, fit
    for left, top in itertools.product((0.0, 0.25, 0.5, 0.75), repeat=2):
        reduced = _reduced(large, fit.scale, left, top)
        for across, down in itertools.product((0, 1), repeat=2):
            shift = (fit.shift[0] - across, fit.shift[1] - down)
            cut = _shared(reduced, target, shift, check=False)
            difference = _difference(*cut, step=2) if cut else 256.0
            if difference < best:
                best, found = difference, _Fit(fit.scale, shift, left, top)
    return found


def _laid(large: Image.Image, small: Image.Image, fit: _Fit) -> tuple[float, Pair] | None:
    """Reduce, shift, cut both to what they share: (mean difference, pair)."""
    reduced = _reduced(large, fit.scale, fit.left, fit.top)
    cut = _shared(reduced, array(small), fit.shift)
    if cut is None:
        return None
    return _difference(*cut), Pair(cut[0], cut[1], fit.scale, shifted=True)


def _reduced(large: Image.Image, scale: float, left: float = 0.0, top: float = 0.0) -> Pixels:
    """Shrink by `scale`, starting at a fraction of a pixel of the small picture."""
    from PIL import Image  # noqa: PLC0415

    if scale == 1.0:
        return array(large)
    width = max(1, int(large.width / scale - left))
    height = max(1, int(large.height / scale - top))
    box = (left * scale, top * scale, (left + width) * scale, (top + height) * scale)
    box = (box[0], box[1], min(box[2], large.width), min(box[3], large.height))
    return array(large.resize((width, height), Image.Resampling.BOX, box=box))


def _profile(picture: Pixels, axis: int) -> NDArray[np.float32]:
    """Return how much changes along each column (axis 0) or row (axis 1)."""
    import numpy as np  # noqa: PLC0415

    steps = np.abs(np.diff(picture.astype(np.int16), axis=1 - axis))
    total: NDArray[np.float32] = steps.sum(axis=axis, dtype=np.float32)
    return total


def _shift(stored: NDArray[np.float32], new: NDArray[np.float32]) -> int:
    """Return by how much `stored` must start earlier to lie best over `new`."""
    import numpy as np  # noqa: PLC0415

    best, at = -1.0, 0
    reach = min(40 + abs(len(stored) - len(new)), 2000)
    for shift in range(-min(reach, len(new) // 2), min(reach, len(stored) // 2) + 1):
        ours, theirs = stored[max(0, shift) :], new[max(0, -shift) :]
        length = min(len(ours), len(theirs))
        value = float(np.minimum(ours[:length], theirs[:length]).sum())
        if value > best:
            best, at = value, shift
    return at


def _shared(
    stored: Pixels, new: Pixels, shift: _Shift, *, check: bool = True
) -> tuple[Pixels, Pixels] | None:
    """Cut both to their common part; None where what is cut off is not empty."""
    across, down = shift
    left, top = max(0, across), max(0, down)
    left_new, top_new = max(0, -across), max(0, -down)
    height = min(stored.shape[0] - top, new.shape[0] - top_new)
    width = min(stored.shape[1] - left, new.shape[1] - left_new)
    if height < 8 or width < 8:
        return None
    if check:
        ours = (top, top + height, left, left + width)
        theirs = (top_new, top_new + height, left_new, left_new + width)
        if not (_empty_around(stored, ours) and _empty_around(new, theirs)):
            return None
    return (
        stored[top : top + height, left : left + width],
        new[top_new : top_new + height, left_new : left_new + width],
    )


def _empty_around(picture: Pixels, kept: tuple[int, int, int, int]) -> bool:
    """Say whether everything outside of `kept` has the colour of a corner, but for 1 pixel."""
    top, bottom, left, right = kept
    top, left = max(0, top - 1), max(0, left - 1)
    bottom, right = bottom + 1, right + 1
    margins = (picture[:top], picture[bottom:], picture[:, :left], picture[:, right:])
    corner = picture[0, 0].astype(int)
    return all(
        margin.size == 0 or int(abs(margin.astype(int) - corner).max()) <= 24 for margin in margins
    )


def _difference(stored: Pixels, new: Pixels, step: int = 1) -> float:
    import numpy as np  # noqa: PLC0415

    ours, theirs = stored[::step, ::step].astype(np.int16), new[::step, ::step].astype(np.int16)
    return float(np.abs(ours - theirs).mean())
