"""Masks at the image's resolution, as crops."""

import cv2
import numpy as np
import pytest

from segsweep.inference.letterbox import Letterbox
from segsweep.inference.masks import Mask, assemble, mask_iou, pair


def box(*corners: float) -> np.ndarray:
    return np.asarray([corners], np.float32)


def test_a_mask_is_cut_at_its_box_and_nothing_is_stored_outside():
    ones = np.ones((1, 1, 16, 16), np.float32)
    [mask] = assemble(np.ones((1, 1), np.float32), ones, box(10.5, 20.0, 14.0, 22.5), Letterbox.fit((64, 64), (64, 64)))
    # A pixel belongs to the box when x1 <= x < x2: columns 11 to 13, rows 20 to 22.
    assert (mask.left, mask.top, mask.pixels.shape) == (11, 20, (3, 3))
    assert mask.area == 9


def test_the_sign_of_the_coefficient_decides_what_is_inside():
    halves = np.ones((1, 1, 16, 16), np.float32)
    halves[..., 8:] = -1.0
    letterbox = Letterbox.fit((64, 64), (64, 64))
    for coefficient, expected in ((1.0, range(32)), (-1.0, range(32, 64))):
        [mask] = assemble(np.full((1, 1), coefficient, np.float32), halves, box(0, 0, 64, 64), letterbox)
        assert np.flatnonzero(mask.pixels[0]).tolist() == list(expected)


@pytest.mark.parametrize("shape", [(64, 64), (64, 128), (90, 50), (500, 333)])
def test_logits_are_sampled_as_a_resize_of_the_whole_picture_would(shape):
    rng = np.random.default_rng(1)
    logits = cv2.GaussianBlur(rng.normal(size=(16, 16)).astype(np.float32), (0, 0), 2.0)
    letterbox = Letterbox.fit(shape, (64, 64))
    on_canvas = cv2.resize(logits, (64, 64), interpolation=cv2.INTER_LINEAR)
    rows = slice(letterbox.top, letterbox.top + letterbox.height)
    columns = slice(letterbox.left, letterbox.left + letterbox.width)
    expected = cv2.resize(on_canvas[rows, columns], shape[::-1], interpolation=cv2.INTER_LINEAR) > 0
    [mask] = assemble(np.ones((1, 1), np.float32), logits[None, None], box(0, 0, shape[1], shape[0]), letterbox)
    found = mask.on_image(shape)
    assert (found & expected).sum() / (found | expected).sum() > 0.98


def test_a_box_without_pixels_is_an_empty_mask():
    ones = np.ones((1, 1, 16, 16), np.float32)
    [mask] = assemble(np.ones((1, 1), np.float32), ones, box(64, 10, 64, 12), Letterbox.fit((64, 64), (64, 64)))
    assert mask.area == 0
    assert mask.on_image((64, 64)).sum() == 0


def test_a_crop_lands_at_its_place():
    full = Mask(2, 1, np.ones((2, 3), np.bool_)).on_image((4, 6))
    assert np.argwhere(full).tolist() == [[1, 2], [1, 3], [1, 4], [2, 2], [2, 3], [2, 4]]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Mask(0, 0, np.ones((4, 4), np.bool_)), 1.0),
        (Mask(2, 0, np.ones((4, 4), np.bool_)), 8 / 24),
        (Mask(10, 10, np.ones((4, 4), np.bool_)), 0.0),
        (Mask(1, 1, np.ones((2, 2), np.bool_)), 4 / 16),
        (Mask(0, 0, np.zeros((4, 4), np.bool_)), 0.0),
    ],
)
def test_iou_of_crops_is_that_of_the_masks(other, expected):
    one = Mask(0, 0, np.ones((4, 4), np.bool_))
    assert mask_iou(one, other) == mask_iou(other, one) == pytest.approx(expected)


def test_two_empty_masks_agree():
    empty = Mask(0, 0, np.zeros((2, 2), np.bool_))
    assert mask_iou(empty, empty) == 1.0


def test_pairs_are_taken_best_first_and_never_below_the_floor():
    ious = np.array([[0.9, 0.95], [0.8, 0.9], [0.4, 0.1]])
    assert pair(ious, floor=0.5) == [(0, 1), (1, 0)]
    assert pair(np.zeros((0, 3)), floor=0.5) == []
