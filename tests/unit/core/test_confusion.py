"""The confusion matrix against the one whose convention it has, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from segsweep.core.confusion import CONF, IOU, confusion

CLASSES = 3


def boxes_near(random: np.random.Generator, count: int) -> np.ndarray:
    corner = random.integers(0, 60, (count, 2))
    return np.concatenate([corner, corner + random.integers(8, 40, (count, 2))], axis=1).astype(np.float64)


def ious(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    low, high = np.maximum(found[:, None, :2], true[None, :, :2]), np.minimum(found[:, None, 2:], true[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    areas = [(corners[:, 2:] - corners[:, :2]).prod(axis=1) for corners in (found, true)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)


def scene(seed: int):
    """Objects, and detections near some of them, all scores different, best first."""
    random = np.random.default_rng(seed)
    true = boxes_near(random, int(random.integers(0, 6)))
    near = np.repeat(true, 2, axis=0) + random.integers(-6, 7, (2 * len(true), 4))
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
    found = np.concatenate([near, boxes_near(random, int(random.integers(0, 4)))])
    scores = np.sort(random.permutation(np.linspace(0.05, 0.95, len(found))))[::-1].copy()
    order = random.permutation(len(found))
    return found[order], scores, random.integers(0, CLASSES, len(found)), true, random.integers(0, CLASSES, len(true))


@pytest.mark.slow(reason="imports torch and Ultralytics")
@pytest.mark.timeout(120)
def test_a_hundred_scenes_are_counted_as_ultralytics_counts_them():
    torch = pytest.importorskip("torch")
    from ultralytics.utils.metrics import ConfusionMatrix

    theirs = ConfusionMatrix(names={kind: str(kind) for kind in range(CLASSES)})
    ours = np.zeros((CLASSES + 1, CLASSES + 1), np.int64)
    for seed in range(100):
        found, scores, kinds, true, true_kinds = scene(seed)
        detections = {"bboxes": torch.tensor(found), "conf": torch.tensor(scores), "cls": torch.tensor(kinds)}
        theirs.process_batch(detections, {"bboxes": torch.tensor(true), "cls": torch.tensor(true_kinds)}, CONF, IOU)
        sure = scores > CONF
        ours += confusion(kinds[sure], true_kinds, ious(found[sure], true), CLASSES)
    assert ours.tolist() == theirs.matrix.astype(int).tolist()
    assert (ours[:CLASSES, :CLASSES] > 0).all()
    assert min(ours[CLASSES, :CLASSES].min(), ours[:CLASSES, CLASSES].min()) > 0


def test_rows_are_predicted_columns_true_and_the_last_ones_background():
    overlaps = np.array([[0.9, 0.0], [0.0, 0.1], [0.6, 0.0]])
    matrix = confusion(np.array([1, 1, 0]), np.array([0, 1]), overlaps, 2)
    assert matrix.tolist() == [[0, 0, 1], [1, 0, 1], [0, 1, 0]]


def test_an_overlap_of_just_the_threshold_is_none():
    assert confusion(np.array([0]), np.array([0]), np.array([[IOU]]), 1).tolist() == [[0, 1], [1, 0]]
    assert confusion(np.array([0]), np.array([0]), np.array([[IOU + 1e-9]]), 1).tolist() == [[1, 0], [0, 0]]


def test_the_best_detection_chooses_first_and_a_taken_object_is_not_taken_twice():
    overlaps = np.array([[0.6, 0.5], [0.9, 0.0]])
    assert confusion(np.array([0, 0]), np.array([0, 0]), overlaps, 1).tolist() == [[1, 1], [1, 0]]


@pytest.mark.parametrize(("found", "true"), [(0, 0), (0, 2), (2, 0)])
def test_nothing_found_or_nothing_there(found, true):
    kinds, true_kinds = np.zeros(found, np.int64), np.zeros(true, np.int64)
    matrix = confusion(kinds, true_kinds, np.zeros((found, true)), 1)
    assert matrix.tolist() == [[0, found], [true, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_every_object_is_in_its_column_and_every_detection_in_its_row(seed):
    found, _, kinds, true, true_kinds = scene(seed)
    matrix = confusion(kinds, true_kinds, ious(found, true), CLASSES)
    assert matrix[:, :CLASSES].sum(axis=0).tolist() == np.bincount(true_kinds, minlength=CLASSES).tolist()
    assert matrix[:CLASSES].sum(axis=1).tolist() == np.bincount(kinds, minlength=CLASSES).tolist()
