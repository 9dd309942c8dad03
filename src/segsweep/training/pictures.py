"""Images beside themselves: what is true of them, and what a trial's weights see; kept beside the weights.

They are for looking at. Nothing is chosen by them, and of test images nothing else is ever seen while a sweep runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from ultralytics import YOLO
from ultralytics.engine.results import Results

from segsweep.core.geometry import fill
from segsweep.dataset.labels import read_labels

CONFIDENCE = 0.45
COUNTS = {"val": 4, "test": 2}  # images of a split: each takes the time of a prediction on the CPU
_MOST_INSTANCES = 50  # of a picture: early epochs predict hundreds, which take long to draw and hide what is under them
_DRAWN_PX = 640  # on less, labels cover what they name
_STRIP_PX = 28  # above each half, for what it is

Image = npt.NDArray[np.uint8]


def draw_predictions(weights: Path, images: Sequence[Path], names: Sequence[str], imgsz: int, out: Path) -> list[Path]:
    """Draw the truth on the left and on the right what the weights predict, the most confident instances of each.

    Args:
        weights: A file that `YOLO(path)` loads.
        images: Of a bundle's node copy.
        names: The bundle's classes.
        imgsz: Longest side at inference, in pixels.
        out: Folder for the pictures.

    Returns:
        The written JPEG files, one an image, as `<split>/<name>.jpg`.

    Raises:
        DatasetError: Labels cannot be read.
    """
    written: list[Path] = []
    model = YOLO(weights, task="segment")
    for image in images:
        picture = cv2.imread(str(image))
        assert picture is not None  # the node's copy was verified
        picture = _enlarged(picture)
        how = {"imgsz": imgsz, "conf": CONFIDENCE, "max_det": _MOST_INSTANCES}
        found = model.predict(picture, verbose=False, save=False, device="cpu", **how)[0]
        true = _truth(image, picture, names)
        path = out / image.parent.name / f"{image.stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        halves = (_titled(true.plot(conf=False), "truth"), _titled(found.plot(), f"predicted, above {CONFIDENCE}"))
        cv2.imwrite(str(path), np.hstack(halves))
        written.append(path)
    return written


def first_images(root: Path, split: str) -> list[Path]:
    """The images of a split that are drawn, the same ones for every trial; none where the bundle lacks the split."""
    folder = root / "images" / split
    return sorted(folder.iterdir())[: COUNTS[split]] if folder.is_dir() else []


def _truth(image: Path, picture: Image, names: Sequence[str]) -> Results:
    """The labels as Ultralytics would have predicted them, so that both halves are drawn alike."""
    height, width = picture.shape[:2]
    boxes, masks = [], []
    for one in read_labels(image, len(names)):
        mask = fill([part.scaled(width, height) for part in one.parts], height, width)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size:
            boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1, 1.0, one.category])
            masks.append(mask)
    return Results(
        picture,
        path=str(image),
        names=dict(enumerate(names)),
        boxes=torch.tensor(np.array(boxes, np.float32).reshape(-1, 6)),
        masks=torch.tensor(np.array(masks, np.float32)) if masks else None,
    )


def _titled(drawn: npt.NDArray[Any], title: str) -> Image:
    strip = np.full((_STRIP_PX, drawn.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, title, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (51, 41, 31), 1, cv2.LINE_AA)
    return np.asarray(np.vstack([strip, drawn]), np.uint8)


def _enlarged(picture: npt.NDArray[Any]) -> Image:
    """A small picture at a size where labels can be read; the model scales it back."""
    scale = max(1.0, _DRAWN_PX / max(picture.shape[:2]))
    enlarged = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged, dtype=np.uint8)
