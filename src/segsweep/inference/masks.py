"""Masks of detections: coefficients times prototypes, at the image's own resolution, kept as crops.

A mask lives only inside its box, so it is stored as a crop with its place; no [n, height, width] array is ever made.
The arithmetic is that of `ultralytics/utils/ops.py` process_mask_native (bilinear logits, above 0 is inside).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segsweep.inference.letterbox import Letterbox, Tensor

_PROTOTYPE_STRIDE = 4  # canvas pixels for each prototype pixel


@dataclass(frozen=True)
class Mask:
    """One instance's pixels.

    Attributes:
        left: Column of the crop in the image, in pixels.
        top: Row of the crop in the image, in pixels.
        pixels: The crop, bool [height, width]; everything outside it is background.
    """

    left: int
    top: int
    pixels: NDArray[np.bool_]

    @property
    def area(self) -> int:
        """Foreground pixels."""
        return int(np.count_nonzero(self.pixels))

    def on_image(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """The mask as bool [height, width] of an image of this shape."""
        full = np.zeros(shape, np.bool_)
        height, width = self.pixels.shape
        full[self.top : self.top + height, self.left : self.left + width] = self.pixels
        return full


def assemble(coefficients: Tensor, prototypes: Tensor, boxes: Tensor, letterbox: Letterbox) -> list[Mask]:
    """Masks of n detections.

    Args:
        coefficients: Shape [n, p].
        prototypes: The network's second output, shape [1, p, canvas_height / 4, canvas_width / 4].
        boxes: Corners x1, y1, x2, y2 in pixels of the image, shape [n, 4]; a pixel belongs to a box when x1 <= x < x2.
        letterbox: How the image lies on the canvas.
    """
    if not len(boxes):
        return []
    _, channels, height, width = prototypes.shape
    # Not NumPy: the threads of its BLAS and those of onnxruntime, which spin, would fight for the cores.
    logits = cv2.gemm(coefficients, prototypes.reshape(channels, -1), 1.0, None, 0.0).reshape(-1, height, width)
    # Column x of the image is column (x + 0.5) * scale - 0.5 + left of the prototypes, pixel centres being at + 0.5.
    scale_x = letterbox.width / letterbox.image_width / _PROTOTYPE_STRIDE
    scale_y = letterbox.height / letterbox.image_height / _PROTOTYPE_STRIDE
    left, top = letterbox.left / _PROTOTYPE_STRIDE, letterbox.top / _PROTOTYPE_STRIDE
    masks: list[Mask] = []
    for logit, box in zip(logits, np.ceil(boxes).astype(np.int64), strict=True):
        x1, y1, x2, y2 = (int(corner) for corner in box)
        size = (x2 - x1, y2 - y1)
        if min(size) <= 0:
            masks.append(Mask(x1, y1, np.zeros((max(size[1], 0), max(size[0], 0)), np.bool_)))
            continue
        to_prototype = np.array(
            [[scale_x, 0.0, (x1 + 0.5) * scale_x - 0.5 + left], [0.0, scale_y, (y1 + 0.5) * scale_y - 0.5 + top]]
        )
        crop = cv2.warpAffine(
            logit, to_prototype, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )
        masks.append(Mask(x1, y1, crop > 0.0))
    return masks


def mask_iou(one: Mask, other: Mask) -> float:
    """Intersection over union of two masks of the same image, 0-1; 1.0 for two empty masks."""
    left, top = max(one.left, other.left), max(one.top, other.top)
    right = min(one.left + one.pixels.shape[1], other.left + other.pixels.shape[1])
    bottom = min(one.top + one.pixels.shape[0], other.top + other.pixels.shape[0])
    shared = 0
    if right > left and bottom > top:
        a = one.pixels[top - one.top : bottom - one.top, left - one.left : right - one.left]
        b = other.pixels[top - other.top : bottom - other.top, left - other.left : right - other.left]
        shared = int(np.count_nonzero(a & b))
    union = one.area + other.area - shared
    return shared / union if union else 1.0


def pair(ious: NDArray[np.float64], floor: float) -> Sequence[tuple[int, int]]:
    """Pair rows with columns greedily by IoU, best first, none below `floor`; each row and column at most once.

    Args:
        ious: Shape [rows, columns].
        floor: Smallest IoU that makes a pair.
    """
    pairs: list[tuple[int, int]] = []
    rows: set[int] = set()
    columns: set[int] = set()
    for flat in np.argsort(-ious, axis=None, kind="stable"):
        row, column = (int(i) for i in np.unravel_index(flat, ious.shape))
        if ious[row, column] < floor:
            break
        if row not in rows and column not in columns:
            pairs.append((row, column))
            rows.add(row)
            columns.add(column)
    return pairs
