"""From masks to outlines, exactly, along the edges of pixels.

All that counts of a mask is where it changes: walking along each line of pixels, the places where it begins and ends.
They are kept as `Changes`: sorted whole numbers `line * (length + 1) + position`, beginning and end of each run in
turn, no run reaching over the end of its line. Lines are columns in a run-length mask and rows in an array.
"""

from __future__ import annotations

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
    # A line holds an even number of changes, so the parity of all changes up to a corner says what is set there.
    rank_in_before, rank_in_after = np.searchsorted(before, after), np.searchsorted(after, before)
    opposite = np.minimum(rank_in_before, len(before) - 1)
    shared = before[opposite] == after
    alone = np.ones(len(before), np.bool_)
    alone[opposite[shared]] = False
    one, both, other = np.flatnonzero(~shared), np.flatnonzero(shared & (ends[opposite] != ends)), np.flatnonzero(alone)
    inside_before, inside_after = (rank_in_before[one] & 1) == 1, (rank_in_after[other] & 1) == 1
    ends_one, ends_both, ends_other, ends_opposite = ends[one], ends[both], ends[other], ends[opposite[both]]
    line, position = np.divmod(np.concatenate([after[one], after[both], before[other]]), length + 1)
    return _Corners(
        line,
        position,
        np.concatenate([inside_before, ends_opposite, ends_other]),
        np.concatenate([ends_one, ends_both, inside_after]),
        np.concatenate([inside_before, ~ends_opposite, ~ends_other]),
        np.concatenate([~ends_one, ~ends_both, inside_after]),
    )


def _outlines(corners: _Corners, offset: Ring) -> tuple[Part, ...]:
    loops, is_hole, starts = _walk(corners, offset)
    exteriors = [loop for loop, hole in zip(loops, is_hole, strict=True) if not hole]
    if len(exteriors) == len(loops):
        return tuple(Part(exterior) for exterior in exteriors)
    holes: list[list[Ring]] = [[] for _ in exteriors]
    for loop, hole, start in zip(loops, is_hole, starts, strict=True):
        if hole:
            # Left of a hole's upper left corner lies a pixel of the piece around it.
            pixel = start + np.array([-0.5, 0.5])
            around = [i for i, ring in enumerate(exteriors) if encloses(ring, pixel)]
            # It turns against its outline, so that who fills by the non-zero rule sees the same.
            holes[min(around, key=lambda i: area(exteriors[i]))].append(loop[::-1])
    return tuple(Part(exterior, tuple(cut)) for exterior, cut in zip(exteriors, holes, strict=True))


def _walk(corners: _Corners, offset: Ring) -> tuple[list[Ring], list[bool], Ring]:
    """Pair the corners along rows and along columns; following the pairs in turn walks each ring.

    Returns:
        The rings, whether each goes round what is not set, and the upper left corner of each, (n, 2).
    """
    crossing = (corners.up_left == corners.down_right) & (corners.up_right == corners.down_left)
    # Two rings meet in a crossing, one around each of the two pixels that are set.
    again = np.flatnonzero(crossing)
    if again.size:
        corners = _Corners(*(np.concatenate([values, values[again]]) for values in corners))
    x, y, a, b, c, d = corners
    goes_right, goes_down = b != d, c != d
    if again.size:
        # The set pixels are a and d, or b and c; the upper one is walked by the first corner.
        second = np.arange(len(x)) >= len(crossing)
        crossing = np.concatenate([crossing, crossing[again]])
        goes_right = np.where(crossing, a == second, goes_right)
        goes_down = np.where(crossing, second, goes_down)
    points = np.empty((len(x), 2))
    points[:, 0] = x - INSET_PX * np.where(goes_down, c, a)
    points[:, 1] = y - INSET_PX * np.where(goes_right, b, a)
    by_row = np.argsort((y << 32) + (x << 1) + goes_right)
    along_row = _partners(by_row)
    along_column = _partners(np.argsort((x << 32) + (y << 1) + goes_down))
    starts: list[int] = []
    nodes: list[int] = []
    ends: list[int] = []
    seen = [False] * len(x)
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
        ends.append(len(nodes))
    walked = points[nodes] + offset
    rings = [walked[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    # The start is the ring's upper left corner: below and right of it lies the piece, or the hole.
    return rings, (~d[starts]).tolist(), np.stack([x[starts], y[starts]], axis=1) + offset


def _partners(order: npt.NDArray[np.intp]) -> list[int]:
    partner = np.empty_like(order)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    found: list[int] = partner.tolist()
    return found
