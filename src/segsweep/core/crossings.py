"""Where outlines cross: found for many rings at once, at a cost that clean data can afford."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segsweep.core.geometry import Ring

# Pairs of edges that are looked at in one go: bounds memory, at about 100 bytes a pair.
_CHUNK_PAIRS = 1 << 18
# Outlines that need more are scribbles of tens of thousands of points; looking on would take minutes.
MAX_PAIRS = 20_000_000

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Crossings:
    """Pairs of edges that cross in a point inside both; touching is not crossing.

    Edge `k` counts through all rings in order and goes from the k-th point to the next of its ring.

    Attributes:
        first: Lower edge of each pair, (n,).
        second: Higher edge, (n,).
        at: Where along the first and along the second edge, (n, 2), 0 to 1.
        points: The crossing points, (n, 2).
    """

    first: Indices
    second: Indices
    at: npt.NDArray[np.float64]
    points: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.first)


def find_crossings(rings: Sequence[Ring], *, between: bool = False) -> Crossings:
    """Every proper crossing of each ring with itself.

    A sweep along x: an edge can only cross edges that begin before it ends. Rings are swept together, each moved to a
    strip of its own, so that NumPy's cost a call is paid once for all.

    Args:
        rings: Each (n, 2).
        between: Whether rings are compared with each other, too.

    Returns:
        The crossings, ordered by edge. Rings that need more than `MAX_PAIRS` comparisons together are taken to have
        none: by the even-odd rule they enclose the same either way.
    """
    start, end = np.concatenate(rings), np.concatenate([_following(ring) for ring in rings])
    ring_of = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    left, right = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    if not between and len(rings) > 1:
        strip = ring_of * (2.0 * (right.max() - left.min()) + 1.0)
        left, right = left + strip, right + strip
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    order = np.argsort(left, kind="stable")
    reach = np.searchsorted(left[order], right[order], side="right")
    count = reach - np.arange(len(order)) - 1
    found: list[tuple[Indices, Indices]] = []
    if int(count.sum()) <= MAX_PAIRS:
        for one, other in _pairs(order, count):
            near = (low[one] <= high[other]) & (low[other] <= high[one])
            one, other = one[near], other[near]  # noqa: PLW2901 - narrowed step by step
            cross = _straddles(start, end, one, other) & _straddles(start, end, other, one)
            found.append((one[cross], other[cross]))
    one, other = (np.concatenate(side) if found else np.empty(0, np.int64) for side in _sides(found))
    return _locate(start, end, np.minimum(one, other), np.maximum(one, other))


def _following(ring: Ring) -> Ring:
    return np.concatenate([ring[1:], ring[:1]])


def _sides(found: list[tuple[Indices, Indices]]) -> tuple[list[Indices], list[Indices]]:
    return [one for one, _ in found], [other for _, other in found]


def _pairs(order: Indices, count: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Each edge with the `count` edges after it in `order`, a chunk at a time."""
    position = np.arange(len(order))
    ends = np.cumsum(count)
    begin = 0
    while begin < len(order):
        done = int(ends[begin - 1]) if begin else 0
        until = max(begin + 1, int(np.searchsorted(ends, done + _CHUNK_PAIRS, side="right")))
        some = count[begin:until]
        which = np.repeat(position[begin:until], some)
        ahead = np.arange(len(which)) - np.repeat(np.cumsum(some) - some, some) + 1
        yield order[which], order[which + ahead]
        begin = until


def _straddles(start: Ring, end: Ring, line: Indices, edge: Indices) -> npt.NDArray[np.bool_]:
    """Whether the ends of `edge` lie strictly on the two sides of the line through `line`."""
    a, b = start[line], end[line]
    dx, dy = b[:, 0] - a[:, 0], b[:, 1] - a[:, 1]
    p, q = start[edge], end[edge]
    first = dx * (p[:, 1] - a[:, 1]) - dy * (p[:, 0] - a[:, 0])
    second = dx * (q[:, 1] - a[:, 1]) - dy * (q[:, 0] - a[:, 0])
    # Nearer to the line than rounding can tell is on it: bridges walked there and back must not cross each other.
    noise = 1e-12 * (np.abs(dx) + np.abs(dy)) * (np.abs(a).max(axis=1, initial=0.0) + 1e-300)
    apart: npt.NDArray[np.bool_] = ((first > noise) & (second < -noise)) | ((first < -noise) & (second > noise))
    return apart


def _locate(start: Ring, end: Ring, first: Indices, second: Indices) -> Crossings:
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    r, s = end[first] - start[first], end[second] - start[second]
    gap = start[second] - start[first]
    cross = r[:, 0] * s[:, 1] - r[:, 1] * s[:, 0]
    along_first = (gap[:, 0] * s[:, 1] - gap[:, 1] * s[:, 0]) / cross
    along_second = (gap[:, 0] * r[:, 1] - gap[:, 1] * r[:, 0]) / cross
    points = start[first] + along_first[:, None] * r
    return Crossings(first, second, np.stack([along_first, along_second], axis=1), points)
