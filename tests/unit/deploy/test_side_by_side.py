"""The two pictures of an image: what is true, and what a planted network finds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from planted_model import planted_outputs, write_planted_model
from segsweep.deploy.classes import match_classes
from segsweep.deploy.overlay import PALETTE
from segsweep.deploy.side_by_side import draw_pair
from segsweep.inference.predictor import Predictor


def decode(jpeg: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.astype(int)


def write_image(folder: Path, side: int) -> Path:
    """A grey image with a cat (class 0) on its right half."""
    for name in ("images", "labels"):
        (folder / name / "test").mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "test" / "a.jpg"), np.full((side, side, 3), 100, np.uint8))
    (folder / "labels" / "test" / "a.txt").write_text("0 0.5 0 1 0 1 1 0.5 1\n")
    return folder / "images" / "test" / "a.jpg"


def is_tinted(pixel: np.ndarray, kind: int) -> bool:
    return bool((abs(pixel - (0.55 * 100 + 0.45 * np.array(PALETTE[kind]))) < 12).all())


def test_the_truth_and_what_was_found_are_drawn_apart_and_weak_objects_left_out(tmp_path):
    image = write_image(tmp_path, 640)
    left = (16.0, 32.0, 32.0, 64.0, 1, 0.9, 1.0, 0.0)  # the model's class 1 is the bundle's 0
    weak = (48.0, 32.0, 32.0, 64.0, 1, 0.3, 1.0, 0.0)
    path = write_planted_model(tmp_path / "m.onnx", planted_outputs([left, weak]))
    predictor = Predictor(path)
    pair = draw_pair(image, predictor, match_classes(predictor.session.names, ["dog", "ape"], {}, "m"), 0.5)
    truth, found = decode(pair.truth), decode(pair.found)
    assert truth.shape == found.shape == (560, 560, 3)
    assert (is_tinted(truth[400, 420], 0), is_tinted(truth[400, 140], 0)) == (True, False)
    assert (is_tinted(found[400, 420], 0), is_tinted(found[400, 140], 0)) == (False, True)


def test_a_small_image_keeps_its_size(tmp_path):
    predictor = Predictor(write_planted_model(tmp_path / "m.onnx", planted_outputs([])))
    classes = match_classes(predictor.session.names, ["cat", "dog"], {}, "m")
    assert decode(draw_pair(write_image(tmp_path, 64), predictor, classes, 0.5).found).shape == (64, 64, 3)
