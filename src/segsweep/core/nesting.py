"""From rings to parts: which rings are outlines, which are holes, and in what.

A set of rings encloses, by the even-odd rule, the points that an odd number of them goes around. Parts say the same in
the terms that every format has: outlines with holes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segsweep.core.crossings import find_crossings
from segsweep.core.geometry import Part, Ring, area, bridge


def nest(rings: Sequence[Ring]) -> tuple[Part, ...]:
    """Parts that enclose what the rings enclose by the even-odd rule.

    Args:
        rings: They may touch each other. Rings that cross each other cannot be told apart into outlines and holes; they
            are bridged into one outline, which encloses the same.

    Returns:
        Parts that do not overlap, in the order of their outlines; islands in holes are parts of their own.
    """
    if len(rings) == 1:
        return (Part(rings[0]),)
    parts: list[tuple[int, Part]] = []
    for members in _clusters(rings):
        if len(members) == 1:
            parts.append((members[0], Part(rings[members[0]])))
            continue
        cluster = [rings[i] for i in members]
        around = _containment(cluster)
        if around is None:
            parts.append((members[0], Part(bridge([Part(ring) for ring in cluster]))))
            continue
        depth = around.sum(axis=0)
        for i in np.flatnonzero(depth % 2 == 0):
            holes = np.flatnonzero(around[i] & (depth == depth[i] + 1))
            parts.append((members[i], Part(cluster[i], tuple(cluster[j] for j in holes))))
    return tuple(part for _, part in sorted(parts, key=lambda found: found[0]))


def encloses(ring: Ring, points: Ring) -> npt.NDArray[np.bool_]:
    """Which points the ring goes around an odd number of times; those on the ring itself may fall either way.

    Args:
        ring: (n, 2).
        points: (m, 2).

    Returns:
        (m,), boolean.
    """
    start, end = ring, np.roll(ring, -1, axis=0)
    spans = (start[:, 1] > points[:, 1, None]) != (end[:, 1] > points[:, 1, None])
    point, edge = np.nonzero(spans)
    start, end = start[edge], end[edge]
    run = (points[point, 1] - start[:, 1]) / (end[:, 1] - start[:, 1])
    right = start[:, 0] + run * (end[:, 0] - start[:, 0]) > points[point, 0]
    inside: npt.NDArray[np.bool_] = np.bincount(point[right], minlength=len(points)) % 2 == 1
    return inside


def _clusters(rings: Sequence[Ring]) -> list[list[int]]:
    """Rings whose boxes overlap, directly or through others, lie together."""
    low = np.array([ring.min(axis=0) for ring in rings])
    high = np.array([ring.max(axis=0) for ring in rings])
    label = list(range(len(rings)))
    # From left to right a ring can only meet those whose right end is not passed yet.
    active: list[int] = []
    for i in np.argsort(low[:, 0], kind="stable").tolist():
        active = [j for j in active if high[j, 0] > low[i, 0]]
        for j in active:
            if low[i, 1] < high[j, 1] and low[j, 1] < high[i, 1]:
                _join(label, i, j)
        active.append(i)
    members: dict[int, list[int]] = {}
    for i in range(len(rings)):
        members.setdefault(_root(label, i), []).append(i)
    return list(members.values())


def _join(label: list[int], i: int, j: int) -> None:
    a, b = _root(label, i), _root(label, j)
    label[max(a, b)] = min(a, b)


def _root(label: list[int], i: int) -> int:
    while label[i] != i:
        label[i] = label[label[i]]
        i = label[i]
    return i


def _containment(rings: Sequence[Ring]) -> npt.NDArray[np.bool_] | None:
    """Entry (i, j): ring i goes around ring j. None if two rings cross, or lie on each other."""
    if len(find_crossings(rings, between=True)) > 0:
        return None
    areas = [area(ring) for ring in rings]
    around = np.zeros((len(rings), len(rings)), dtype=np.bool_)
    # Rings may share corners, so the middles of edges are asked.
    middles = [(ring + np.roll(ring, -1, axis=0)) / 2 for ring in rings]
    for i, ring in enumerate(rings):
        low, high = ring.min(axis=0), ring.max(axis=0)
        for j, points in enumerate(middles):
            if i == j or areas[j] > areas[i] or not ((points >= low) & (points <= high)).all():
                continue
            if areas[j] == areas[i]:
                return None
            inside = encloses(ring, points)
            if inside.any() != inside.all():
                return None
            around[i, j] = inside.all()
    return around
