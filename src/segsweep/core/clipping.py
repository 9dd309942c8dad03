"""Shapes cut at a rectangle, exactly: a hole that is cut open stays a hole, a shape cut in two becomes two parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segsweep.core.geometry import Part, Ring
from segsweep.core.nesting import nest

Box = tuple[float, float, float, float]


def clip(part: Part, box: Box) -> tuple[Part, ...]:
    """What of a part lies inside a rectangle, by the even-odd rule.

    The rings are cut at one side after the other. The pieces of outline that remain inside begin and end on the side's
    line; along that line the shape is entered and left in turn, so their ends, in order, are joined two by two. This
    is exact for outlines that cross themselves, too.

    Args:
        part: In any unit.
        box: Left, top, right, bottom, in the same unit.

    Returns:
        The pieces, none if nothing is inside; the part itself if all of it is.
    """
    x0, y0, x1, y1 = box
    low, high = part.exterior.min(axis=0), part.exterior.max(axis=0)
    if low[0] >= x0 and low[1] >= y0 and high[0] <= x1 and high[1] <= y1:
        return (part,)
    if low[0] >= x1 or low[1] >= y1 or high[0] <= x0 or high[1] <= y0:
        return ()
    rings: list[Ring] = list(part.rings)
    for axis, line, side in ((0, x0, 1), (0, x1, -1), (1, y0, 1), (1, y1, -1)):
        rings = _cut(rings, axis, line, side)
    return nest(rings) if rings else ()


def _cut(rings: Sequence[Ring], axis: int, line: float, side: int) -> list[Ring]:
    """The rings where `side * (coordinate - line)` is above 0, closed along the line."""
    whole: list[Ring] = []
    pieces: list[Ring] = []
    for ring in rings:
        # A point on the line is outside: an edge along the line is then made anew where it still is an edge.
        inside = side * (ring[:, axis] - line) > 0
        if inside.all():
            whole.append(ring)
        elif inside.any():
            pieces += _pieces(ring, inside, axis, line)
    return whole + _close(pieces, 1 - axis)


def _pieces(ring: Ring, inside: npt.NDArray[np.bool_], axis: int, line: float) -> list[Ring]:
    """The runs of points inside, each from where it crosses the line to where it crosses it again."""
    first = int(np.argmin(inside))
    ring, inside = np.roll(ring, -first, axis=0), np.roll(inside, -first)
    closed = np.concatenate([ring, ring[:1]])
    starts = np.flatnonzero(~inside & np.roll(inside, -1))
    ends = np.flatnonzero(inside & ~np.roll(inside, -1)) + 1
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        entry = _crossing(closed[start], closed[start + 1], axis, line)
        leave = _crossing(closed[end], closed[end - 1], axis, line)
        found.append(np.concatenate([entry, closed[start + 1 : end], leave]))
    return found


def _crossing(outside: Ring, inside: Ring, axis: int, line: float) -> Ring:
    run = (line - outside[axis]) / (inside[axis] - outside[axis])
    point: Ring = (outside + run * (inside - outside))[None]
    point[0, axis] = line
    return point


_End = tuple[float, int, int]  # where along the line, of which piece, and 0 for its beginning or -1 for its end


def _opposite(ends: Sequence[_End], first: int) -> int:
    """Which of the ends that lie where the next one lies is to be joined to the first."""
    position, kind = ends[first + 1][0], ends[first][2]
    k = first + 1
    while k < len(ends) and ends[k][0] == position:
        if ends[k][2] != kind:
            return k
        k += 1
    return first + 1


def _close(pieces: Sequence[Ring], along: int) -> list[Ring]:
    """Join the ends of the pieces two by two in their order along the line, and walk the rings this makes."""
    ends: list[_End] = [(float(piece[where, along]), i, where) for i, piece in enumerate(pieces) for where in (0, -1)]
    ends.sort(key=lambda end: end[0])
    partner: dict[tuple[int, int], tuple[int, int]] = {}
    for first in range(0, len(ends), 2):
        second = first + 1
        # Of ends in one point, a beginning is joined to an end, or pieces that only touch there would be walked as one.
        other = _opposite(ends, first)
        ends[second], ends[other] = ends[other], ends[second]
        (_, i, a), (_, j, b) = ends[first], ends[second]
        partner[i, a], partner[j, b] = (j, b), (i, a)
    rings: list[Ring] = []
    seen: set[int] = set()
    for start in range(len(pieces)):
        if start in seen:
            continue
        walked: list[Ring] = []
        i, entered = start, 0
        while i not in seen:
            seen.add(i)
            walked.append(pieces[i] if entered == 0 else pieces[i][::-1])
            i, entered = partner[i, -1 if entered == 0 else 0]
        rings.append(np.concatenate(walked))
    return rings
