"""Index masks: one number a pixel, one region a number; told apart, outlined and drawn.

Each number's box is found in one pass over the runs of equal pixels, so that an object is outlined on a crop of its own
size, not on the whole image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segsweep.core.geometry import Mask, Part, fill, trace
from segsweep.dataset.formats.index_png import Values
from segsweep.dataset.records import Instance

MOST_OBJECTS = 65535  # what 16 bits hold beside the background

# A mask of objects has long runs of equal pixels, and objects whose boxes are not all the size of the image. A
# photograph that took a mask's place has neither, and outlining each of its values would take hours.
_FEW_RUNS = 1 << 16
_MOST_RUNS = 1 << 22
_SHORTEST_MEAN_RUN_PX = 2
_MOST_BOXES = 128  # boxes of the image's size that all boxes together may fill

_BAND_PX = 1 << 22  # runs are found in bands of rows of about this many pixels


@dataclass(frozen=True, eq=False)
class Region:
    """The pixels of one number.

    Attributes:
        value: The number.
        left: First column of its box.
        top: First row of its box.
        mask: Which pixels of its box; (height, width) of the box.
    """

    value: int
    left: int
    top: int
    mask: Mask

    def parts(self, size: tuple[int, int]) -> tuple[Part, ...]:
        """Outlines in fractions of an image of this width and height."""
        offset = np.array([self.left, self.top], dtype=np.float64)
        found = []
        for part in trace(self.mask):
            moved = Part(part.exterior + offset, tuple(hole + offset for hole in part.holes))
            found.append(moved.scaled(1 / size[0], 1 / size[1]))
        return tuple(found)

    def components(self) -> tuple[Region, ...]:
        """Its connected pieces, pixels that touch at a corner being connected."""
        count, labels = cv2.connectedComponents(self.mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
        if count <= 2:
            return (self,)
        pieces = split_regions(np.asarray(labels).astype(np.uint32))
        return tuple(Region(self.value, self.left + one.left, self.top + one.top, one.mask) for one in pieces)


def split_regions(values: Values) -> Iterator[Region]:
    """Every number above 0 with its pixels, in order.

    Args:
        values: (height, width).

    Raises:
        ValueError: This is no mask of objects but a picture.
    """
    height, width = values.shape
    boxes, runs = _find_boxes(values)
    if _is_picture(runs, height * width):
        raise ValueError(f"its values change at least {runs} times, as a photograph's do")
    filled = sum((bottom - top) * (right - left) for top, bottom, left, right in boxes.values())
    if filled > _MOST_BOXES * height * width:
        raise ValueError(f"it has {len(boxes)} values that are each spread over the image, as a photograph's are")
    for value, (top, bottom, left, right) in sorted(boxes.items()):
        yield Region(value, left, top, values[top:bottom, left:right] == value)


@dataclass(frozen=True, eq=False)
class Layer:
    """Objects of one image that do not overlap, as an index mask.

    Attributes:
        values: (height, width); number i + 1 is `objects[i]`.
        objects: Indices into the instances that were drawn.
    """

    values: npt.NDArray[np.uint16]
    objects: tuple[int, ...]


def draw_layers(instances: Sequence[Instance], height: int, width: int) -> Iterator[Layer]:
    """Draw instances into index masks, each into the first in which it covers no other.

    One layer is in memory at a time. Instances that cover the centre of no pixel are in none.
    """
    waiting = list(range(len(instances)))
    while waiting:
        values = np.zeros((height, width), np.uint16)
        drawn: list[int] = []
        covered = []
        for index in waiting:
            region = draw(instances[index], height, width)
            if region is None:
                continue
            bottom, right = region.top + region.mask.shape[0], region.left + region.mask.shape[1]
            window = values[region.top : bottom, region.left : right]
            if len(drawn) == MOST_OBJECTS or window[region.mask].any():
                covered.append(index)
                continue
            drawn.append(index)
            window[region.mask] = len(drawn)
        if drawn:
            yield Layer(values, tuple(drawn))
        waiting = covered


def draw(instance: Instance, height: int, width: int) -> Region | None:
    """The pixels of one instance, its value its category; None if it covers the centre of none."""
    size = np.array([width, height])
    outlines = np.concatenate([part.exterior for part in instance.parts]) * size
    low = np.floor(outlines.min(axis=0)).clip(0, size).astype(int)
    across, down = (np.ceil(outlines.max(axis=0)).clip(0, size).astype(int) - low).tolist()
    if across <= 0 or down <= 0:
        return None
    local = []
    for part in instance.parts:
        exterior, *holes = (ring * size - low for ring in part.rings)
        local.append(Part(exterior, tuple(holes)))
    mask = fill(local, down, across)
    return Region(instance.category, int(low[0]), int(low[1]), mask) if mask.any() else None


def _find_boxes(values: Values) -> tuple[dict[int, tuple[int, int, int, int]], int]:
    """Top, bottom, left and right of each number above 0, ends excluded; and how many runs of equal pixels there are.

    Of a picture, only the number of runs that tells it.
    """
    height, width = values.shape
    boxes: dict[int, tuple[int, int, int, int]] = {}
    rows = max(1, _BAND_PX // width)
    runs = 0
    for first in range(0, height, rows):
        band = values[first : first + rows]
        begins = np.ones(band.shape, np.bool_)
        np.not_equal(band[:, 1:], band[:, :-1], out=begins[:, 1:])
        start = np.flatnonzero(begins)
        runs += start.size
        if _is_picture(runs, height * width):
            return {}, runs
        for value, (top, bottom, left, right) in _boxes_of_runs(np.ascontiguousarray(band).ravel(), start, width):
            here = (top + first, bottom + first, left, right)
            boxes[value] = _around(boxes[value], here) if value in boxes else here
    return boxes, runs


def _is_picture(runs: int, pixels: int) -> bool:
    return runs > max(_FEW_RUNS, min(_MOST_RUNS, pixels // _SHORTEST_MEAN_RUN_PX))


def _boxes_of_runs(
    flat: npt.NDArray[Any], start: npt.NDArray[np.intp], width: int
) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    length = np.diff(start, append=flat.size)
    start, length = start[flat[start] > 0], length[flat[start] > 0]
    order = np.argsort(flat[start], kind="stable")
    start, length = start[order], length[order]
    if not start.size:
        return
    value = flat[start]
    row, left = np.divmod(start, width)
    first = np.flatnonzero(np.concatenate([[True], value[1:] != value[:-1]]))
    last = np.append(first[1:], value.size) - 1
    # Runs of one number are in order of their rows.
    columns = zip(
        np.minimum.reduceat(left, first).tolist(), np.maximum.reduceat(left + length, first).tolist(), strict=True
    )
    for number, top, bottom, (low, high) in zip(
        value[first].tolist(), row[first].tolist(), row[last].tolist(), columns, strict=True
    ):
        yield number, (top, bottom + 1, low, high)


def _around(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3])
