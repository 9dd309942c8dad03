from __future__ import annotations

import numpy as np
import pytest

from segsweep.core.geometry import Mask, Part, Ring, fill
from segsweep.core.nesting import encloses, nest


def square(x: float, y: float, side: float) -> Ring:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]])


def even_odd(rings: list[Ring], size: int) -> Mask:
    return np.logical_xor.reduce([fill([Part(ring)], size, size) for ring in rings])


@pytest.mark.parametrize(
    ("rings", "shape"),
    [
        ([square(0, 0, 9)], [0]),
        ([square(0, 0, 4), square(5, 5, 4)], [0, 0]),
        ([square(2, 2, 4), square(0, 0, 9)], [1]),
        ([square(0, 0, 9), square(1, 1, 3), square(5, 5, 3)], [2]),
        ([square(0, 0, 20), square(2, 2, 14), square(4, 4, 9), square(6, 6, 3)], [1, 1]),
        ([square(0, 0, 4), square(4, 4, 4)], [0, 0]),
        ([square(0, 0, 4), square(4, 0, 4)], [0, 0]),
        ([square(0, 0, 9), square(0, 3, 2)], [1]),
    ],
    ids=["one", "apart", "hole first", "two holes", "island in a hole", "corners touch", "edges touch", "hole at edge"],
)
def test_outlines_get_their_holes(rings: list[Ring], shape: list[int]):
    parts = nest(rings)
    assert [len(part.holes) for part in parts] == shape
    assert np.array_equal(fill(parts, 24, 24), even_odd(rings, 24))


@pytest.mark.parametrize(
    "rings",
    [[square(0, 0, 8), square(4, 4, 8)], [square(0, 0, 8), square(0, 0, 8)], [square(0, 0, 8), square(2, 2, 12)]],
)
def test_rings_that_cross_or_coincide_enclose_the_same_as_one_outline(rings: list[Ring]):
    (part,) = nest(rings)
    assert part.holes == ()
    assert np.array_equal(fill([part], 24, 24), even_odd(rings, 24))


@pytest.mark.parametrize("seed", range(20))
def test_a_ring_twice_encloses_nothing(seed: int):
    ring = np.random.default_rng(seed).uniform(0, 24, (3, 2))
    assert not fill(nest([ring, ring.copy()]), 24, 24).any()


def test_a_chain_of_overlapping_rings_is_one_cluster_whatever_their_order():
    rings = [square(0, 0, 5), square(8, 0, 5), square(4, 1, 5)]
    assert np.array_equal(fill(nest(rings), 16, 16), even_odd(rings, 16))
    assert len(nest(rings)) == 1


def test_a_thousand_islands_stay_apart():
    rings = [square(2.0 * i, 2.0 * j, 1) for i in range(32) for j in range(32)]
    parts = nest(rings)
    assert len(parts) == 1024
    assert all(np.array_equal(part.exterior, ring) for part, ring in zip(parts, rings, strict=True))


def test_points_inside_a_ring_are_told_from_those_outside():
    points = np.array([[4.0, 4.0], [-1.0, 4.0], [9.0, 4.0], [4.0, 9.0], [4.0, -1.0], [7.9, 0.1]])
    assert encloses(square(0, 0, 8), points).tolist() == [True, False, False, False, False, True]
