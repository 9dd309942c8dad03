"""Outlines and masks: polygons with holes and parts, filled, traced and bridged without loss.

Coordinates are continuous: pixel `i` covers `[i, i + 1)`, x to the right, y down. A pixel belongs to an outline when
its centre is inside by the even-odd rule. `trace` and `fill` are each other's inverse, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# A traced outline runs this far (pixels) inside the edge it shares with the next column or row, so that rasterisers
# which cut coordinates to whole pixels and draw the border too, as Ultralytics' `polygon2mask`, give the same mask.
INSET_PX = 0.01


@dataclass(frozen=True, eq=False)
class Part:
    """One connected piece of a shape.

    Attributes:
        exterior: Outline, (n, 2) x and y, not closed by a repeated point.
        holes: Outlines of what is cut out of it, each (n, 2).
    """

    exterior: Ring
    holes: tuple[Ring, ...] = ()

    @property
    def rings(self) -> tuple[Ring, ...]:
        """The exterior, then the holes."""
        return (self.exterior, *self.holes)

    def scaled(self, x: float, y: float) -> Part:
        """The same piece with its coordinates multiplied."""
        factor = np.array([x, y])
        return Part(self.exterior * factor, tuple(hole * factor for hole in self.holes))


def area(ring: Ring) -> float:
    """Area inside the ring, by the shoelace formula; crossings count with their sign."""
    x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def fill(parts: Sequence[Part], height: int, width: int) -> Mask:
    """The pixels whose centres are inside any of the parts.

    Returns:
        Boolean mask, (height, width).
    """
    mask = np.zeros((height, width), dtype=np.bool_)
    for part in parts:
        low = np.floor(part.exterior.min(axis=0)).astype(int).clip(0, (width, height))
        high = np.ceil(part.exterior.max(axis=0)).astype(int).clip(0, (width, height))
        (left, top), (right, bottom) = low, high
        if right > left and bottom > top:
            local = [ring - low for ring in part.rings]
            mask[top:bottom, left:right] |= _even_odd(local, bottom - top, right - left)
    return mask


def trace(mask: Mask) -> tuple[Part, ...]:
    """Outline every 4-connected piece of the mask along the edges of its pixels.

    Corners of the pixel grid where the outline turns are paired along rows and along columns; following the pairs in
    turn walks each ring. Pieces that touch in one point only are separate parts.

    Args:
        mask: Boolean mask, (height, width).

    Returns:
        One part a piece, top to bottom; `fill` of them is the mask again.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return ()
    top, left = int(rows[0]), int(columns[0])
    padded = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    rings, is_hole, anchors = _walk(padded)
    offset = np.array([left, top], dtype=np.float64)
    exteriors = [ring + offset for ring, hole in zip(rings, is_hole, strict=True) if not hole]
    holes: list[list[Ring]] = [[] for _ in exteriors]
    for ring, hole, anchor in zip(rings, is_hole, anchors, strict=True):
        if hole:
            holes[_smallest_around(exteriors, anchor + offset)].append(ring + offset)
    return tuple(Part(exterior, tuple(cut)) for exterior, cut in zip(exteriors, holes, strict=True))


def bridge(parts: Sequence[Part]) -> Ring:
    """Join parts and holes into one ring by bridges of no width, walked there and back.

    Under the even-odd rule the ring encloses exactly what the parts enclose, as long as the parts do not overlap.

    Args:
        parts: At least one part; `separate` them first.

    Returns:
        One ring, (n, 2).
    """
    ordered = sorted(parts, key=lambda part: -area(part.exterior))
    joined = [_join_all(part.rings) for part in ordered]
    return _join_all(joined)


def separate(parts: Sequence[Part], height: int, width: int) -> tuple[Part, ...]:
    """The same shape with parts that do not overlap; parts that do are merged on the pixel grid."""
    boxes = [(part.exterior.min(axis=0), part.exterior.max(axis=0)) for part in parts]
    near = any(
        (boxes[i][0] < boxes[j][1]).all() and (boxes[j][0] < boxes[i][1]).all()
        for i in range(len(boxes))
        for j in range(i)
    )
    if not near:
        return tuple(parts)
    masks = [fill([part], height, width) for part in parts]
    if int(np.max(np.sum(masks, axis=0, dtype=np.int32))) <= 1:
        return tuple(parts)
    return trace(np.logical_or.reduce(masks))


