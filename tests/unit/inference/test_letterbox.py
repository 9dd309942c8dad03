"""Images of any shape on a fixed canvas, and coordinates back."""

import numpy as np
import pytest

from segsweep.inference.letterbox import Letterbox


@pytest.mark.parametrize(
    ("image", "canvas", "expected"),
    [
        pytest.param((64, 64), (64, 64), (64, 64, 0, 0), id="fits exactly"),
        pytest.param((32, 64), (64, 64), (32, 64, 16, 0), id="bars above and below"),
        pytest.param((100, 50), (64, 64), (64, 32, 0, 16), id="bars at the sides, scaled down"),
        pytest.param((10, 20), (64, 64), (32, 64, 16, 0), id="scaled up"),
        pytest.param((3, 4000), (64, 64), (1, 64, 31, 0), id="a hair keeps one pixel"),
        pytest.param((63, 64), (64, 64), (63, 64, 0, 0), id="an odd row of padding goes below"),
    ],
)
def test_an_image_is_centred_and_scaled_to_fit(image, canvas, expected):
    letterbox = Letterbox.fit(image, canvas)
    assert (letterbox.height, letterbox.width, letterbox.top, letterbox.left) == expected


def test_pixels_become_rgb_planes_from_0_to_1_on_grey():
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, :] = (255, 0, 51)  # blue, green, red
    canvas = np.full((1, 3, 4, 4), 7.0, np.float32)
    Letterbox.fit((2, 4), (4, 4)).prepare(image, canvas)
    grey = np.float32(114) / np.float32(255)
    assert canvas[0, :, 1, 0].tolist() == [np.float32(0.2), 0.0, 1.0]
    assert (canvas[0, :, 0] == grey).all()
    assert (canvas[0, :, 3] == grey).all()


def test_a_canvas_that_is_used_again_keeps_nothing_of_the_image_before():
    canvas = np.empty((1, 3, 8, 8), np.float32)
    white = np.full((8, 8, 3), 255, np.uint8)
    Letterbox.fit((8, 8), (8, 8)).prepare(white, canvas)
    Letterbox.fit((4, 8), (8, 8)).prepare(white[:4], canvas)
    assert canvas[0, 0, 0, 0] == np.float32(114) / np.float32(255)


def test_boxes_go_back_to_image_pixels_and_are_clipped_to_it():
    letterbox = Letterbox.fit((100, 200), (64, 64))  # gain 0.32, 16 rows of padding above
    boxes = np.array([[0.0, 16.0, 64.0, 48.0], [-5.0, 0.0, 99.0, 64.0], [16.0, 24.0, 32.0, 40.0]], np.float32)
    assert letterbox.to_image(boxes).tolist() == [[0, 0, 200, 100], [0, 0, 200, 100], [50, 25, 100, 75]]
