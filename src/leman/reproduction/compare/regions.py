"""Connected regions of a mask. NumPy is imported on use only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leman.reproduction.compare.pixels import Mask

_MOST_RUNS = 60_000  # of set pixels along rows; a picture with more is noise, not text


def labelled(mask: Mask) -> tuple[Any, int] | None:
    """Give numbers to the regions of set pixels that touch along sides or corners.

    Returns the plane of numbers, 0 where nothing is set, and the largest number; None where the
    picture is too ragged to be worth it.
    """
    import numpy as np  # noqa: PLC0415

    height, width = mask.shape
    padded = np.zeros((height, width + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, stops = np.nonzero(steps == -1)
    if len(rows) > _MOST_RUNS:
        return None
    found = _united(rows.tolist(), starts.tolist(), stops.tolist())
    names, numbers = np.unique(np.array(found, dtype=np.int32), return_inverse=True)
    marks = np.zeros((height, width + 1), dtype=np.int32)
    marks[rows, starts] += (numbers + 1).astype(np.int32)
    np.subtract.at(marks, (rows, stops), (numbers + 1).astype(np.int32))
    return np.cumsum(marks, axis=1, dtype=np.int32)[:, :-1], len(names)


def _united(rows: list[int], starts: list[int], stops: list[int]) -> list[int]:
    """Return for every run the run that stands for its region."""
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    above = 0
    for run, row in enumerate(rows):
        while rows[above] < row - 1 or (rows[above] == row - 1 and stops[above] < starts[run]):
            above += 1
        near = above
        while near < run and rows[near] == row - 1 and starts[near] <= stops[run]:
            parent[root(near)] = root(run)
            near += 1
    return [root(run) for run in range(len(rows))]


def boxes(labels: Any, count: int) -> list[tuple[slice, slice]]:  # noqa: ANN401 - a plane
    """Return the rows and columns that each of the regions 1 to `count` spans."""
    import numpy as np  # noqa: PLC0415

    rows, columns = np.nonzero(labels)
    owners = labels[rows, columns] - 1
    low = np.full((2, count), max(labels.shape), dtype=np.int64)
    high = np.zeros((2, count), dtype=np.int64)
    for axis, places in enumerate((rows, columns)):
        np.minimum.at(low[axis], owners, places)
        np.maximum.at(high[axis], owners, places)
    return [
        (slice(top, bottom + 1), slice(left, right + 1))
        for top, bottom, left, right in zip(
            low[0].tolist(), high[0].tolist(), low[1].tolist(), high[1].tolist(), strict=True
        )
    ]


def convexity(mask: Mask) -> float:
    """Return which share of its convex hull a region fills: 1 for blobs, bars and dashes."""
    import numpy as np  # noqa: PLC0415

    corners: list[tuple[int, int]] = []
    for row in range(mask.shape[0]):
        set_here = np.nonzero(mask[row])[0]
        if len(set_here):
            left, right = int(set_here[0]), int(set_here[-1]) + 1
            corners += [(row, left), (row + 1, left), (row, right), (row + 1, right)]
    return float(mask.sum()) / _hull_area(sorted(set(corners)))


def _hull_area(points: list[tuple[int, int]]) -> float:
    """Return the area of the convex hull (Andrew's monotone chain)."""
    lower, upper = _chain(points), _chain(points[::-1])
    ring = lower[:-1] + upper[:-1]
    area = sum(
        here[0] * ahead[1] - ahead[0] * here[1]
        for here, ahead in zip(ring, ring[1:] + ring[:1], strict=True)
    )
    return abs(area) / 2


def _chain(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    chain: list[tuple[int, int]] = []
    for point in points:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def _turn(first: tuple[int, int], second: tuple[int, int], third: tuple[int, int]) -> int:
    return (second[0] - first[0]) * (third[1] - first[1]) - (second[1] - first[1]) * (
        third[0] - first[0]
    )
