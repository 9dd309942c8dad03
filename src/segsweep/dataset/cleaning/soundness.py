"""A first look at the shapes of an image: which of them need no repair.

Nearly all shapes of nearly all datasets are sound, so what matters is to find that out cheaply: every question is asked
of all rings of the image at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segsweep.core.crossings import find_crossings
from segsweep.core.geometry import Ring
from segsweep.dataset.records import Instance

# Of the image's area: a thousandth of a pixel of a megapixel. A ring of less has no area.
FLAT_SHARE = 1e-9

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Look:
    """What is seen of each instance.

    Attributes:
        sound: Whether nothing is to be mended.
        low: Least x and y of its first outline, (n, 2).
        high: Greatest x and y of it.
    """

    sound: npt.NDArray[np.bool_]
    low: Ring
    high: Ring


def look(instances: Sequence[Instance]) -> Look:
    """Look at the instances of one image.

    A sound instance lies inside the image; its rings have an area, turn at every point, do not cross themselves and
    wind against each other where one is the hole of the other.

    Args:
        instances: At least one; coordinates may be anything, so that overflow and what is no number must not warn.
    """
    rings: list[Ring] = []
    first_ring: list[int] = []  # of each instance
    outline: list[int] = []  # of each ring
    for one in instances:
        first_ring.append(len(rings))
        for part in one.parts:
            outline += [len(rings)] * (1 + len(part.holes))
            rings.append(part.exterior)
            rings += part.holes
    lengths = np.array([len(ring) for ring in rings], dtype=np.int64)
    points = np.concatenate(rings) if rings else np.empty((0, 2))
    if not all(one.parts for one in instances) or lengths.min() < 3 or not np.isfinite(points).all():
        return _look_at_shapes(instances)
    starts = np.cumsum(lengths) - lengths
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    wrong = ((low < 0) | (high > 1)).any(axis=1)
    wrong |= _is_misshapen(points - np.repeat(low, lengths, axis=0), starts, lengths, np.array(outline))
    crossing = find_crossings(rings).edges[:, 0]
    wrong[np.searchsorted(starts, crossing, side="right") - 1] = True
    first = np.array(first_ring)
    return Look(~np.logical_or.reduceat(wrong, first), low[first], high[first])


def _look_at_shapes(instances: Sequence[Instance]) -> Look:
    """Some are no shapes at all, with rings of less than three points or of what is no number; look at the others."""
    shapes = [
        index
        for index, one in enumerate(instances)
        if one.parts and all(len(ring) >= 3 and np.isfinite(ring).all() for part in one.parts for ring in part.rings)
    ]
    whole = Look(np.zeros(len(instances), np.bool_), *np.zeros((2, len(instances), 2)))
    if shapes:
        seen = look([instances[index] for index in shapes])
        whole.sound[shapes], whole.low[shapes], whole.high[shapes] = seen.sound, seen.low, seen.high
    return whole


def _is_misshapen(points: Ring, starts: Counts, lengths: Counts, outline: Counts) -> npt.NDArray[np.bool_]:
    """Of each ring: is it flat, does it go straight on at a point, does it wind as the outline whose hole it is?"""
    ends = starts + lengths - 1
    following = np.empty_like(points)
    following[:-1] = points[1:]
    following[ends] = points[starts]
    edges = following - points
    before = np.empty_like(edges)
    before[1:] = edges[:-1]
    before[starts] = edges[ends]
    turn = before[:, 0] * edges[:, 1] - before[:, 1] * edges[:, 0]
    ahead = before[:, 0] * edges[:, 0] + before[:, 1] * edges[:, 1] >= 0
    signed = np.add.reduceat(points[:, 0] * edges[:, 1] - points[:, 1] * edges[:, 0], starts) / 2
    flat = ~(np.abs(signed) > FLAT_SHARE)
    is_hole = outline != np.arange(len(starts))
    wound = is_hole & ((signed > 0) == (signed[outline] > 0))
    straight: npt.NDArray[np.bool_] = np.logical_or.reduceat((turn == 0) & ahead, starts)
    misshapen: npt.NDArray[np.bool_] = straight | flat | wound
    return misshapen
