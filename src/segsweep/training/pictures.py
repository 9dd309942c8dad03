"""Predictions drawn on validation images, kept beside the weights that made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from ultralytics import YOLO

CONFIDENCE = 0.45
_COUNT = 4
_MOST_INSTANCES = 50  # of a picture: early epochs predict hundreds, which take long to draw and hide what is under them
_DRAWN_PX = 640  # on less, labels cover what they name


def draw_predictions(weights: Path, images: list[Path], imgsz: int, out: Path) -> list[Path]:
    """Draw what the weights predict on the first few images, the most confident instances of each.

    Args:
        weights: A file that `YOLO(path)` loads.
        images: Candidates, in a stable order.
        imgsz: Longest side at inference, in pixels.
        out: Folder for the pictures.

    Returns:
        The written JPEG files, one an image, named like it.
    """
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    model = YOLO(weights, task="segment")
    for image in images[:_COUNT]:
        picture = cv2.imread(str(image))
        assert picture is not None  # the node's copy was verified
        picture = _enlarged(picture)
        how = {"imgsz": imgsz, "conf": CONFIDENCE, "max_det": _MOST_INSTANCES}
        result = model.predict(picture, verbose=False, save=False, device="cpu", **how)[0]
        path = out / f"{image.stem}.jpg"
        cv2.imwrite(str(path), result.plot())
        written.append(path)
    return written


def _enlarged(picture: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A small picture at a size where labels can be read; the model scales it back."""
    scale = max(1.0, _DRAWN_PX / max(picture.shape[:2]))
    enlarged = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged, dtype=np.uint8)
