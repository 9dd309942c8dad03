from __future__ import annotations

import numpy as np
import pytest

from segsweep.dataset.resize import resize_longest, resized_shape


@pytest.mark.parametrize(
    ("width", "height", "imgsz", "expected"),
    [
        (640, 480, 320, (320, 240)),
        (480, 640, 320, (240, 320)),
        (640, 640, 640, (640, 640)),
        (100, 50, 200, (200, 100)),
        (1000, 333, 100, (100, 33)),
        (5000, 1, 100, (100, 1)),
    ],
)
def test_the_longest_side_becomes_imgsz(width: int, height: int, imgsz: int, expected: tuple[int, int]):
    assert resized_shape(width, height, imgsz) == expected
    assert resize_longest(np.zeros((height, width, 3), np.uint8), imgsz).shape == (expected[1], expected[0], 3)


def test_shrinking_averages_so_that_a_checkerboard_turns_grey():
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    small = resize_longest(np.repeat(board[..., None], 3, axis=2).astype(np.uint8), 16)
    assert small.min() >= 127
    assert small.max() <= 128


def test_a_picture_of_that_size_is_left_alone():
    picture = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    assert resize_longest(picture, 40) is picture
