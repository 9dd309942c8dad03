"""Shapes on the pixel grid: filled, kept apart, compared.

Coordinates are continuous: pixel `i` covers `[i, i + 1)`, x to the right, y down. A pixel belongs to an outline when
its centre is inside by the even-odd rule. `trace` and `fill` are each other's inverse, exactly; so are `bridge` and
`unbridge`, up to where a ring starts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segsweep.core.bridge import bridge, unbridge
from segsweep.core.outline import INSET_PX, trace
from segsweep.core.part import Mask, Part, Ring, area

__all__ = ["INSET_PX", "Mask", "Part", "Ring", "area", "bridge", "fill", "overlap", "separate", "trace", "unbridge"]


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
    # Only what lies around the shape is ever rasterised.
    outer = np.array(boxes)
    low = np.floor(outer[:, 0].min(axis=0)).clip(0, (width, height))
    right, bottom = np.ceil(outer[:, 1].max(axis=0)).clip(low, (width, height)) - low
    masks = [fill([_moved(part, -low)], int(bottom), int(right)) for part in parts]
    united = np.zeros_like(masks[0])
    overlaps = False
    for mask in masks:
        overlaps = overlaps or bool((united & mask).any())
        united |= mask
    return tuple(_moved(part, low) for part in trace(united)) if overlaps else tuple(parts)


def overlap(a: Mask, b: Mask) -> float:
    """Intersection over union of two masks; 1.0 when both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def _moved(part: Part, step: Ring) -> Part:
    return Part(part.exterior + step, tuple(hole + step for hole in part.holes))


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
