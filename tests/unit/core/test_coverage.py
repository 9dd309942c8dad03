from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segsweep.core.coverage import cover, overlaps
from segsweep.core.geometry import Mask, Part, Ring, bridge, fill, overlap, trace

HEIGHT, WIDTH = 12, 16

# Outlines may leave the image, cross themselves and repeat points. None meets a pixel's centre: there the last bit of a
# division decides, and `fill` divides at another place of the number line.
hundredths = st.integers(-200, 1800).map(lambda i: i / 100)
points = st.tuples(hundredths.map(lambda x: x + 2**0.5 / 100), hundredths.map(lambda y: y + 3**0.5 / 100))
rings = st.lists(points, min_size=3, max_size=8).map(np.array)
parts = st.builds(Part, rings)
shapes = st.lists(parts, min_size=1, max_size=3)
masks = arrays(np.bool_, (HEIGHT, WIDTH))


def square(x: float, y: float, side: float) -> Ring:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]])


def fractions(shape: list[Part] | tuple[Part, ...]) -> list[Part]:
    return [part.scaled(1 / WIDTH, 1 / HEIGHT) for part in shape]


def test_a_square_covers_its_pixels_and_a_hole_takes_some_away():
    shape = [Part(square(2, 2, 6), (square(3, 3, 2),))]
    covered = cover([fractions(shape), fractions([Part(square(0, 0, 3))]), []], HEIGHT, WIDTH)
    assert covered.areas.tolist() == [36 - 4, 9, 0]


def test_squares_that_share_a_ninth_of_each_have_the_iou_of_one_in_seventeen():
    a = cover([fractions([Part(square(0, 0, 3))])], HEIGHT, WIDTH)
    b = cover([fractions([Part(square(2, 2, 3))])], HEIGHT, WIDTH)
    assert overlaps(a, b, np.array([[0, 0]])).tolist() == [1 / 17]


def test_shapes_without_a_pixel_are_equal_to_each_other_and_to_nothing_else():
    covered = cover([fractions([Part(square(1.1, 1.1, 0.2))]), fractions([Part(square(1, 1, 2))])], HEIGHT, WIDTH)
    assert overlaps(covered, covered, np.array([[0, 0], [0, 1], [1, 1]])).tolist() == [1.0, 0.0, 1.0]


def test_no_shapes_and_no_pairs_are_no_results():
    covered = cover([], HEIGHT, WIDTH)
    assert covered.areas.tolist() == []
    assert overlaps(covered, covered, np.empty((0, 2), np.intp)).tolist() == []


@settings(deadline=None)
@given(st.lists(shapes, max_size=4))
@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
def test_areas_are_those_of_the_filled_masks(many: list[list[Part]]):
    expected = [int(fill(shape, HEIGHT, WIDTH).sum()) for shape in many]
    assert cover([fractions(shape) for shape in many], HEIGHT, WIDTH).areas.tolist() == expected


@settings(deadline=None)
@given(st.lists(shapes, min_size=1, max_size=3), st.lists(shapes, min_size=1, max_size=3))
@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
def test_overlaps_are_those_of_the_filled_masks(left: list[list[Part]], right: list[list[Part]]):
    pairs = np.array([(i, j) for i in range(len(left)) for j in range(len(right))])
    found = overlaps(*(cover([fractions(shape) for shape in many], HEIGHT, WIDTH) for many in (left, right)), pairs)
    filled = [[fill(shape, HEIGHT, WIDTH) for shape in many] for many in (left, right)]
    assert found.tolist() == [overlap(filled[0][i], filled[1][j]) for i, j in pairs]


@settings(deadline=None)
@given(masks)
@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
def test_a_bridged_shape_covers_what_its_parts_and_holes_do(mask: Mask):
    traced = trace(mask)
    if not traced:
        return
    a, b = (cover([fractions(shape)], HEIGHT, WIDTH) for shape in (traced, (Part(bridge(traced)),)))
    assert a.areas.tolist() == [int(mask.sum())]
    assert overlaps(a, b, np.array([[0, 0]])).tolist() == [1.0]


def test_many_pairs_are_compared_in_pieces(monkeypatch: pytest.MonkeyPatch):
    covered = cover([fractions([Part(square(i, i, 3))]) for i in range(4)], HEIGHT, WIDTH)
    pairs = np.array([(i, j) for i in range(4) for j in range(4)])
    whole = overlaps(covered, covered, pairs)
    monkeypatch.setattr("segsweep.core.coverage._MOST_PAIRS", 3)
    assert overlaps(covered, covered, pairs).tolist() == whole.tolist()
