"""Predictions drawn on validation images, kept beside the weights that made them."""

from __future__ import annotations

from pathlib import Path

import cv2
from ultralytics import YOLO

CONFIDENCE = 0.45
_COUNT = 4


def draw_predictions(weights: Path, images: list[Path], imgsz: int, out: Path) -> list[Path]:
    """Draw what the weights predict on the first few images.

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
        result = model.predict(image, imgsz=imgsz, conf=CONFIDENCE, verbose=False, save=False, device="cpu")[0]
        path = out / f"{image.stem}.jpg"
        cv2.imwrite(str(path), result.plot())
        written.append(path)
    return written
