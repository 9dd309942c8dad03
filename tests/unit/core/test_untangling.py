from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsweep.core import untangling
from segsweep.core.crossings import find_crossings
from segsweep.core.geometry import Mask, Part, Ring, area, fill
from segsweep.core.untangling import untangle

SIDE = 24
FLAT = 1e-6

coordinates = st.one_of(st.integers(-4, 28), st.floats(-4, 28).map(lambda value: round(value, 2)))
rings = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=11).map(
    lambda points: np.array(points, dtype=np.float64)
)


def certain(ring: Ring) -> Mask:
    """Pixels whose centres lie on no edge: there, and only there, inside and outside are certain."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    clear = np.ones((SIDE, SIDE), dtype=np.bool_)
    for (ax, ay), (bx, by) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        dx, dy = bx - ax, by - ay
        run = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy or 1), 0, 1)
        clear &= np.hypot(x - ax - run * dx, y - ay - run * dy) > 1e-6
    return clear


def test_a_bow_tie_becomes_its_two_wings():
    parts = untangle(Part(np.array([[0.0, 0.0], [8.0, 8.0], [8.0, 0.0], [0.0, 8.0]])))
    assert parts is not None
    assert [round(area(part.exterior), 6) for part in parts] == [16.0, 16.0]
    assert all(not part.holes for part in parts)


def test_what_an_outline_goes_around_twice_is_a_hole_as_in_training():
    star = np.array([[12 + 11 * np.sin(4 * np.pi * i / 5), 12 - 11 * np.cos(4 * np.pi * i / 5)] for i in range(5)])
    parts = untangle(Part(star), FLAT)
    assert parts is not None
    assert [(len(part.exterior), len(part.holes)) for part in parts] == [(10, 1)]  # the star and the pentagon in it
    in_training = np.zeros((SIDE * 16, SIDE * 16), np.uint8)
    cv2.fillPoly(in_training, [np.round(star * 16).astype(np.int32)], color=1)
    ours = fill([part.scaled(16, 16) for part in parts], SIDE * 16, SIDE * 16)
    differ = (ours != in_training).astype(np.uint8)
    assert not cv2.erode(differ, np.ones((3, 3), np.uint8)).any()  # fillPoly draws the border, too, and nothing else
    assert not ours[12 * 16, 12 * 16]


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=300)
@given(rings)
def test_the_shape_is_the_same_and_no_outline_crosses_itself(ring: Ring):
    parts = untangle(Part(ring), FLAT)
    assert parts is not None
    sure = certain(ring)
    assert np.array_equal(fill(parts, SIDE, SIDE) & sure, fill([Part(ring)], SIDE, SIDE) & sure)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.floats(0, 24), st.floats(0, 24)), min_size=3, max_size=11, unique=True).map(np.array))
def test_outlines_taken_apart_do_not_cross_themselves(ring: Ring):
    parts = untangle(Part(ring), FLAT)
    assert parts is not None
    for part in parts:
        crossing = find_crossings([part.exterior])
        # Where edges nearly coincide, what is left of a crossing has no size.
        assert all(min(at) < 1e-3 or max(at) > 1 - 1e-3 for at in crossing.at)


def test_an_outline_that_does_not_cross_itself_is_left_as_it_is():
    ring = np.array([[0.0, 0.0], [8.0, 1.0], [5.0, 8.0]])
    parts = untangle(Part(ring))
    assert parts is not None
    assert parts[0].exterior is ring


def test_wings_of_equal_size_that_meet_in_a_point_of_the_outline_do_not_cancel_each_other():
    ring = np.array([[0.0, 0.0], [4.0, 4.0], [8.0, 8.0], [8.0, 0.0], [4.0, 4.0], [0.0, 8.0]])
    assert area(ring) == 0
    parts = untangle(Part(ring), FLAT)
    assert parts is not None
    assert round(sum(area(part.exterior) for part in parts), 6) == 32.0


@pytest.mark.parametrize("ring", [[[0, 0], [4, 4], [8, 8]], [[0, 0], [8, 0], [4, 0], [2, 0]], [[3, 3], [3, 3], [3, 3]]])
def test_of_an_outline_without_area_nothing_is_left(ring: list[list[int]]):
    assert untangle(Part(np.array(ring, dtype=np.float64)), FLAT) == ()


def test_holes_are_kept():
    hole = np.array([[3.0, 3.0], [5.0, 3.0], [4.0, 5.0]])
    (part,) = untangle(Part(np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 9.0]]), (hole,))) or ()
    assert len(part.holes) == 1
    assert part.holes[0] is hole


def test_a_scribble_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(untangling, "MAX_CROSSINGS", 10)
    assert untangle(Part(np.random.default_rng(0).random((30, 2)))) is None
