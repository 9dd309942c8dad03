"""Pictures of the truth beside what weights see."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from segsweep.training.pictures import COUNTS, first_images

GREY = 120


def write_images(root: Path, split: str, count: int) -> None:
    """Grey images of 96 x 64, an object on the lower right quarter of each."""
    for folder in ("images", "labels"):
        (root / folder / split).mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(root / "images" / split / f"{split}{number}.jpg"), np.full((64, 96, 3), GREY, np.uint8))
        (root / "labels" / split / f"{split}{number}.txt").write_text("1 0.5 0.5 1 0.5 1 1 0.5 1\n")


def test_the_same_few_images_of_val_and_test_are_drawn_and_none_where_there_are_none(tmp_path):
    write_images(tmp_path, "val", 6)
    assert [path.name for path in first_images(tmp_path, "val")] == [f"val{n}.jpg" for n in range(COUNTS["val"])]
    assert first_images(tmp_path, "test") == []


@pytest.mark.slow(reason="a network sees two images")
@pytest.mark.timeout(120)
def test_the_truth_is_on_the_left_and_what_was_found_on_the_right(tmp_path):
    from ultralytics import YOLO

    from segsweep.training.pictures import draw_predictions

    write_images(tmp_path, "val", 1)
    write_images(tmp_path, "test", 1)
    (tmp_path / "labels" / "test" / "test0.txt").write_text("")
    weights = tmp_path / "n.pt"
    YOLO("yolov8n-seg.yaml", task="segment").save(weights)  # untrained: it finds nothing
    images = [image for split in ("val", "test") for image in first_images(tmp_path, split)]
    drawn = draw_predictions(weights, images, ["cat", "dog"], 96, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out") for path in drawn] == [Path("val/val0.jpg"), Path("test/test0.jpg")]
    val, test = (cv2.imread(str(path)).astype(int) for path in drawn)
    assert val.shape[1] == 2 * 640
    left, right = np.split(val[28:], 2, axis=1)
    assert abs(left[100, 100] - GREY).max() < 8  # outside of the object
    assert abs(left[-100, -100] - GREY).max() > 20
    assert abs(right[:, 16:] - GREY).max() < 8  # JPEG smears the seam
    assert abs(test[28:] - GREY).max() < 8
