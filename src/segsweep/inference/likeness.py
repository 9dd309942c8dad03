"""What another form of a model finds of the objects that the plain one finds, end to end on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from segsweep.errors import ExportError, Problem
from segsweep.inference.decode import Thresholds
from segsweep.inference.letterbox import Image
from segsweep.inference.masks import Mask, mask_iou, pair
from segsweep.inference.predictor import Predictor

SAME_IOU = 0.5  # masks of one class that overlap so far are one object
LIKENESS_THRESHOLDS = Thresholds(conf=0.25, iou=0.7, max_det=300)


@dataclass(frozen=True)
class Likeness:
    """Objects of two model files.

    Attributes:
        images: Images compared.
        objects: What the plain file finds in them.
        shared: Of these, those that the other file finds, too: same class, mask IoU of at least 0.5, one each.
        added: Objects that only the other file finds.
        mask_iou_mean: Over the shared ones; None where there is none.
        mask_iou_min: The smallest of them.
        conf: Score above which an object counts.
    """

    images: int
    objects: int
    shared: int
    added: int
    mask_iou_mean: float | None
    mask_iou_min: float | None
    conf: float = LIKENESS_THRESHOLDS.conf


def measure_likeness(plain: Path, other: Path, images: Sequence[Path], threads: int) -> Likeness:
    """Compare the objects that two model files find.

    Args:
        plain: The file that is compared with.
        other: The same model in another form.
        images: Image files.
        threads: CPU threads.

    Raises:
        ExportError: An image cannot be read.
        ConfigError: A file is no model.
    """
    first, second = (Predictor(path, threads, LIKENESS_THRESHOLDS) for path in (plain, other))
    ious: list[float] = []
    objects = others = 0
    for path in images:
        image = read_image(path)
        one, another = first(image), second(image)
        objects += len(one.masks)
        others += len(another.masks)
        ious += paired_ious(one.classes, one.masks, another.classes, another.masks)
    mean, least = (float(np.mean(ious)), min(ious)) if ious else (None, None)
    return Likeness(len(images), objects, len(ious), others - len(ious), mean, least)


def paired_ious(
    classes: NDArray[np.int64], masks: Sequence[Mask], other_classes: NDArray[np.int64], other_masks: Sequence[Mask]
) -> list[float]:
    """Mask IoUs of the objects of one class that pair up, the best overlaps first, one partner each."""
    ious = np.zeros((len(masks), len(other_masks)))
    for row, column in np.argwhere(classes[:, None] == other_classes[None, :]):
        ious[row, column] = mask_iou(masks[row], other_masks[column])
    return [float(ious[row, column]) for row, column in pair(ious, floor=SAME_IOU)]


def read_image(path: Path) -> Image:
    """A picture, BGR uint8 [height, width, 3].

    Raises:
        ExportError: It cannot be read.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ExportError(Problem(str(path), "must be an image that OpenCV reads"))
    return np.asarray(image, np.uint8)
