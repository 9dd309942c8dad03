"""Raw outputs to detections, against values worked out by hand and torchvision's suppression."""

import numpy as np
import pytest

from segsweep.inference.decode import Thresholds, decode, suppress


def raw(*columns: tuple[float, ...]) -> np.ndarray:
    """Columns of (x, y, w, h, score of class 0, score of class 1, coefficient)."""
    return np.asarray(columns, np.float32).T[None]


def test_a_detection_is_its_box_best_class_score_and_coefficients():
    found = decode(raw((10, 20, 4, 8, 0.3, 0.6, 5.0)), prototypes=1, thresholds=Thresholds())
    assert found.boxes.tolist() == [[8.0, 16.0, 12.0, 24.0]]
    assert found.classes.tolist() == [1]
    assert found.scores.tolist() == [np.float32(0.6)]
    assert found.coefficients.tolist() == [[5.0]]


def test_a_score_must_be_above_the_threshold_not_at_it():
    at, above = np.float32(0.25), np.nextafter(np.float32(0.25), np.float32(1))
    found = decode(raw((10, 10, 4, 4, at, 0, 0), (50, 50, 4, 4, above, 0, 0)), 1, Thresholds(conf=0.25))
    assert found.scores.tolist() == [above]


def test_overlapping_boxes_of_one_class_leave_the_best_and_other_classes_stay():
    found = decode(
        raw((10, 10, 10, 10, 0.5, 0, 1), (10, 11, 10, 10, 0.9, 0, 2), (10, 10, 10, 10, 0, 0.7, 3)), 1, Thresholds()
    )
    assert found.coefficients[:, 0].tolist() == [2.0, 3.0]
    assert found.classes.tolist() == [0, 1]


def test_a_box_of_several_classes_is_of_each_where_that_is_asked_for():
    two = raw((10, 20, 4, 8, 0.3, 0.6, 5.0), (50, 50, 4, 4, 0.4, 0.1, 6.0))
    found = decode(two, 1, Thresholds(multi_label=True))
    assert list(zip(found.classes.tolist(), found.coefficients[:, 0].tolist(), strict=True)) == [(1, 5), (0, 6), (0, 5)]
    assert found.scores.tolist() == [np.float32(score) for score in (0.6, 0.4, 0.3)]
    only = decode(two, 1, Thresholds(multi_label=True, classes=frozenset({0})))
    assert only.coefficients[:, 0].tolist() == [6, 5]


def test_nothing_found_keeps_its_shapes():
    found = decode(raw((10, 10, 4, 4, 0.1, 0.1, 0)), 1, Thresholds())
    assert (found.boxes.shape, found.scores.shape, found.coefficients.shape) == ((0, 4), (0,), (0, 1))


def test_the_number_of_detections_is_limited_best_first():
    found = decode(raw(*((i * 20, 10, 4, 4, 0.3 + i / 10, 0, i) for i in range(5))), 1, Thresholds(max_det=2))
    assert found.coefficients[:, 0].tolist() == [4.0, 3.0]


@pytest.mark.parametrize(
    ("overlap", "kept"),
    [pytest.param(5.0, [0, 1], id="a third is not above a third"), pytest.param(5.01, [0], id="a little more is")],
)
def test_a_box_is_dropped_when_it_overlaps_by_more_than_the_threshold(overlap, kept):
    boxes = np.array([[0, 0, 10, 1], [10 - overlap, 0, 20 - overlap, 1]], np.float32)
    assert suppress(boxes, iou=1 / 3 + 1e-6, limit=10).tolist() == kept


def test_a_box_that_was_dropped_drops_nobody():
    boxes = np.array([[0, 0, 10, 1], [3, 0, 13, 1], [6, 0, 16, 1]], np.float32)
    assert suppress(boxes, iou=0.5, limit=10).tolist() == [0, 2]


@pytest.mark.parametrize("boxes", [np.zeros((0, 4), np.float32), np.zeros((1, 4), np.float32)])
def test_no_box_and_an_empty_box_are_no_special_case(boxes):
    assert suppress(boxes, iou=0.5, limit=10).tolist() == list(range(len(boxes)))


@pytest.mark.slow(reason="imports torchvision, the second implementation")
@pytest.mark.timeout(60)
def test_suppression_agrees_with_torchvision():
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("torchvision.ops")
    rng = np.random.default_rng(0)
    for count in (1, 7, 300):
        corner = rng.uniform(0, 50, (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(1, 40, (count, 2))], axis=1).astype(np.float32)
        scores = np.linspace(1, 0.1, count, dtype=np.float32)
        expected = ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.5).tolist()
        assert suppress(boxes, iou=0.5, limit=count).tolist() == expected
