"""Predictions met with the truth: the confusion of masks and of boxes, and curves as they are told."""

from __future__ import annotations

import numpy as np
import pytest

from segsweep.deploy.tally import Tally, box_ious
from segsweep.deploy.truth import TrueObject
from segsweep.inference.masks import Mask, mask_iou
from segsweep.inference.predictor import Prediction, StageTimes


def filled(box, kind: int) -> TrueObject:
    x1, y1, x2, y2 = box
    return TrueObject(kind, box, Mask(x1, y1, np.ones((y2 - y1, x2 - x1), np.bool_)))


def prediction(*objects) -> Prediction:
    """Of (box, class, score, mask pixels or None for a full one)."""
    masks = []
    for (x1, y1, x2, y2), _, _, pixels in objects:
        masks.append(Mask(x1, y1, np.ones((y2 - y1, x2 - x1), np.bool_) if pixels is None else pixels))
    boxes = np.array([box for box, *_ in objects], np.float32).reshape(-1, 4)
    scores = np.array([score for _, _, score, _ in objects], np.float32)
    kinds = np.array([kind for _, kind, *_ in objects], np.int64)
    return Prediction(boxes, scores, kinds, tuple(masks), (64, 64), StageTimes(0.0, 0.0, 0.0))


CAT, DOG = (0, 0, 10, 10), (20, 20, 40, 40)


def test_masks_and_boxes_are_confused_apart():
    tally = Tally(2, 1)
    thin = np.zeros((10, 10), np.bool_)
    thin[:3] = True  # a mask of IoU 0.3 in a box of IoU 1
    found = prediction((CAT, 0, 0.9, thin), (DOG, 0, 0.8, None), (DOG, 1, 0.2, None))
    tally.add(0, found, [filled(CAT, 0), filled(DOG, 1)])
    assert tally.judged(masks=False).confusion.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert tally.judged(masks=True).confusion.tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]


def test_images_are_added_up_and_the_score_of_a_quarter_does_not_count():
    tally = Tally(1, 3)
    tally.add(0, prediction((CAT, 0, 0.25, None)), [filled(CAT, 0)])
    tally.add(1, prediction((CAT, 0, 0.26, None)), [filled(CAT, 0)])
    tally.add(2, prediction(), [])
    assert tally.judged(masks=True).confusion.tolist() == [[1, 0], [1, 0]]
    assert tally.judged(masks=True).maps == (pytest.approx(1.0), pytest.approx(1.0))


def test_the_mean_of_a_curve_is_the_map():
    tally = Tally(3, 2)
    tally.add(0, prediction((CAT, 0, 0.9, None), (DOG, 0, 0.8, None)), [filled(CAT, 0), filled(DOG, 1)])
    tally.add(1, prediction(((0, 0, 10, 8), 0, 0.7, None), (DOG, 1, 0.6, None)), [filled(CAT, 0), filled(DOG, 1)])
    judged = tally.judged(masks=False)
    map50, map50_95 = judged.maps
    assert np.mean(judged.curves.iou50) == pytest.approx(map50, abs=1e-6)
    assert np.mean(judged.curves.iou50_95) == pytest.approx(map50_95, abs=1e-6)
    assert map50_95 < map50 < 1


def test_nothing_true_has_no_curve():
    tally = Tally(1, 1)
    tally.add(0, prediction((CAT, 0, 0.9, None)), [])
    assert np.isnan(tally.judged(masks=True).curves.iou50).all()
    assert tally.judged(masks=True).confusion.tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_masks_whose_boxes_do_not_touch_share_no_pixel(seed):
    random = np.random.default_rng(seed)
    for _ in range(50):
        corner = random.uniform(0, 30, 2)
        box = np.array([*corner, *(corner + random.uniform(1, 12, 2))], np.float32)
        x1, y1, x2, y2 = np.ceil(box).astype(int)  # as masks are assembled
        mask = Mask(int(x1), int(y1), np.ones((y2 - y1, x2 - x1), np.bool_))
        x, y = (int(value) for value in random.integers(0, 30, 2))
        true = filled((x, y, x + 9, y + 9), 0)
        touching = box_ious(box[None].astype(np.float64), np.array([true.box], np.float64))[0, 0] > 0
        assert touching or mask_iou(mask, true.mask) == 0
