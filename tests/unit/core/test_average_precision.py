"""AP against pycocotools, which defines it, and the bootstrap against what is known of it."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from segsweep.core.average_precision import (
    RECALLS,
    Matched,
    average_precision,
    bootstrap_map,
    image_f1,
    match,
    mean_average_precision,
    operating_point,
    precision_curves,
    precision_recall,
)

IMAGES, CLASSES = 12, 3


def one_class(scores, is_true, objects, images=None) -> Matched:
    column = np.array(is_true, np.bool_)[:, None]
    where = np.zeros(len(scores), np.int64) if images is None else np.array(images)
    return Matched(where, np.array(scores, float), np.repeat(column, 10, axis=1), np.array(objects))


def scattered(seed: int):
    """Boxes of three classes on many images, and detections near some of them, with equal scores among them."""
    random = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(IMAGES):
        for _ in range(random.integers(0, 6)):
            box = [*random.integers(0, 60, 2), *random.integers(8, 40, 2)]
            kind = int(random.integers(0, CLASSES - 1))  # the last one never occurs
            truth.append((image, kind, box))
            for _ in range(random.integers(0, 3)):
                near = np.array(box) + random.integers(-5, 6, 4)
                found.append((image, kind, near.clip(1), round(float(random.random()), 1)))
        found.append((image, int(random.integers(0, CLASSES)), random.integers(1, 40, 4), round(random.random(), 1)))
    return truth, found


def iou(a, b) -> float:
    low = np.maximum(a[:2], b[:2])
    high = np.minimum(np.array(a[:2]) + a[2:], np.array(b[:2]) + b[2:])
    shared = np.prod((high - low).clip(0))
    return float(shared / (np.prod(a[2:]) + np.prod(b[2:]) - shared))


def judged_by_us(truth, found) -> list[Matched]:
    classes = []
    for kind in range(CLASSES):
        parts = []
        for image in range(IMAGES):
            here = sorted((one for one in found if one[:2] == (image, kind)), key=lambda one: -one[3])
            true = [np.array(one[2]) for one in truth if one[:2] == (image, kind)]
            ious = np.array([[iou(np.array(one[2]), box) for box in true] for one in here])
            parts += [
                (image, one[3], row) for one, row in zip(here, match(ious.reshape(len(here), len(true))), strict=True)
            ]
        parts.sort(key=lambda part: -part[1])
        objects = np.array([sum(one[:2] == (image, kind) for one in truth) for image in range(IMAGES)])
        rows = np.array([row for *_, row in parts]).reshape(-1, 10)
        classes.append(
            Matched(np.array([part[0] for part in parts]), np.array([part[1] for part in parts]), rows, objects)
        )
    return classes


def judged_by_coco(truth, found) -> np.ndarray:
    """COCO's precision, [thresholds, recalls, classes]; -1 for classes that do not occur."""
    annotations = [
        {"id": number, "image_id": image, "category_id": kind, "bbox": [int(v) for v in box], "iscrowd": 0}
        | {"area": int(box[2] * box[3])}
        for number, (image, kind, box) in enumerate(truth, start=1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image} for image in range(IMAGES)],
            "annotations": annotations,
            "categories": [{"id": kind} for kind in range(CLASSES)],
        }
        coco.createIndex()
        results = coco.loadRes(np.array([[image, *box, score, kind] for image, kind, box, score in found]))
        judge = COCOeval(coco, results, "bbox")
        judge.evaluate()
        judge.accumulate()
    return judge.eval["precision"][:, :, :, 0, 2]


@pytest.mark.parametrize("seed", range(20))
def test_every_threshold_is_what_coco_says(seed):
    truth, found = scattered(seed)
    classes, precision = judged_by_us(truth, found), judged_by_coco(truth, found)
    ours = mean_average_precision(classes)
    occurs = (precision > -1).all(axis=(0, 1))
    assert ours == pytest.approx(precision[:, :, occurs].mean(axis=(1, 2)), abs=1e-12)
    assert 0.05 < ours[0] < 1
    for kind in np.flatnonzero(occurs):
        assert precision_curves(classes[kind]) == pytest.approx(precision[:, :, kind], abs=1e-12)


@pytest.mark.slow(reason="imports Ultralytics")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(5))
def test_ultralytics_draws_lines_between_the_corners_of_our_steps(seed):
    from ultralytics.utils.metrics import ap_per_class

    truth, found = scattered(seed)
    classes = [one for one in judged_by_us(truth, found) if one.objects.sum()]
    kinds = np.repeat(np.arange(len(classes)), [len(one.scores) for one in classes])
    scores = np.concatenate([one.scores - 1e-6 * np.arange(len(one.scores)) for one in classes])  # theirs sorts anew
    true_kinds = np.repeat(np.arange(len(classes)), [one.objects.sum() for one in classes])
    *_, recalls, theirs = ap_per_class(np.concatenate([one.is_true for one in classes]), scores, kinds, true_kinds)
    for one, line in zip(classes, theirs, strict=True):
        ours, step = precision_curves(one)[0], 1 / one.objects.sum()
        # Lines that fall from the corner before to this one lie on or above the step, and below the step before.
        for recall, value in zip(RECALLS[1:], ours[1:], strict=True):
            assert value <= line[np.searchsorted(recalls, recall, side="left") - 1] + 1e-9
        for recall, value in zip(recalls, line, strict=True):
            before = recall - step
            assert before <= 0 or value <= ours[np.searchsorted(RECALLS, before, side="right") - 1] + 1e-9


