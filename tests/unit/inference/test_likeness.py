"""What another file finds of what the plain one finds."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from planted_model import planted_outputs, write_planted_model
from segsweep.errors import ExportError
from segsweep.inference.likeness import Likeness, measure_likeness

CAT = (32.0, 32.0, 32.0, 16.0, 0, 0.9, 1.0, 0.0)
SHIFTED_CAT = (32.0, 33.0, 32.0, 16.0, 0, 0.8, 1.0, 0.0)  # 15 of 17 rows are shared
DOG = (10.0, 10.0, 12.0, 12.0, 1, 0.6, 1.0, 0.0)
CAT_WHERE_THE_DOG_IS = (10.0, 10.0, 12.0, 12.0, 0, 0.6, 1.0, 0.0)


@pytest.fixture
def image(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
    return tmp_path / "a.png"


def likeness(folder, image, plain, other):
    files = [
        write_planted_model(folder / f"{name}.onnx", planted_outputs(objects))
        for name, objects in (("plain", plain), ("other", other))
    ]
    return measure_likeness(*files, [image, image], threads=1)


def test_the_same_model_finds_the_same(tmp_path, image):
    assert likeness(tmp_path, image, [CAT, DOG], [CAT, DOG]) == Likeness(2, 4, 4, 0, 1.0, 1.0)


def test_objects_of_another_class_are_not_the_same(tmp_path, image):
    found = likeness(tmp_path, image, [CAT, DOG], [SHIFTED_CAT, CAT_WHERE_THE_DOG_IS])
    assert (found.images, found.objects, found.shared, found.added) == (2, 4, 2, 2)
    assert found.mask_iou_mean == found.mask_iou_min == pytest.approx(15 / 17)


def test_nothing_found_has_no_iou(tmp_path, image):
    assert likeness(tmp_path, image, [], [CAT]) == Likeness(2, 0, 0, 2, None, None)


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ExportError, match=r"b\.png: must be an image"):
        likeness(tmp_path, tmp_path / "b.png", [CAT], [CAT])
