"""Resizing: the longest side of a picture to `imgsz`."""

from __future__ import annotations

import cv2
import numpy as np

from segsweep.dataset.picture import Picture


def resized_shape(width: int, height: int, imgsz: int) -> tuple[int, int]:
    """Width and height after the longest side became `imgsz`; aspect kept to the nearest pixel, at least 1."""
    scale = imgsz / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def resize_longest(picture: Picture, imgsz: int) -> Picture:
    """Resize so that the longest side is `imgsz` pixels.

    Area averaging when it shrinks, so that nothing aliases; cubic when it grows. Polygons are fractions of the sides
    and stay as they are.

    Args:
        picture: (height, width, 3), uint8.
        imgsz: Length of the longest side of the result, pixels.
    """
    height, width = picture.shape[:2]
    shape = resized_shape(width, height, imgsz)
    if shape == (width, height):
        return picture
    method = cv2.INTER_AREA if imgsz < max(width, height) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, shape, interpolation=method), dtype=np.uint8)
