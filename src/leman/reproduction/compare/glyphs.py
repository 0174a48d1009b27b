"""How much two drawings of one word differ, once they are laid over each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.reproduction.compare.pixels import Plane

_MARGIN = 6  # pixels of empty ground around a word
_STEP = 1 / 3  # pixels between the places that are tried


def likeness(stored: Plane, new: Plane, height: float, reach: int, local: float) -> float:
    """Return the largest share of ink that is left over, 0 for equal words.

    `stored` and `new` hold the ink (0 to 1) of the same part of two pictures, `height` is that
    of the glyphs, `reach` (pixels) how far the word may have moved, `local` (pixels) how far its
    parts may have moved within it.
    """
    import numpy as np  # noqa: PLC0415

    spread = max(0.7, 0.07 * height)
    first, second = (np.pad(one, _MARGIN) for one in (stored, new))
    theirs = blurred(second, spread)
    ours = _laid(first, theirs, reach, spread)
    weight = float(np.clip(theirs.sum() / max(float(ours.sum()), 1e-3), 0.8, 1.25)) ** 0.5
    ours, theirs = ours * weight, theirs / weight
    steps = np.arange(-local, local + 1e-6, _STEP)
    left = np.stack([np.abs(_shifted(ours, d, r) - theirs) for d in steps for r in steps])
    part = max(1, min(4, round(0.4 * height)))
    side = max(1, min(4, round(0.3 * height)))
    # The window is a square: text may be upright.
    worst = _largest(left, min(part, side), min(part, side)).min(axis=0)
    return float(worst.max())


def _laid(first: Plane, target: Plane, reach: int, spread: float) -> Plane:
    """Return the blurred ink of the stored word at the place and size that fits best."""
    import numpy as np  # noqa: PLC0415

    best, laid = float("inf"), target
    shape = first.shape
    for stretch, ink in _sizes(first):
        soft = blurred(ink, spread)
        padded = np.pad(soft, reach)
        for down in range(2 * reach + 1):
            for right in range(2 * reach + 1):
                moved = padded[down : down + shape[0], right : right + shape[1]]
                off = float(np.square(moved - target).sum()) * (1 + 0.02 * stretch)
                if off < best:
                    best, laid = off, moved
    return laid


def _sizes(ink: Plane) -> Iterator[tuple[int, Plane]]:
    """Yield a word at the sizes that another hinting gives it, with the change in pixels."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    tall, wide = (length - 2 * _MARGIN for length in ink.shape)
    picture = Image.fromarray(ink[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
    for down in _changes(tall):
        for right in _changes(wide):
            resized = picture.resize((wide + right, tall + down), Image.Resampling.BILINEAR)
            laid = np.zeros_like(ink)
            top, left = _MARGIN - down // 2, _MARGIN - right // 2
            laid[top : top + tall + down, left : left + wide + right] = np.asarray(resized)
            yield abs(down) + abs(right), laid


def _changes(length: int) -> range:
    """Return by how many pixels a side may change: one, or three in a hundred of a long one."""
    most = max(1, min(4, int(0.03 * length)))
    return range(-most, most + 1)


def blurred(ink: Plane, spread: float) -> Any:  # noqa: ANN401 - a plane
    """Return a plane under a Gaussian of `spread` pixels."""
    import numpy as np  # noqa: PLC0415

    radius = 2 if spread < 1 else 4
    kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * spread * spread))
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (0, 1):
        length = ink.shape[axis]
        around = [(0, 0), (0, 0)]
        around[axis] = (radius, radius)
        padded = np.pad(ink, around)
        cut = [
            padded[step : step + length] if axis == 0 else padded[:, step : step + length]
            for step in range(2 * radius + 1)
        ]
        ink = np.sum([part * weight for part, weight in zip(cut, kernel, strict=True)], axis=0)
    return ink


def _shifted(ink: Plane, down: float, right: float) -> Any:  # noqa: ANN401 - a plane
    """Return a plane moved by less than a pixel, bilinear."""
    import numpy as np  # noqa: PLC0415

    for axis, by in ((0, down), (1, right)):
        step = 1 if by > 0 else -1
        ink = (1 - abs(by)) * ink + abs(by) * np.roll(ink, step, axis)
    return ink


def _largest(planes: Any, down: int, right: int) -> Any:  # noqa: ANN401 - a pile of planes
    """Return the maximum over a window of `2 * down + 1` by `2 * right + 1` pixels."""
    import numpy as np  # noqa: PLC0415

    for axis, radius in ((1, down), (2, right)):
        result = planes.copy()
        for step in range(1, radius + 1):
            for sign in (-step, step):
                np.maximum(result, np.roll(planes, sign, axis), out=result)
        planes = result
    return planes
