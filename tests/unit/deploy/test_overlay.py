"""What an overlay shows, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from segsweep.deploy.overlay import PALETTE, draw
from segsweep.inference.masks import Mask
from segsweep.inference.predictor import Prediction, StageTimes

TIMES = StageTimes(0.0, 0.0, 0.0)


def found(boxes: list[list[float]], classes: list[int], shape: tuple[int, int] = (200, 200)) -> Prediction:
    """Objects whose masks fill their boxes."""
    masks = [Mask(int(x), int(y), np.ones((int(b - y), int(r - x)), np.bool_)) for x, y, r, b in boxes]
    scores = np.linspace(0.9, 0.5, len(boxes), dtype=np.float32)
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    return Prediction(corners, scores, np.array(classes, np.int64), tuple(masks), shape, TIMES)


def grey(height: int = 200, width: int = 200) -> np.ndarray:
    return np.full((height, width, 3), 100, np.uint8)


def test_a_mask_is_tinted_in_the_colour_of_its_class_and_the_image_stays_as_it_was():
    image = grey()
    drawn = draw(image, found([[50, 50, 150, 150]], [1]), ["cat", "dog"])
    assert drawn[100, 100].tolist() == [round(0.55 * 100 + 0.45 * value) for value in PALETTE[1]]
    assert drawn[180, 180].tolist() == [100, 100, 100]
    assert (image == 100).all()


def test_the_box_has_the_full_colour_of_its_class():
    drawn = draw(grey(), found([[50, 50, 150, 150]], [0]), ["cat"])
    assert drawn[100, 50].tolist() == list(PALETTE[0])
    assert drawn[149, 100].tolist() == list(PALETTE[0])


def test_the_best_object_lies_on_top():
    drawn = draw(grey(), found([[50, 50, 150, 150], [40, 40, 160, 160]], [0, 1]), ["cat", "dog"])
    under = 0.55 * 100 + 0.45 * PALETTE[1][0]
    assert abs(int(drawn[120, 100, 0]) - (0.55 * under + 0.45 * PALETTE[0][0])) <= 1


def test_nothing_found_is_the_image_as_it_is():
    assert (draw(grey(), found([], []), ["cat"]) == grey()).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3)])
def test_an_image_of_any_shape_can_be_drawn_on(shape):
    box = [0.0, 0.0, float(shape[1]), float(shape[0])]
    assert draw(grey(*shape), found([box], [0], shape), ["猫"]).shape == (*shape, 3)


def test_more_classes_than_colours_begin_again():
    names = [str(index) for index in range(len(PALETTE) + 1)]
    drawn = draw(grey(), found([[50, 50, 150, 150]], [len(PALETTE)]), names)
    assert drawn[100, 50].tolist() == list(PALETTE[0])
