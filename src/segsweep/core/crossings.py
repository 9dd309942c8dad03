"""Where outlines cross: found for many rings at once, at a cost that clean data can afford."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segsweep.core.geometry import Ring

# Pairs of edges that are looked at in one go: bounds memory, at about 100 bytes a pair.
_CHUNK_PAIRS = 1 << 18
# Outlines that need more are scribbles of tens of thousands of points; looking on would take minutes.
MAX_PAIRS = 20_000_000

_NOISE = 1e-12

Indices = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Crossings:
    """Pairs of edges that cross in a point inside both; touching is not crossing.

    Edge `k` counts through all rings in order and goes from the k-th point to the next of its ring.

    Attributes:
        edges: Each pair, the lower first, (n, 2).
        at: Where along each of the two, (n, 2), 0 to 1.
        points: The crossing points, (n, 2).
    """

    edges: Indices
    at: npt.NDArray[np.float64]
    points: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.edges)


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
    edges = _Edges.of(rings)
    first, second = edges.x, edges.x + edges.dx
    left, right = np.minimum(first, second), np.maximum(first, second)
    if not between and len(rings) > 1:
        strip = np.repeat(np.arange(len(rings)) * (2 * (right.max() - left.min()) + 1), [len(ring) for ring in rings])
        left, right = left + strip, right + strip
    order = np.argsort(left)
    left, right = left[order], right[order]
    count = np.searchsorted(left, right) - np.arange(1, len(order) + 1)
    np.maximum(count, 0, out=count)  # upright edges end where they begin
    if int(count.sum()) > MAX_PAIRS:
        return _locate(edges, np.empty((0, 2), dtype=np.int64))
    first, second = edges.y[order], (edges.y + edges.dy)[order]
    low, high = np.minimum(first, second), np.maximum(first, second)
    found = []
    for one, other in _pairs(count):
        near = np.flatnonzero((low[one] < high[other]) & (low[other] < high[one]))
        if near.size:
            pair = np.stack([order[one[near]], order[other[near]]], axis=1)
            found.append(pair[edges.cross(pair)])
    return _locate(edges, np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64))


class _Edges(NamedTuple):
    """Edge k goes from (x, y) to (x + dx, y + dy)."""

    x: Values
    y: Values
    dx: Values
    dy: Values
    scale: float  # the largest coordinate

    @classmethod
    def of(cls, rings: Sequence[Ring]) -> _Edges:
        points = np.concatenate(rings)
        following = np.empty_like(points)
        following[:-1] = points[1:]
        ends = np.cumsum([len(ring) for ring in rings])
        following[ends - 1] = points[np.concatenate([[0], ends[:-1]])]
        x, y = np.ascontiguousarray(points.T)
        dx, dy = np.ascontiguousarray((following - points).T)
        return cls(x, y, dx, dy, float(np.abs(points).max()))

    def cross(self, pairs: Indices) -> npt.NDArray[np.bool_]:
        """Whether the ends of each edge of a pair lie strictly on the two sides of the other's line."""
        both: npt.NDArray[np.bool_] = self._parts(pairs[:, 0], pairs[:, 1]) & self._parts(pairs[:, 1], pairs[:, 0])
        return both

    def _parts(self, line: Indices, edge: Indices) -> npt.NDArray[np.bool_]:
        dx, dy = self.dx[line], self.dy[line]
        from_start = dx * (self.y[edge] - self.y[line]) - dy * (self.x[edge] - self.x[line])
        from_end = from_start + dx * self.dy[edge] - dy * self.dx[edge]
        # Nearer to the line than rounding can tell is on it: bridges walked there and back must not cross each other.
        noise = _NOISE * self.scale * (np.abs(dx) + np.abs(dy))
        apart: npt.NDArray[np.bool_] = (np.minimum(from_start, from_end) < -noise) & (
            np.maximum(from_start, from_end) > noise
        )
        return apart


def _pairs(count: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Each position with the `count` positions after it, a chunk at a time."""
    ends = np.cumsum(count)
    begin = 0
    while begin < len(count):
        done = int(ends[begin - 1]) if begin else 0
        until = max(begin + 1, int(np.searchsorted(ends, done + _CHUNK_PAIRS, side="right")))
        some = count[begin:until]
        one = np.repeat(np.arange(begin, until), some)
        first = ends[begin:until] - some - done
        yield one, one + 1 + np.arange(len(one)) - np.repeat(first, some)
        begin = until


def _locate(edges: _Edges, pairs: Indices) -> Crossings:
    if len(pairs) == 0:
        return Crossings(pairs, np.empty((0, 2)), np.empty((0, 2)))
    pairs = np.sort(pairs, axis=1)
    first, second = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].T
    across, down = edges.x[second] - edges.x[first], edges.y[second] - edges.y[first]
    turn = edges.dx[first] * edges.dy[second] - edges.dy[first] * edges.dx[second]
    along_first = (across * edges.dy[second] - down * edges.dx[second]) / turn
    along_second = (across * edges.dy[first] - down * edges.dx[first]) / turn
    points = [edges.x[first] + along_first * edges.dx[first], edges.y[first] + along_first * edges.dy[first]]
    return Crossings(*(np.stack(columns, axis=1) for columns in ([first, second], [along_first, along_second], points)))
