"""Rows of results, beside pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from segsweep.deploy.results import COLUMNS, coco_rows, table_rows, to_csv
from segsweep.inference.masks import Mask
from segsweep.inference.predictor import Prediction, StageTimes


def prediction() -> Prediction:
    pixels = np.random.default_rng(0).random((20, 30)) > 0.5
    boxes = np.array([[5.0, 8.0, 35.0, 28.0]], np.float32)
    masks = (Mask(5, 8, pixels),)
    times = StageTimes(0.0, 0.0, 0.0)
    return Prediction(boxes, np.array([0.5], np.float32), np.array([1], np.int64), masks, (40, 50), times)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_a_row_is_a_coco_result_whose_mask_pycocotools_reads():
    (row,) = coco_rows(prediction(), 3, "cat.jpg")
    assert (row["image_id"], row["file_name"], row["category_id"]) == (3, "cat.jpg", 2)
    assert (row["bbox"], row["score"]) == ([5.0, 8.0, 30.0, 20.0], 0.5)
    assert (coco.decode(row["segmentation"]).astype(bool) == prediction().masks[0].on_image((40, 50))).all()


def test_the_table_says_the_same_with_the_class_by_name():
    found = prediction()
    table = table_rows(coco_rows(found, 3, 'c"a,t.jpg'), found, ["cat", "dog"])
    assert to_csv(table).splitlines() == [
        ",".join(COLUMNS),
        f'"c""a,t.jpg",3,2,dog,0.5,5.0,8.0,30.0,20.0,{found.masks[0].area}',
    ]
