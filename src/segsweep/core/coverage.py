"""How many pixels shapes cover, alone and together, counted without drawing them.

Along each row of pixels an outline crosses from outside to inside and back. The crossings, in order, are the borders of
the runs of pixels that a shape covers: their differences add up to its area, and the borders of two shapes, sorted
together, are the borders of the pixels that one of them covers and the other does not. The counts are those of
`geometry.fill`, exactly; the work grows with the outlines, not with the areas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segsweep.core.geometry import Part

Integers = npt.NDArray[np.int64]

_MOST_PAIRS = 4096  # compared at once: what they need together stays within a few megabytes


@dataclass(frozen=True, eq=False)
class Coverage:
    """The pixels that some shapes cover on one grid.

    Attributes:
        borders: Of every shape in turn, starts and ends of its runs, sorted; row * (width + 1) + column.
        first: Where the borders of each shape begin, and where the last end; one more than there are shapes.
        span: Above any border: height * (width + 1).
    """

    borders: Integers
    first: Integers
    span: int

    @property
    def areas(self) -> Integers:
        """Pixels of each shape."""
        owner = np.repeat(np.arange(len(self.first) - 1), np.diff(self.first) // 2)
        return _total(self.borders, owner, len(self.first) - 1)


def cover(shapes: Sequence[Sequence[Part]], height: int, width: int) -> Coverage:
    """Find the pixels whose centres are inside any part of a shape, by the even-odd rule within a part.

    Args:
        shapes: The parts of each, in fractions of width and height.
        height: Of the grid, pixels.
        width: As `height`.
    """
    span = height * (width + 1)
    rings = [ring for parts in shapes for part in parts for ring in part.rings]
    parts_of = np.array([len(parts) for parts in shapes], dtype=np.int64)
    rings_of = np.array([1 + len(part.holes) for parts in shapes for part in parts], dtype=np.int64)
    if not rings:
        return Coverage(np.empty(0, np.int64), np.zeros(len(shapes) + 1, np.int64), span)
    edge_ring, crossing = _crossings(rings, height, width)
    part_of_ring = np.repeat(np.arange(len(rings_of)), rings_of)
    shape_of_part = np.repeat(np.arange(len(shapes)), parts_of)
    keys = np.sort(part_of_ring[edge_ring] * span + crossing, kind="stable")  # runs of every edge are in order
    part, borders = np.divmod(keys, span)
    shape = shape_of_part[part]
    if (parts_of > 1).any():
        shape, borders = _union(shape, borders, span)
    first = np.searchsorted(shape, np.arange(len(shapes) + 1))
    return Coverage(borders, first.astype(np.int64), span)


def overlaps(a: Coverage, b: Coverage, pairs: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Intersection over union of shapes of `a` with shapes of `b` on the same grid.

    Args:
        a: Shapes.
        b: Shapes.
        pairs: (n, 2), index into `a` and into `b`.

    Returns:
        (n,); 1.0 where both cover no pixel, as `geometry.overlap`.
    """
    found = [_overlaps(a, b, pairs[i : i + _MOST_PAIRS]) for i in range(0, len(pairs), _MOST_PAIRS)]
    return np.concatenate(found) if found else np.empty(0)


def _overlaps(a: Coverage, b: Coverage, pairs: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    keys = np.concatenate([_of_pairs(a, pairs[:, 0]), _of_pairs(b, pairs[:, 1])])
    keys.sort(kind="stable")  # merges what is in order already
    owner, borders = np.divmod(keys, a.span)
    different = _total(borders, owner[::2], len(pairs))
    sizes = a.areas[pairs[:, 0]] + b.areas[pairs[:, 1]]
    common = (sizes - different) / 2
    union = sizes - common
    return np.where(union > 0, common / np.maximum(union, 1), 1.0)


def _of_pairs(coverage: Coverage, shapes: npt.NDArray[np.intp]) -> Integers:
    """Borders of the shape of each pair, marked with the number of the pair."""
    start, stop = coverage.first[shapes], coverage.first[shapes + 1]
    count = stop - start
    pair = np.repeat(np.arange(len(shapes)), count)
    place = np.arange(count.sum()) + np.repeat(start - np.cumsum(count) + count, count)
    return np.asarray(pair * coverage.span + coverage.borders[place], dtype=np.int64)


def _total(borders: Integers, owner: Integers, owners: int) -> Integers:
    runs = borders[1::2] - borders[::2]
    return np.bincount(owner, weights=runs, minlength=owners).astype(np.int64)


def _crossings(rings: Sequence[npt.NDArray[np.float64]], height: int, width: int) -> tuple[Integers, Integers]:
    """Where edges cross the centre lines of rows: the ring of each crossing, and the pixel border it is counted at."""
    length = np.array([len(ring) for ring in rings])
    start = np.concatenate(rings) * (width, height)
    end = np.roll(start, -1, axis=0)
    last_of_ring = np.cumsum(length) - 1
    end[last_of_ring] = start[last_of_ring - length + 1]
    # From the upper end, as `geometry.fill` has it: a bridge walked both ways crosses a row at the very same x.
    flip = (start[:, 1] > end[:, 1])[:, None]
    upper, lower = np.where(flip, end, start), np.where(flip, start, end)
    top = np.ceil(upper[:, 1] - 0.5).clip(0, height).astype(np.int64)
    count = np.ceil(lower[:, 1] - 0.5).clip(0, height).astype(np.int64) - top
    edge = np.repeat(np.arange(len(start)), count)
    row = np.arange(len(edge)) + np.repeat(top - np.cumsum(count) + count, count)
    (x, y), (across, down) = upper.T, (lower - upper).T
    column = np.ceil(x[edge] + (row + 0.5 - y[edge]) / down[edge] * across[edge] - 0.5).clip(0, width)
    ring_of_edge = np.repeat(np.arange(len(rings)), length)
    return ring_of_edge[edge], row * (width + 1) + column.astype(np.int64)


def _union(shape: Integers, borders: Integers, span: int) -> tuple[Integers, Integers]:
    """Borders of what any part covers, from the borders of each part: starts and ends in turn."""
    keys = shape * span + borders
    step = np.where(np.arange(len(keys)) % 2, -1, 1)
    order = np.argsort(keys, kind="stable")
    step = step[order]
    depth = np.cumsum(step)
    outer = depth == (step > 0)
    shape, borders = np.divmod(keys[order][outer], span)
    return shape, borders
