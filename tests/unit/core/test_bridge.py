from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segsweep.core.bridge import bridge, unbridge
from segsweep.core.geometry import Mask, Part, Ring, fill, trace

SQUARE = np.array([[2.0, 2.0], [6.0, 2.0], [6.0, 6.0], [2.0, 6.0]])

masks = st.tuples(st.integers(1, 16), st.integers(1, 16)).flatmap(lambda shape: arrays(np.bool_, shape))


def vertices_of(parts: tuple[Part, ...]) -> list[tuple[list[tuple[float, ...]], list[list[tuple[float, ...]]]]]:
    """What the parts are, whatever their order and wherever a ring starts."""

    def corners(ring: Ring) -> list[tuple[float, ...]]:
        return sorted(map(tuple, ring.tolist()))

    return sorted((corners(part.exterior), sorted(map(corners, part.holes))) for part in parts)


def as_written(ring: Ring, scale: tuple[int, int]) -> Ring:
    """The ring as a label row keeps it: fractions with six decimals."""
    return np.round(ring / scale, 6)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=400)
@given(masks, st.sampled_from([(40, 30), (640, 480), (4096, 3000)]))
def test_parts_and_holes_come_back_as_they_were_from_a_ring_of_six_decimals(mask: Mask, scale: tuple[int, int]):
    parts = trace(mask)
    assume(parts)
    back = unbridge(as_written(bridge(parts), scale))
    rounded = tuple(
        Part(as_written(part.exterior, scale), tuple(as_written(hole, scale) for hole in part.holes)) for part in parts
    )
    assert vertices_of(back) == vertices_of(rounded)


coordinates = st.integers(0, 12).map(float)
scribbles = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=14).map(np.array)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=600)
@given(scribbles)
@example(np.array([[2, 6], [2, 7], [1, 7], [1, 8], [1, 0], [0, 0], [0, 1], [1, 0], [1, 8]], float))  # halves cancel
def test_whatever_is_cut_the_parts_fill_what_the_ring_fills(ring: Ring):
    """Whole coordinates make edges that are walked twice, touch and cross; a quarter keeps them off pixel centres."""
    assert np.array_equal(fill(unbridge(ring + 0.25), 13, 13), fill([Part(ring + 0.25)], 13, 13))


@pytest.mark.parametrize("start", range(10))
def test_a_bridge_is_found_wherever_the_ring_starts(start: int):
    hole = SQUARE / 2 + 5
    ring = np.roll(bridge([Part(SQUARE * 2, (hole,))]), start, axis=0)
    assert vertices_of(unbridge(ring)) == vertices_of((Part(SQUARE * 2, (hole,)),))


def test_a_ring_without_bridges_is_the_part_it_was():
    (part,) = unbridge(SQUARE)
    assert part.exterior is SQUARE
    assert part.holes == ()


def test_a_closing_point_written_again_is_no_bridge():
    (part,) = unbridge(np.concatenate([SQUARE, SQUARE[:1]]))
    assert vertices_of((part,)) == vertices_of((Part(SQUARE),))


def test_a_whisker_walked_there_and_back_is_cut_off():
    (part,) = unbridge(np.concatenate([SQUARE[:2], [[9.0, 1.0]], SQUARE[1:]]))
    assert vertices_of((part,)) == vertices_of((Part(SQUARE),))


def test_a_part_inside_a_hole_is_a_part():
    around, inner = Part(SQUARE * 4, (SQUARE * 3 + 4,)), Part(SQUARE + 10)
    assert vertices_of(unbridge(bridge([around, inner]))) == vertices_of((around, inner))


def test_parts_joined_as_ultralytics_joins_them_come_apart():
    """`merge_multi_segment` writes each part closed, one after the other; the way back is the closing edge."""
    second = SQUARE + 10
    closed = [np.concatenate([ring, ring[:1]]) for ring in (SQUARE, second)]
    assert vertices_of(unbridge(np.concatenate(closed))) == vertices_of((Part(SQUARE), Part(second)))


def test_pieces_that_cross_are_left_in_their_ring():
    """Cut apart they would be two parts, and what both cover would be filled instead of left out."""
    ring = bridge([Part(SQUARE), Part(SQUARE + 2)])
    (part,) = unbridge(ring)
    assert part.exterior is ring
    assert fill([part], 10, 10).sum() == 16 + 16 - 2 * 4


def test_a_hole_belongs_to_the_smallest_part_around_it():
    outer, inner = Part(SQUARE * 10, (SQUARE * 8 + 6,)), Part(SQUARE * 4 + 16, (SQUARE + 28,))
    assert vertices_of(unbridge(bridge([outer, inner]))) == vertices_of((outer, inner))


def test_a_ring_that_is_nothing_but_a_way_there_and_back_stays_one():
    line = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [1.0, 1.0]])
    (part,) = unbridge(line)
    assert part.exterior is line