def overlap(a: Mask, b: Mask) -> float:
    """Intersection over union of two masks; 1.0 when both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def _even_odd(rings: Sequence[Ring], height: int, width: int) -> Mask:
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    # An edge is always computed from its upper end: a bridge walked both ways then crosses a row at the very same x.
    flip = (start[:, 1] > end[:, 1])[:, None]
    upper, lower = np.where(flip, end, start), np.where(flip, start, end)
    first = np.ceil(upper[:, 1] - 0.5).astype(np.int64).clip(0, height)
    last = np.ceil(lower[:, 1] - 0.5).astype(np.int64).clip(0, height)
    count = last - first
    edge = np.repeat(np.arange(len(start)), count)
    row = first[edge] + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    run = (row + 0.5 - upper[edge, 1]) / (lower[edge, 1] - upper[edge, 1])
    x = upper[edge, 0] + run * (lower[edge, 0] - upper[edge, 0])
    column = np.ceil(x - 0.5).astype(np.int64).clip(0, width)
    toggles = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)).reshape(height, width + 1)
    inside: Mask = np.bitwise_xor.accumulate((toggles & 1).astype(np.bool_), axis=1)[:, :width]
    return inside


def _walk(padded: Mask) -> tuple[list[Ring], list[bool], list[Ring]]:
    up_left, up_right = padded[:-1, :-1], padded[:-1, 1:]
    down_left, down_right = padded[1:, :-1], padded[1:, 1:]
    turn = up_left ^ up_right ^ down_left ^ down_right
    cross = (up_left == down_right) & (up_right == down_left) & (up_left != up_right)
    # Two rings meet in a crossing, one around each of the two pixels that are set.
    y, x = (
        np.concatenate([a, b]) for a, b in zip(np.nonzero(turn), np.nonzero(np.dstack([cross, cross]))[:2], strict=True)
    )
    second = np.concatenate(
        [np.zeros(np.count_nonzero(turn), np.bool_), np.tile([False, True], np.count_nonzero(cross))]
    )
    a, b, c, d = up_left[y, x], up_right[y, x], down_left[y, x], down_right[y, x]
    crossing = cross[y, x]
    # At a crossing the set pixels are a and d, or b and c; the upper one is walked by the first node.
    goes_right = np.where(crossing, np.where(a, second, ~second), b != d)
    goes_down = np.where(crossing, second, c != d)
    inside_left, inside_above = np.where(goes_down, c, a), np.where(goes_right, b, a)
    points = np.stack([x - INSET_PX * inside_left, y - INSET_PX * inside_above], axis=1)
    along_row = _partners(np.lexsort((goes_right, x, y)))
    along_column = _partners(np.lexsort((goes_down, y, x)))

    rings, is_hole, anchors = [], [], []
    seen = np.zeros(len(points), np.bool_).tolist()
    for start in np.lexsort((goes_right, x, y)).tolist():
        if seen[start]:
            continue
        nodes, node = [], start
        while not seen[node]:
            other = along_row[node]
            seen[node] = seen[other] = True
            nodes += [node, other]
            node = along_column[other]
        rings.append(points[nodes])
        # The start is the ring's upper left corner: below and right of it lies the piece, or the hole.
        is_hole.append(not d[start])
        anchors.append(np.array([x[start] - 0.5, y[start] + 0.5]))
    return rings, is_hole, anchors


def _partners(order: npt.NDArray[np.intp]) -> list[int]:
    partner = np.empty_like(order)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return [int(node) for node in partner]


def _smallest_around(rings: Sequence[Ring], point: Ring) -> int:
    around = [i for i, ring in enumerate(rings) if _encloses(ring, point)]
    return min(around, key=lambda i: area(rings[i]))


def _encloses(ring: Ring, point: Ring) -> bool:
    start, end = ring, np.roll(ring, -1, axis=0)
    spans = (start[:, 1] > point[1]) != (end[:, 1] > point[1])
    start, end = start[spans], end[spans]
    x = start[:, 0] + (point[1] - start[:, 1]) / (end[:, 1] - start[:, 1]) * (end[:, 0] - start[:, 0])
    return bool(np.count_nonzero(x > point[0]) % 2)


def _join_all(rings: Sequence[Ring]) -> Ring:
    joined = rings[0]
    for ring in rings[1:]:
        here = _nearest(joined, ring.mean(axis=0))
        there = _nearest(ring, joined[here])
        here = _nearest(joined, ring[there])
        loop = np.roll(ring, -there, axis=0)
        joined = np.concatenate([joined[: here + 1], loop, loop[:1], joined[here:]])
    return joined


def _nearest(ring: Ring, point: Ring) -> int:
    return int(np.argmin(((ring - point) ** 2).sum(axis=1)))
