"""An image twice, small enough for a page: with what is true of it, and with what a model found in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from segsweep.dataset.pictures.picture import read_picture
from segsweep.deploy.classes import ClassMatch
from segsweep.deploy.overlay import Drawn, draw, draw_objects
from segsweep.deploy.truth import true_objects
from segsweep.inference.letterbox import Image
from segsweep.inference.predictor import Prediction, Predictor

_SIDE_PX = 560
_QUALITY = 82
_LEAST_SCALE = 0.8  # of letters: a page enlarges small images


@dataclass(frozen=True)
class Pair:
    """Two JPEGs of one image."""

    truth: bytes
    found: bytes


def draw_pair(image: Path, predictor: Predictor, classes: ClassMatch, conf: float) -> Pair:
    """Draw both.

    Args:
        image: A file of a bundle's node copy.
        predictor: The model.
        classes: What its classes are in the bundle.
        conf: Score from which on an object is drawn.

    Raises:
        DatasetError: The image or its labels cannot be read.
    """
    pixels, names = read_picture(image), classes.names
    truth = true_objects(image, len(names)).objects
    scale = max(max(pixels.shape[:2]) / _SIDE_PX, _LEAST_SCALE)
    true = [Drawn(one.category, names[one.category], one.box, one.mask) for one in truth]
    found = _from(classes.to_bundle(predictor(pixels)), conf)
    return Pair(
        _small_jpeg(draw_objects(pixels, true, scale=scale)), _small_jpeg(draw(pixels, found, names, scale=scale))
    )


def _from(prediction: Prediction, conf: float) -> Prediction:
    kept = np.flatnonzero(prediction.scores.astype(np.float64) >= conf)
    masks = tuple(prediction.masks[row] for row in kept)
    found = (prediction.boxes[kept], prediction.scores[kept], prediction.classes[kept])
    return Prediction(*found, masks, prediction.shape, prediction.times)


def _small_jpeg(image: Image) -> bytes:
    height, width = image.shape[:2]
    scale = _SIDE_PX / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done  # an image of this size has an encoding
    return encoded.tobytes()