def test_the_curve_of_a_class_by_hand():
    curve = precision_curves(one_class([0.9, 0.8, 0.7, 0.6], [True, False, True, True], [4]))[0]
    assert [curve[round(100 * recall)] for recall in (0.0, 0.25)] == [1.0, 1.0]
    assert [curve[round(100 * recall)] for recall in (0.26, 0.5, 0.75)] == [pytest.approx(0.75)] * 3
    assert curve[76:].tolist() == [0.0] * 25


def test_a_detection_takes_the_best_free_object_and_the_next_one_takes_what_is_left():
    ious = np.array([[0.6, 0.9], [0.55, 0.8], [0.5, 0.5]])
    assert match(ious, (0.5, 0.75)).tolist() == [[True, True], [True, False], [False, False]]


def test_of_equal_objects_the_last_is_taken_as_coco_does():
    assert match(np.array([[0.6, 0.6], [0.0, 0.7]]), (0.5,)).tolist() == [[True], [False]]


def test_an_image_that_counts_twice_is_one_that_is_there_twice():
    once = one_class([0.9, 0.8, 0.7], [True, False, True], [2, 1], images=[0, 1, 0])
    twice = one_class([0.9, 0.9, 0.8, 0.7, 0.7], [True, True, False, True, True], [2, 1, 2], images=[0, 2, 1, 0, 2])
    assert average_precision(once, np.array([2, 1])) == pytest.approx(average_precision(twice))
    assert average_precision(once, np.array([2, 1]))[0] != pytest.approx(average_precision(once)[0])


def test_an_image_that_was_not_drawn_does_not_count():
    both = one_class([0.9, 0.8], [False, True], [0, 1], images=[0, 1])
    assert average_precision(both)[0] == pytest.approx(0.5)
    assert average_precision(both, np.array([0, 2]))[0] == pytest.approx(1.0)


def test_a_class_without_objects_has_no_ap_and_is_left_out_of_the_mean():
    missing = one_class([0.9], [False], [0])
    assert np.isnan(average_precision(missing)).all()
    assert mean_average_precision([missing, one_class([0.9], [True], [1])])[0] == pytest.approx(1.0)
    assert np.isnan(mean_average_precision([missing])).all()


def test_the_interval_of_equal_images_is_a_point_and_of_unequal_ones_holds_the_figure():
    equal = one_class(
        np.repeat([0.9, 0.8], 30), np.repeat([True, False], 30), np.ones(30, int), np.tile(np.arange(30), 2)
    )
    low, high = bootstrap_map([equal], 200, seed=0)
    assert low == pytest.approx(high, abs=1e-9)
    mixed = one_class(np.linspace(1, 0.1, 60), np.arange(60) % 3 > 0, np.full(30, 2), np.repeat(np.arange(30), 2))
    figure = average_precision(mixed).mean()
    low, high = bootstrap_map([mixed], 400, seed=0)
    assert low < figure < high
    assert (low, high) == bootstrap_map([mixed], 400, seed=0)
    assert (low, high) != bootstrap_map([mixed], 400, seed=1)


def test_more_images_make_the_interval_narrower():
    def width(images: int) -> float:
        one = one_class(np.linspace(1, 0.1, images), np.arange(images) % 3 > 0, np.ones(images, int), np.arange(images))
        low, high = bootstrap_map([one], 300, seed=0)
        return high - low

    assert width(400) < 0.6 * width(50)


def test_the_operating_point_is_where_f1_is_best():
    point = operating_point([one_class([0.9, 0.8, 0.7, 0.2], [True, True, False, False], [3])])
    assert (point.conf, point.precision, point.recall) == (0.8, pytest.approx(1.0), pytest.approx(2 / 3))


def test_equal_scores_count_together_at_the_operating_point():
    point = operating_point([one_class([0.9, 0.5, 0.5, 0.5], [True, False, True, True], [3])])
    assert (point.conf, point.precision, point.recall) == (0.5, pytest.approx(0.75), pytest.approx(1.0))


def test_a_class_at_a_score_is_what_the_operating_point_averages():
    first = one_class([0.9, 0.8, 0.7], [True, False, True], [3])
    second = one_class([0.6, 0.5], [True, True], [2])
    point = operating_point([first, second])
    each = [precision_recall(one, point.conf) for one in (first, second)]
    assert point.precision == pytest.approx(np.mean([precision for precision, _ in each]))
    assert point.recall == pytest.approx(np.mean([recall for _, recall in each]))
    assert precision_recall(first, 0.8) == (0.5, pytest.approx(1 / 3))
    assert precision_recall(first, 0.95) == (0.0, 0.0)
    assert np.isnan(precision_recall(one_class([0.9], [False], [0]), 0.5)[1])


def test_an_image_is_scored_by_its_f1_over_all_classes_and_thresholds():
    half = Matched(
        np.array([0]), np.array([0.9]), (np.arange(10) < 5)[None], np.array([1, 0, 1, 0])
    )  # found at IoU 0.70
    noise = one_class([0.8, 0.3], [False, True], [0, 0, 0, 1], images=[0, 3])
    scores = image_f1([half, noise], conf=0.5)
    assert scores[0] == pytest.approx(2 * 0.5 / (2 + 1))
    assert np.isnan(scores[1])
    assert scores[2:].tolist() == [0.0, 0.0]
    assert image_f1([half, noise], conf=0.3)[3] == 1.0
