"""What the demo page says about one image: the overlay, the table of objects, the times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from segsweep.deploy.overlay import draw
from segsweep.inference.letterbox import Image
from segsweep.inference.predictor import Prediction, Predictor

COLUMNS = ("class", "confidence", "x", "y", "width", "height", "mask area")
_SHOWN_SIDE_PX = 1600  # of the overlay: a page shows no more, and a telephone would have to fetch it


@dataclass(frozen=True, eq=False)
class View:
    """One image, looked at.

    Attributes:
        overlay: RGB, uint8, shrunk where it is large.
        rows: The objects under `COLUMNS`, best first; boxes in pixels of the image, areas in its pixels.
        summary: Objects, image size and times in words.
    """

    overlay: Image
    rows: list[list[Any]]
    summary: str


def look(image: Image, predictor: Predictor, opacity: float) -> View:
    """Segment an image and tell what was found.

    Args:
        image: BGR, uint8 [height, width, 3].
        predictor: With the thresholds wished for.
        opacity: Of a mask, 0-1.
    """
    found = predictor(image)
    names = predictor.session.names
    overlay = cv2.cvtColor(_shrunk(draw(image, found, names, opacity)), cv2.COLOR_BGR2RGB)
    return View(np.asarray(overlay, np.uint8), _rows(found, names), _summary(found))


def _rows(found: Prediction, names: tuple[str, ...]) -> list[list[Any]]:
    return [
        [
            names[kind],
            round(float(score), 3),
            *(round(float(value), 1) for value in (box[0], box[1], box[2] - box[0], box[3] - box[1])),
            mask.area,
        ]
        for box, score, kind, mask in zip(found.boxes, found.scores, found.classes, found.masks, strict=True)
    ]


def _summary(found: Prediction) -> str:
    count, times = len(found.masks), found.times
    height, width = found.shape
    return (
        f"{count} {'object' if count == 1 else 'objects'} in {width}x{height} pixels, {times.total_ms:.1f} ms: "
        f"prepare {times.prepare_ms:.1f}, forward {times.forward_ms:.1f}, post-process {times.postprocess_ms:.1f}"
    )


def _shrunk(image: Image) -> Image:
    scale = _SHOWN_SIDE_PX / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
