"""From masks to outlines, exactly, along the edges of pixels.

All that counts of a mask is where it changes: walking along each line of pixels, the places where it begins and ends.
They are kept as `Changes`: sorted whole numbers `line * (length + 1) + position`, beginning and end of each run in
turn, no run reaching over the end of its line. Lines are columns in a run-length mask and rows in an array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segsweep.core.part import Mask, Part, Ring, area, encloses

Changes = npt.NDArray[np.int64]

# A traced outline runs this far (pixels) inside the edge it shares with the next column or row, so that rasterisers
# which cut coordinates to whole pixels and draw the border too, as Ultralytics' `polygon2mask`, give the same mask.
INSET_PX = 0.01


def trace(mask: Mask) -> tuple[Part, ...]:
    """Outline every 4-connected piece of the mask along the edges of its pixels.

    Pieces that touch in one point only are separate parts.

    Args:
        mask: Boolean mask, (height, width).

    Returns:
        One part a piece, top to bottom; `fill` of them is the mask again.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return ()
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    padded = np.pad(mask[top:bottom], ((0, 0), (1, 1)))
    changes = np.flatnonzero(padded[:, 1:] != padded[:, :-1])
    return _outlines(_corners(changes, mask.shape[1]).transposed(), np.array([0.0, top]))


def trace_columns(changes: Changes, height: int) -> tuple[Part, ...]:
    """As `trace`, of a mask that is known by the changes along its columns of pixels."""
    return _outlines(_corners(changes, height), np.zeros(2)) if changes.size else ()


class _Corners(NamedTuple):
    """Corners of the pixel grid where an outline turns, and which of the four pixels around each are set."""

    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    up_left: Mask
    up_right: Mask
    down_left: Mask
    down_right: Mask

    def transposed(self) -> _Corners:
        return _Corners(self.y, self.x, self.up_left, self.down_left, self.up_right, self.down_right)


def _corners(changes: Changes, length: int) -> _Corners:
    """Where a line changes and the line before it does not, or the other way, or both in opposite ways."""
    ends = np.zeros(len(changes), np.bool_)
    ends[1::2] = True
    after = changes  # the corner between its line and the one before, named as changes are
    before = changes + (length + 1)  # the corner between its line and the one behind
    rank_in_before = np.searchsorted(before, after)
    rank_in_after = np.searchsorted(after, before)
    opposite = np.minimum(rank_in_before, len(before) - 1)
    shared = before[opposite] == after
    alone_before = np.ones(len(before), np.bool_)
    alone_before[opposite[shared]] = False
    # A line holds an even number of changes, so the parity of all changes up to a corner says what is set there.
    inside_before = (rank_in_before & 1).astype(np.bool_)
    inside_after = (rank_in_after & 1).astype(np.bool_)
    crossing = shared & (ends[opposite] != ends)
    one, both, other = ~shared, crossing, alone_before
    code = np.concatenate([after[one], after[both], before[other]])
    ends_before = np.concatenate([inside_before[one], ends[opposite[both]], ends[other]])
    begins_before = np.concatenate([inside_before[one], ~ends[opposite[both]], ~ends[other]])
    ends_after = np.concatenate([ends[one], ends[both], inside_after[other]])
    begins_after = np.concatenate([~ends[one], ~ends[both], inside_after[other]])
    line, position = np.divmod(code, length + 1)
    return _Corners(line, position, ends_before, ends_after, begins_before, begins_after)


@dataclass(frozen=True)
class _Loop:
    """One ring.

    Attributes:
        points: (n, 2).
        is_hole: Whether it goes round what is not set.
        anchor: Centre of the pixel left of its upper left corner: of a hole, in the piece around it.
    """

    points: Ring
    is_hole: bool
    anchor: Ring


def _outlines(corners: _Corners, offset: Ring) -> tuple[Part, ...]:
    loops = _walk(corners, offset)
    exteriors = [loop.points for loop in loops if not loop.is_hole]
    holes: list[list[Ring]] = [[] for _ in exteriors]
    for loop in loops:
        if loop.is_hole:
            around = [i for i, ring in enumerate(exteriors) if encloses(ring, loop.anchor)]
            holes[min(around, key=lambda i: area(exteriors[i]))].append(loop.points)
    return tuple(Part(exterior, tuple(cut)) for exterior, cut in zip(exteriors, holes, strict=True))


def _walk(corners: _Corners, offset: Ring) -> list[_Loop]:
    """Pair the corners along rows and along columns; following the pairs in turn walks each ring."""
    crossing = (corners.up_left == corners.down_right) & (corners.up_right == corners.down_left)
    # Two rings meet in a crossing, one around each of the two pixels that are set.
    again = np.flatnonzero(crossing)
    twice = np.concatenate([np.arange(len(crossing)), again])
    x, y, a, b, c, d = (values[twice] for values in corners)
    second = np.zeros(len(twice), np.bool_)
    second[len(crossing) :] = True
    # At a crossing the set pixels are a and d, or b and c; the upper one is walked by the first node.
    goes_right = np.where(crossing[twice], a == second, b != d)
    goes_down = np.where(crossing[twice], second, c != d)
    points = np.empty((len(twice), 2))
    points[:, 0] = x - INSET_PX * np.where(goes_down, c, a)
    points[:, 1] = y - INSET_PX * np.where(goes_right, b, a)
    points += offset
    by_row = np.argsort((y * (int(x.max()) + 1) + x) * 2 + goes_right)
    along_row = _partners(by_row)
    along_column = _partners(np.argsort((x * (int(y.max()) + 1) + y) * 2 + goes_down))
    starts: list[int] = []
    nodes: list[int] = []
    borders = [0]
    seen = [False] * len(twice)
    for start in by_row.tolist():
        if seen[start]:
            continue
        starts.append(start)
        node = start
        while not seen[node]:
            other = along_row[node]
            seen[node] = seen[other] = True
            nodes += (node, other)
            node = along_column[other]
        borders.append(len(nodes))
    walked = points[nodes]
    # The start is the ring's upper left corner: below and right of it lies the piece, or the hole.
    anchors = np.stack([x[starts] - 0.5, y[starts] + 0.5], axis=1) + offset
    return [
        # A hole turns against its outline, so that who fills by the non-zero rule sees the same.
        _Loop(walked[begin:end][::-1] if hole else walked[begin:end], hole, anchor)
        for begin, end, hole, anchor in zip(borders[:-1], borders[1:], (~d[starts]).tolist(), anchors, strict=True)
    ]


def _partners(order: npt.NDArray[np.intp]) -> list[int]:
    partner = np.empty_like(order)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    found: list[int] = partner.tolist()
    return found
