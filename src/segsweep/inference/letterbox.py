"""Letterbox: an image of any shape on the network's fixed canvas, and coordinates back.

The arithmetic is Ultralytics' (`ultralytics/data/augment.py` LetterBox, `ultralytics/utils/ops.py` scale_boxes), so
that an exported model sees the pixels it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Tensor = NDArray[np.float32]

PADDING = 114  # grey of the border, 0-255
_SCALE = np.float32(255.0)


@dataclass(frozen=True)
class Letterbox:
    """Where an image lies on the canvas, all in pixels.

    Attributes:
        image_height: Height of the image.
        image_width: Width of the image.
        canvas_height: Height of the network's input.
        canvas_width: Width of the network's input.
        height: Height of the resized image on the canvas.
        width: Width of the resized image on the canvas.
        top: Rows of padding above it.
        left: Columns of padding left of it.
    """

    image_height: int
    image_width: int
    canvas_height: int
    canvas_width: int
    height: int
    width: int
    top: int
    left: int

    @classmethod
    def fit(cls, image_shape: tuple[int, int], canvas_shape: tuple[int, int]) -> Letterbox:
        """Centre an image of `(height, width)` on a canvas of `(height, width)`, scaled up or down to fit."""
        gain = min(canvas_shape[0] / image_shape[0], canvas_shape[1] / image_shape[1])
        height, width = max(round(image_shape[0] * gain), 1), max(round(image_shape[1] * gain), 1)
        top, left = round((canvas_shape[0] - height) / 2 - 0.1), round((canvas_shape[1] - width) / 2 - 0.1)
        return cls(*image_shape, *canvas_shape, height, width, top, left)

    def prepare(self, image: Image, canvas: Tensor) -> None:
        """Draw the image on the canvas, in place.

        Args:
            image: BGR, uint8, shape [image_height, image_width, 3].
            canvas: Overwritten: RGB in 0-1, float32, shape [1, 3, canvas_height, canvas_width].
        """
        if image.shape[:2] != (self.height, self.width):
            resized = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        else:
            resized = image
        bottom, right = self.top + self.height, self.left + self.width
        if (self.height, self.width) != (self.canvas_height, self.canvas_width):
            canvas.fill(PADDING / _SCALE)
        for channel, plane in enumerate(reversed(cv2.split(resized))):
            np.divide(plane, _SCALE, out=canvas[0, channel, self.top : bottom, self.left : right], dtype=np.float32)

    def to_image(self, boxes: Tensor) -> Tensor:
        """Boxes [n, 4] of corners x1, y1, x2, y2 on the canvas, as pixels of the image, clipped to it."""
        gains = np.array([self.width / self.image_width, self.height / self.image_height] * 2, np.float32)
        moved = (boxes - np.array([self.left, self.top] * 2, np.float32)) / gains
        limits = np.array([self.image_width, self.image_height] * 2, np.float32)
        clipped: Tensor = np.minimum(np.maximum(moved, np.float32(0.0)), limits)
        return clipped
