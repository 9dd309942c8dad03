"""Outlines that cross themselves, taken apart into outlines that do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segsweep.core.crossings import Crossings, find_crossings
from segsweep.core.geometry import Part, Ring, area
from segsweep.core.nesting import nest

# A scribble of more is left as it is: it is no outline of anything, and by the even-odd rule it stays what it was.
MAX_CROSSINGS = 1000

_STEP = 1e-10  # of the largest coordinate: a ten-millionth of a pixel


def untangle(part: Part, flat: float = 0.0) -> tuple[Part, ...] | None:
    """The same shape in outlines that do not cross themselves.

    Where an outline crosses itself the two strands are exchanged, each going on where the other would have: Seifert's
    smoothing (H. Seifert, 1935), after which the outline is a set of loops that touch but no longer cross. They go
    around every point as often as before, so the even-odd rule, by which training fills polygons (OpenCV's `fillPoly`),
    gives the same shape: what the outline went around twice is a hole.

    Args:
        part: Its outlines may cross themselves and each other.
        flat: Loops of at most this area are left out. Edges that lie on each other leave loops of a ten-billionth of
            their length times the image's side.

    Returns:
        The parts; points of an outline that was taken apart have moved by up to a ten-billionth of the largest
        coordinate. None if there are more than `MAX_CROSSINGS`.
    """
    loops: list[Ring] = []
    for ring in part.rings:
        crossings = find_crossings([ring])
        if len(crossings) > MAX_CROSSINGS:
            return None
        if len(crossings) > 0 or area(ring) <= flat:  # loops that turn in opposite ways cancel each other's area
            ring = _unsettled(ring)  # noqa: PLW2901 - the same ring, in general position
            crossings = find_crossings([ring])
        loops += [loop for loop in _smooth(ring, crossings) if area(loop) > flat]
    return nest(loops) if loops else ()


def _unsettled(ring: Ring) -> Ring:
    """Move each point by less than any label can say, so that no point lies on an edge and no three edges meet."""
    step = _STEP * float(np.abs(ring).max())
    moved: Ring = ring + np.random.default_rng(0).uniform(-step, step, ring.shape)
    return moved


def _smooth(ring: Ring, crossings: Crossings) -> Sequence[Ring]:
    count = len(crossings)
    if count == 0:
        return [ring]
    # The walk: the ring's points, and each crossing twice, in their order along the ring.
    place = np.concatenate([np.arange(len(ring)), (crossings.edges + crossings.at).ravel()])
    order = np.argsort(place, kind="stable")
    points = np.concatenate([ring, np.repeat(crossings.points, 2, axis=0)])[order]
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    first, second = position[len(ring) :: 2], position[len(ring) + 1 :: 2]
    following = np.roll(np.arange(len(order)), -1)
    following[first], following[second] = following[second], following[first]
    return [points[nodes] for nodes in _cycles(following.tolist())]


def _cycles(following: list[int]) -> list[list[int]]:
    found = []
    seen = [False] * len(following)
    for start in range(len(following)):
        nodes = []
        node = start
        while not seen[node]:
            seen[node] = True
            nodes.append(node)
            node = following[node]
        if nodes:
            found.append(nodes)
    return found
