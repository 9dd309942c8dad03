"""How far two models agree, in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from segsweep.deploy.agreement import Found, agree, decode_found, encode_found
from segsweep.inference.masks import Mask


def block(kind: int, left: int, top: int, width: int, height: int) -> Found:
    return Found(kind, Mask(left, top, np.ones((height, width), np.bool_)))


CAT = block(0, 10, 10, 10, 10)


def facts(reference, other):
    found = agree(reference, other)
    return found.reference_objects, found.matched, found.matched_share, found.mean_mask_iou, found.only_here


@pytest.mark.parametrize(
    ("reference", "other", "expected"),
    [
        pytest.param([[CAT]], [[CAT]], (1, 1, 1.0, 1.0, 0), id="the same"),
        pytest.param([[CAT]], [[block(1, 10, 10, 10, 10)]], (1, 0, 0.0, None, 1), id="another class"),
        pytest.param([[CAT]], [[block(0, 10, 10, 5, 10)]], (1, 1, 1.0, 0.5, 0), id="half of it is enough"),
        pytest.param([[CAT]], [[block(0, 10, 10, 4, 10)]], (1, 0, 0.0, None, 1), id="less is not"),
        pytest.param([[CAT]], [[CAT, CAT]], (1, 1, 1.0, 1.0, 1), id="each object once"),
        pytest.param([[CAT], []], [[], [CAT]], (1, 0, 0.0, None, 1), id="of one image, not of another"),
        pytest.param([[]], [[CAT]], (0, 0, None, None, 1), id="the reference found nothing"),
        pytest.param([], [], (0, 0, None, None, 0), id="no image"),
        # Best first: the second takes the whole overlap, so that the first is left with 0.8 of the shifted one.
        pytest.param([[CAT]], [[block(0, 10, 10, 8, 10), CAT]], (1, 1, 1.0, 1.0, 1), id="the best overlap"),
        pytest.param(
            [[CAT, block(0, 40, 40, 10, 10)]],
            [[block(0, 40, 40, 10, 6), CAT]],
            (2, 2, 1.0, 0.8, 0),
            id="in another order",
        ),
    ],
)
def test_objects_are_matched_by_class_and_mask_in_their_image(reference, other, expected):
    assert facts(reference, other) == expected


def test_objects_of_the_reference_alone_are_counted():
    assert agree([[CAT, block(0, 40, 40, 5, 5)]], [[CAT]]).only_reference == 1


def test_different_numbers_of_images_are_a_fault():
    with pytest.raises(ValueError, match="shorter"):
        agree([[CAT], [CAT]], [[CAT]])


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (0, 4)])
def test_objects_come_back_from_their_line(shape):
    pixels = np.random.default_rng(0).random(shape) > 0.5
    (back,) = decode_found(encode_found([Found(3, Mask(7, 9, pixels))]))
    assert (back.kind, back.mask.left, back.mask.top) == (3, 7, 9)
    assert back.mask.pixels.dtype == np.bool_
    assert np.array_equal(back.mask.pixels, pixels)
    assert decode_found(encode_found([])) == ()
