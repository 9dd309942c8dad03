"""Objects drawn over their image: masks, boxes, class names and scores.

With OpenCV alone: the annotators of `supervision` would bring matplotlib, scipy and PyAV to an edge device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segsweep.inference.letterbox import Image
from segsweep.inference.masks import Mask
from segsweep.inference.predictor import Prediction

Colour = tuple[int, int, int]

# Okabe and Ito, "Color Universal Design" (2008), without black: told apart with any colour vision. BGR, 0-255.
PALETTE: tuple[Colour, ...] = (
    *((0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240)),
    *((178, 114, 0), (0, 94, 213), (167, 121, 204)),
)

OPACITY = 0.45  # of a mask, 0-1
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK: Colour = (0, 0, 0)
_SIDE_PX = 640  # of an image whose lines are 2 pixels wide and whose letters are 0.5 of the font's size


@dataclass(frozen=True)
class Drawn:
    """One object to be drawn.

    Attributes:
        kind: Class index, which chooses the colour.
        text: What is written on its box.
        box: Corners x1, y1, x2, y2 in pixels, whole.
        mask: Its pixels.
    """

    kind: int
    text: str
    box: tuple[int, int, int, int]
    mask: Mask


def draw(
    image: Image,
    prediction: Prediction,
    names: Sequence[str],
    opacity: float = OPACITY,
    scale: float | None = None,
) -> Image:
    """Draw what was found, best on top.

    Args:
        image: BGR, uint8, shape [height, width, 3]; it is not changed.
        prediction: Of this very image.
        names: Class names by index. OpenCV's font is ASCII: other letters become question marks.
        opacity: Of a mask, 0-1: 0 leaves the image as it is, 1 hides it.
        scale: Of lines and letters; by the image's size where absent.

    Returns:
        A new BGR image of the same shape.
    """
    rows = zip(prediction.boxes, prediction.scores, prediction.classes, prediction.masks, strict=True)
    objects = []
    for corners, score, kind, mask in rows:
        left, top, right, bottom = (round(float(corner)) for corner in corners)
        objects.append(Drawn(int(kind), f"{names[kind]} {score:.2f}", (left, top, right, bottom), mask))
    return draw_objects(image, objects, opacity, scale)


def draw_objects(image: Image, objects: Sequence[Drawn], opacity: float = OPACITY, scale: float | None = None) -> Image:
    """Draw objects of any origin, the first on top; see `draw`."""
    drawn = image.copy()
    scale = max(max(image.shape[:2]) / _SIDE_PX, 0.5) if scale is None else scale
    for one in reversed(objects):
        _tint(drawn, one.mask, _colour(one.kind), opacity)
    for one in reversed(objects):
        left, top, right, bottom = one.box
        colour = _colour(one.kind)
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), colour, max(round(2 * scale), 1))
        _label(drawn, one.text.encode("ascii", "replace").decode("ascii"), (left, top), colour, scale)
    return drawn


def _colour(kind: int) -> Colour:
    return PALETTE[kind % len(PALETTE)]


def _tint(drawn: Image, mask: Mask, colour: Colour, opacity: float) -> None:
    height, width = mask.pixels.shape
    region = drawn[mask.top : mask.top + height, mask.left : mask.left + width]
    plain = np.full_like(region, colour)
    tinted = cv2.addWeighted(region, 1 - opacity, plain, opacity, 0)
    cv2.copyTo(tinted, mask.pixels.view(np.uint8), region)


def _label(drawn: Image, text: str, at: tuple[int, int], colour: Colour, scale: float) -> None:
    """Text on a plate above the box, or inside it where the image ends."""
    thickness = max(round(scale), 1)
    (width, height), below = cv2.getTextSize(text, _FONT, 0.5 * scale, thickness)
    left = max(min(at[0], drawn.shape[1] - width), 0)
    bottom = max(at[1], height + below)
    cv2.rectangle(drawn, (left, bottom - height - below), (left + width, bottom), colour, cv2.FILLED)
    cv2.putText(drawn, text, (left, bottom - below // 2), _FONT, 0.5 * scale, _INK, thickness, cv2.LINE_AA)
