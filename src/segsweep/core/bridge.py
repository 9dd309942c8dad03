"""Parts and holes in one ring, as YOLO's label rows want them, and out of it again.

A bridge has no width: it is walked there and back between two vertices, which the ring therefore holds twice. Under the
even-odd rule what is walked twice does not count, so cutting a bridge, or making one, never changes what is filled.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import numpy as np

from segsweep.core.part import Part, Ring, area, encloses

_Vertex = tuple[float, float]


def bridge(parts: Sequence[Part]) -> Ring:
    """Join parts and holes into one ring.

    It encloses by the even-odd rule exactly what the parts enclose, as long as the parts do not overlap.

    Args:
        parts: At least one part; `separate` them first.

    Returns:
        One ring, (n, 2).
    """
    ordered = sorted(parts, key=lambda part: -area(part.exterior))
    joined = [_join_all(part.rings) for part in ordered]
    return _join_all(joined)


def unbridge(ring: Ring) -> tuple[Part, ...]:
    """Cut the ring at its bridges, whoever made them, and sort the pieces into parts and their holes.

    Vertices of a bridge must be repeated exactly, as they are in coordinates that were rounded and written as text.

    Args:
        ring: (n, 2).

    Returns:
        Parts that enclose exactly what the ring encloses, the largest first. A ring without bridges is one part, and so
        is one whose pieces touch each other: which piece lies in which is then open.
    """
    vertices = cast(list[_Vertex], [tuple(vertex) for vertex in ring.tolist()])
    if len(set(vertices)) == len(vertices):
        return (Part(ring),)
    loops = [loop for loop in map(np.array, _cut(vertices)) if len(loop) >= 3 and not _is_flat(loop)]
    if not loops or any(_touch(a, b) for i, a in enumerate(loops) for b in loops[:i]):
        return (Part(ring),)
    return _nest(sorted(loops, key=lambda loop: -float(np.prod(np.ptp(loop, axis=0)))))


def _join_all(rings: Sequence[Ring]) -> Ring:
    joined = rings[0]
    for ring in rings[1:]:
        here = _nearest(joined, ring.mean(axis=0))
        there = _nearest(ring, joined[here])
        here = _nearest(joined, ring[there])
        joined = np.concatenate([joined[: here + 1], ring[there:], ring[: there + 1], joined[here:]])
    return joined


def _nearest(ring: Ring, point: Ring) -> int:
    x, y = (ring - point).T
    return int((x * x + y * y).argmin())  # not einsum: machines that fuse the two operations would round otherwise


def _cut(vertices: Sequence[_Vertex]) -> list[list[_Vertex]]:
    """The rings that are left when every edge that is walked back is taken out together with its way back."""
    path = [vertices[0]]
    walked: dict[tuple[_Vertex, _Vertex], int] = {}  # edges of the path -> index of their first vertex
    loops = []
    for vertex in (*vertices[1:], vertices[0]):
        if vertex == path[-1]:
            continue
        first = walked.pop((vertex, path[-1]), None)
        if first is None:
            walked[path[-1], vertex] = len(path) - 1
            path.append(vertex)
            continue
        loop = path[first + 1 :]  # begins and ends at the far end of the bridge
        for edge in itertools.pairwise(loop):
            walked.pop(edge, None)
        loops.append(loop[:-1])
        del path[first + 1 :]
    return [path[:-1], *loops]


def _is_flat(ring: Ring) -> bool:
    """Whether all vertices lie on one line. A ring that crosses itself can fill much and have an `area` of 0."""
    along, towards = ring[1] - ring[0], ring[2:] - ring[0]
    return not (along[0] * towards[:, 1] - along[1] * towards[:, 0]).any()


def _touch(a: Ring, b: Ring) -> bool:
    """Whether an edge of one ring meets an edge of the other, be it in a point."""
    low, high = np.maximum(a.min(axis=0), b.min(axis=0)), np.minimum(a.max(axis=0), b.max(axis=0))
    if (low > high).any():
        return False
    (p, q), (r, s) = (_edges_within(ring, low, high) for ring in (a, b))
    p, q = p[:, None], q[:, None]
    near = (np.maximum(p, q) >= np.minimum(r, s)) & (np.minimum(p, q) <= np.maximum(r, s))
    apart = (_side(p, q, r) * _side(p, q, s) > 0) | (_side(r, s, p) * _side(r, s, q) > 0)
    return bool((near.all(axis=-1) & ~apart).any())


def _edges_within(ring: Ring, low: Ring, high: Ring) -> tuple[Ring, Ring]:
    start, end = ring, np.roll(ring, -1, axis=0)
    within = ((np.maximum(start, end) >= low) & (np.minimum(start, end) <= high)).all(axis=1)
    return start[within], end[within]


def _side(start: Ring, end: Ring, point: Ring) -> Ring:
    """On which side of the edges the points lie, by its sign; 0 on their line."""
    along, towards = end - start, point - start
    return np.sign(along[..., 0] * towards[..., 1] - along[..., 1] * towards[..., 0])


def _nest(loops: Sequence[Ring]) -> tuple[Part, ...]:
    """Parts of rings that do not touch: what lies in an odd number of others is a hole of the smallest around it.

    Args:
        loops: By the size of the box around them, the largest first, so that what lies in a ring comes after it.
    """
    around: list[list[int]] = []
    for index, loop in enumerate(loops):
        point = _point_inside(loop)
        around.append([larger for larger in range(index) if encloses(loops[larger], point)])
    holes: dict[int, list[Ring]] = {index: [] for index, outer in enumerate(around) if len(outer) % 2 == 0}
    for loop, outer in zip(loops, around, strict=True):
        if len(outer) % 2:
            holes[outer[-1]].append(loop)
    parts = [Part(loops[index], tuple(cut)) for index, cut in holes.items()]
    return tuple(sorted(parts, key=lambda part: -area(part.exterior)))


def _point_inside(ring: Ring) -> Ring:
    """The middle of the widest stretch inside the ring, at the height halfway between two of its vertices."""
    heights = np.unique(ring[:, 1])
    gap = int(np.argmax(np.diff(heights)))
    y = (heights[gap] + heights[gap + 1]) / 2
    start, end = ring, np.roll(ring, -1, axis=0)
    spans = (start[:, 1] > y) != (end[:, 1] > y)
    start, end = start[spans], end[spans]
    x = np.sort(start[:, 0] + (y - start[:, 1]) / (end[:, 1] - start[:, 1]) * (end[:, 0] - start[:, 0]))
    widest = 2 * int(np.argmax(x[1::2] - x[::2]))
    return np.array([(x[widest] + x[widest + 1]) / 2, y])
