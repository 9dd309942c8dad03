from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsweep.core import crossings
from segsweep.core.crossings import find_crossings
from segsweep.core.geometry import Part, Ring, bridge

BOW_TIE = np.array([[0.0, 0.0], [2.0, 2.0], [2.0, 0.0], [0.0, 2.0]])
SQUARE = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])

rings = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=12).map(
    lambda points: np.array(points, dtype=np.float64)
)


def by_whole_numbers(ring: Ring) -> set[tuple[int, int]]:
    """Every pair of edges whose ends lie strictly on two sides of each other, in exact arithmetic."""
    points = [(int(x), int(y)) for x, y in ring]
    edges = [(points[i], points[(i + 1) % len(points)]) for i in range(len(points))]

    def side(edge: tuple[tuple[int, int], tuple[int, int]], point: tuple[int, int]) -> int:
        (ax, ay), (bx, by) = edge
        return int(np.sign((bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)))

    return {
        (i, j)
        for j, other in enumerate(edges)
        for i, one in enumerate(edges[:j])
        if side(one, other[0]) * side(one, other[1]) < 0 and side(other, one[0]) * side(other, one[1]) < 0
    }


def test_a_bow_tie_crosses_itself_in_its_middle():
    found = find_crossings([BOW_TIE])
    assert found.edges.tolist() == [[0, 2]]
    assert found.points.tolist() == [[1.0, 1.0]]
    assert found.at.tolist() == [[0.5, 0.5]]


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None, max_examples=300)
@given(rings)
def test_crossings_agree_with_whole_numbers(ring: Ring):
    assert {tuple(pair) for pair in find_crossings([ring]).edges.tolist()} == by_whole_numbers(ring)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(st.lists(rings, min_size=2, max_size=5))
def test_rings_looked_at_together_cross_themselves_as_each_alone_does(several: list[Ring]):
    first = np.cumsum([0, *(len(ring) for ring in several)])
    expected = [
        [int(start + i), int(start + j)]
        for start, ring in zip(first, several, strict=False)
        for i, j in sorted(by_whole_numbers(ring))
    ]
    assert find_crossings(several).edges.tolist() == expected


def test_rings_that_cross_each_other_are_found_on_request_only():
    two = [SQUARE, SQUARE + 2.0]
    assert len(find_crossings(two)) == 0
    assert find_crossings(two, between=True).points.tolist() == [[4.0, 2.0], [2.0, 4.0]]


@pytest.mark.parametrize(
    "ring",
    [
        bridge([Part(SQUARE, (SQUARE / 4 + 1,))]),
        bridge([Part(SQUARE), Part(SQUARE / 3 + [7.1, 0.3])]),
        np.array([[0, 0], [2, 0], [2, 2], [1, 0], [0, 2]]),
        np.array([[0, 0], [1, 1], [2, 2], [1, 1]]),
    ],
    ids=["a hole's bridge", "a part's bridge", "a corner on an edge", "there and back"],
)
def test_touching_is_not_crossing(ring: Ring):
    assert len(find_crossings([ring * (0.1, 0.3) + 0.7])) == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_bridge_does_not_cross_itself_by_rounding(seed: int):
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ring = bridge([Part(circle, (circle / 3 + 0.1,)), Part(circle / 2 + 2.3)]) * rng.uniform(0.01, 1, 2) + rng.random(2)
    on_the_bridge = np.insert(ring, 1, (ring[0] + rng.random() * (ring[1] - ring[0])), axis=0)
    assert len(find_crossings([ring])) == 0
    assert len(find_crossings([np.concatenate([on_the_bridge, ring[::-1]])])) == 0


def test_pairs_are_looked_at_in_chunks_of_any_size(monkeypatch: pytest.MonkeyPatch):
    ring = np.random.default_rng(0).random((40, 2))
    whole = find_crossings([ring])
    monkeypatch.setattr(crossings, "_CHUNK_PAIRS", 7)
    assert find_crossings([ring]).edges.tolist() == whole.edges.tolist()


def test_a_scribble_that_would_take_minutes_is_taken_to_have_no_crossing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(crossings, "MAX_PAIRS", 10)
    assert len(find_crossings([np.random.default_rng(0).random((40, 2))])) == 0
