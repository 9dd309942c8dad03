from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon, box

from segsweep.core.clipping import Box, clip
from segsweep.core.geometry import Part, Ring, area, fill, trace

# Added to integer corners, no edge runs through the centre of a pixel: not along the diagonal, so the two differ.
OFF_CENTRE = (0.013713, 0.0291729)
SIDE = 24

numbers = st.one_of(st.integers(-6, 30), st.floats(-6, 30).map(lambda value: round(value, 3)))
rings = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=10).map(
    lambda points: np.array(points, dtype=np.float64)
)
boxes = st.tuples(st.integers(0, 16), st.integers(0, 16), st.integers(1, 8), st.integers(1, 8)).map(
    lambda box: (float(box[0]), float(box[1]), float(box[0] + box[2]), float(box[1] + box[3]))
)

FRAME = Part(
    np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]]),
    (np.array([[2.0, 2.0], [8.0, 2.0], [8.0, 8.0], [2.0, 8.0]]),),
)
COMB = Part(
    np.array([[0, 0], [10, 0], [10, 9], [8, 9], [8, 3], [6, 3], [6, 9], [4, 9], [4, 3], [2, 3], [2, 9], [0, 9]], float)
)


def size(parts: tuple[Part, ...]) -> float:
    return sum(area(part.exterior) - sum(map(area, part.holes)) for part in parts)


@pytest.mark.parametrize(
    ("part", "rectangle", "areas", "holes"),
    [
        (FRAME, (0, 0, 5, 10), [32.0], [0]),
        (FRAME, (0, 0, 10, 5), [32.0], [0]),
        (FRAME, (3, 0, 5, 10), [4.0, 4.0], [0, 0]),
        (FRAME, (1, 1, 9, 9), [28.0], [1]),
        (FRAME, (3, 3, 7, 7), [], []),
        (FRAME, (2, 2, 8, 8), [], []),
        (FRAME, (2, 0, 8, 10), [12.0, 12.0], [0, 0]),
        (FRAME, (12, 0, 20, 10), [], []),
        (COMB, (0, 4, 10, 10), [10.0, 10.0, 10.0], [0, 0, 0]),
        (COMB, (1, 4, 9, 8), [4.0, 4.0, 8.0], [0, 0, 0]),
    ],
    ids=[
        "a hole cut open", "from above", "between", "a hole kept", "in the hole", "exactly the hole", "along the hole",
        "beside", "a comb's teeth", "and its sides",
    ],
)  # fmt: skip
def test_a_shape_is_cut_into_its_pieces(part: Part, rectangle: Box, areas: list[float], holes: list[int]):
    pieces = clip(part, rectangle)
    assert sorted((size((piece,)), len(piece.holes)) for piece in pieces) == list(zip(areas, holes, strict=True))


def test_pieces_that_touch_on_the_border_are_apart():
    ring = np.array([[1.0, 2.0], [2.0, 3.0], [0.0, 0.0], [2.0, 5.0]])
    assert len(clip(Part(ring), (0, 2, 2, 3))) == 2
    assert size(clip(Part(ring), (0, 2, 2, 3))) == pytest.approx(1 / 3)


def test_what_lies_inside_is_the_part_itself():
    assert clip(FRAME, (0, 0, 10, 10)) == (FRAME,)
    assert clip(FRAME, (-5, -5, 15, 15))[0] is FRAME


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=300)
@given(rings, boxes)
def test_filling_a_cut_shape_is_cutting_the_filled_shape(ring: Ring, rectangle: Box):
    ring = ring + OFF_CENTRE
    left, top, right, bottom = map(int, rectangle)
    expected = np.zeros((SIDE, SIDE), dtype=np.bool_)
    expected[top:bottom, left:right] = fill([Part(ring)], SIDE, SIDE)[top:bottom, left:right]
    found = fill(clip(Part(ring), rectangle), SIDE, SIDE)
    assert np.count_nonzero(found != expected) == 0


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=300)
@given(rings, boxes)
def test_areas_agree_with_shapely(ring: Ring, rectangle: Box):
    polygon = Polygon(ring)
    assume(polygon.is_valid)
    assert size(clip(Part(ring), rectangle)) == pytest.approx(polygon.intersection(box(*rectangle)).area, abs=1e-9)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), boxes)
def test_pieces_of_masks_with_holes_and_islands_are_exact(seed: int, rectangle: Box):
    mask = np.random.default_rng(seed).random((SIDE, SIDE)) < 0.6
    left, top, right, bottom = map(int, rectangle)
    expected = np.zeros_like(mask)
    expected[top:bottom, left:right] = mask[top:bottom, left:right]
    pieces = tuple(piece for part in trace(mask) for piece in clip(part, rectangle))
    assert np.array_equal(fill(pieces, SIDE, SIDE), expected)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_pieces_in_a_grid_of_rectangles_add_up_to_the_whole(seed: int):
    angle = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    radius = np.random.default_rng(seed).uniform(2, 11, 30)
    part = Part(12 + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    pieces = [clip(part, (x, y, x + 6, y + 8)) for x in range(0, 24, 6) for y in range(0, 24, 8)]
    assert sum(map(size, pieces)) == pytest.approx(area(part.exterior), rel=1e-12)
