from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shapely.geometry import Point, Polygon

from segsweep.core.geometry import Mask, Part, Ring, area, bridge, fill, overlap, separate, trace

SQUARE = np.array([[2.0, 2.0], [6.0, 2.0], [6.0, 6.0], [2.0, 6.0]])

masks = st.tuples(st.integers(1, 14), st.integers(1, 14)).flatmap(lambda shape: arrays(np.bool_, shape))
coordinates = st.floats(-3, 23, width=32).map(lambda value: round(value, 2))
rings = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9).map(np.array)


def as_ultralytics_fills(ring: Ring, height: int, width: int) -> Mask:
    """ultralytics/data/utils.py, polygon2mask: coordinates cut to whole pixels, border drawn."""
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [ring.astype(np.int32)], color=1)
    return mask.astype(np.bool_)


def ring_mask(size: int, outer: float, inner: float) -> Mask:
    y, x = np.mgrid[:size, :size] + 0.5
    distance = np.hypot(x - size / 2, y - size / 2)
    return (distance < outer) & (distance >= inner)


def test_a_square_of_sixteen_pixels_fills_sixteen_pixels():
    mask = fill([Part(SQUARE)], 8, 8)
    assert mask.sum() == 16
    assert mask[2:6, 2:6].all()


def test_a_hole_is_not_filled_and_parts_are_united():
    hole = np.array([[3.0, 3.0], [5.0, 3.0], [5.0, 5.0], [3.0, 5.0]])
    far = SQUARE + np.array([8, 0])
    mask = fill([Part(SQUARE, (hole,)), Part(far)], 8, 16)
    assert mask.sum() == 16 - 4 + 16


@pytest.mark.slow(reason="400 points in each of many polygons")
@pytest.mark.timeout(60)
@settings(deadline=None)
@given(rings)
def test_filling_agrees_with_shapely_about_every_pixel_centre(ring: Ring):
    polygon = Polygon(ring)
    mask = fill([Part(ring)], 20, 20)
    if not polygon.is_valid or polygon.area == 0:
        return
    for y in range(20):
        for x in range(20):
            centre = Point(x + 0.5, y + 0.5)
            if polygon.exterior.distance(centre) > 1e-6:
                assert mask[y, x] == polygon.contains(centre), (x, y)


def test_area_is_the_shoelace_area_whichever_way_the_ring_turns():
    assert area(SQUARE) == area(SQUARE[::-1]) == 16.0
    assert area(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])) == 0.0


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(masks)
def test_tracing_and_filling_is_the_identity(mask: Mask):
    assert np.array_equal(fill(trace(mask), *mask.shape), mask)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(masks)
def test_every_four_connected_piece_is_one_part(mask: Mask):
    pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] - 1
    assert len(trace(mask)) == pieces


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(masks)
def test_a_bridged_ring_fills_exactly_what_its_parts_fill(mask: Mask):
    parts = trace(mask)
    if parts:
        assert np.array_equal(fill([Part(bridge(parts))], *mask.shape), mask)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(masks)
def test_ultralytics_fills_every_traced_outline_to_the_same_mask(mask: Mask):
    filled = np.zeros_like(mask)
    for part in trace(mask):
        if not part.holes:
            filled |= as_ultralytics_fills(part.exterior, *mask.shape)
        else:
            filled |= fill([part], *mask.shape)
    assert np.array_equal(filled, mask)


def test_ultralytics_fills_a_bridged_ring_with_a_hole_to_the_same_mask():
    mask = ring_mask(64, 28.0, 12.0)
    (part,) = trace(mask)
    assert len(part.holes) == 1
    assert overlap(as_ultralytics_fills(bridge([part]), 64, 64), mask) == 1.0


def test_an_object_cut_in_two_has_two_parts_and_a_bridge_one_pixel_wide_at_most():
    mask = ring_mask(64, 28.0, 0.0)
    mask[:, 30:34] = False
    parts = trace(mask)
    assert len(parts) == 2
    extra = as_ultralytics_fills(bridge(parts), 64, 64) & ~mask
    assert extra.sum() == 4


def test_pieces_that_touch_at_a_corner_stay_apart():
    mask = np.array([[True, False], [False, True]])
    assert len(trace(mask)) == 2


def test_a_hole_belongs_to_the_piece_around_it_not_to_the_one_around_that():
    mask = ring_mask(64, 30.0, 24.0) | ring_mask(64, 16.0, 8.0)
    outer, inner = sorted(trace(mask), key=lambda part: -area(part.exterior))
    assert area(outer.holes[0]) > area(inner.exterior) > area(inner.holes[0])


def test_an_empty_mask_has_no_parts():
    assert trace(np.zeros((5, 5), np.bool_)) == ()


def test_a_part_outside_the_image_fills_nothing():
    assert not fill([Part(SQUARE - 20), Part(SQUARE + 20)], 8, 8).any()


def test_parts_that_overlap_are_united_before_they_are_bridged():
    parts = [Part(SQUARE), Part(SQUARE + 2)]
    united = separate(parts, 10, 10)
    mask = fill(parts, 10, 10)
    assert mask.sum() == 28
    assert np.array_equal(fill([Part(bridge(united))], 10, 10), mask)
    assert not np.array_equal(fill([Part(bridge(parts))], 10, 10), mask)


def test_parts_that_do_not_overlap_are_left_as_they_are():
    near = [Part(SQUARE), Part(SQUARE + np.array([4, 0]))]
    assert all(a is b for a, b in zip(separate(near, 10, 12), near, strict=True))


def test_overlap_is_intersection_over_union_and_one_for_two_empty_masks():
    a, b = np.array([[True, True, False]]), np.array([[False, True, True]])
    assert overlap(a, b) == 1 / 3
    assert overlap(a & b & ~b, np.zeros((1, 3), np.bool_)) == 1.0
