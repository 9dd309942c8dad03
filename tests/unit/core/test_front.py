"""The front's algorithms against closed forms and a second implementation."""

import builtins
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsweep.core.front import cost_matrix, hypervolume, knee, non_dominated, reference_point
from segsweep.errors import MissingExtraError

ACCURACIES, LATENCIES = st.sampled_from([-0.9, -0.5, -0.4, 0.0]), st.sampled_from([1.0, 2.0, 5.0, 9.0])
POINTS = st.lists(st.tuples(ACCURACIES, LATENCIES), max_size=7)


def brute_force_front(costs: np.ndarray) -> list[bool]:
    def dominates(a: np.ndarray, b: np.ndarray) -> bool:
        return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))

    return [not any(dominates(other, row) for other in costs) for row in costs]


def brute_force_area(costs: np.ndarray, reference: tuple[float, float]) -> float:
    """Sum of the cells of the grid spanned by all coordinates that some point covers."""
    xs = sorted({x for x, _ in costs} | {reference[0]})
    ys = sorted({y for _, y in costs} | {reference[1]})
    area = 0.0
    for x0, x1 in itertools.pairwise(xs):
        for y0, y1 in itertools.pairwise(ys):
            inside = x1 <= reference[0] and y1 <= reference[1]
            area += (x1 - x0) * (y1 - y0) * (inside and any(x <= x0 and y <= y0 for x, y in costs))
    return area


def test_costs_minimise_minus_map_and_latency_without_a_negative_zero():
    costs = cost_matrix([0.4, 0.0], [10.0, 5.0])
    assert costs.tolist() == [[-0.4, 10.0], [0.0, 5.0]]
    assert not np.signbit(costs[1, 0])


def test_costs_of_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="2 accuracies for 1 latencies"):
        cost_matrix([0.1, 0.2], [1.0])


@pytest.mark.parametrize(
    ("maps", "latencies", "expected"),
    [
        pytest.param([], [], [], id="none"),
        pytest.param([0.3], [5.0], [True], id="one"),
        pytest.param([0.3, 0.4], [5.0, 9.0], [True, True], id="a trade"),
        pytest.param([0.3, 0.4], [9.0, 5.0], [False, True], id="dominated"),
        pytest.param([0.3, 0.3], [5.0, 5.0], [True, True], id="duplicates are kept together"),
        pytest.param([0.3, 0.3], [5.0, 6.0], [True, False], id="a tie in accuracy goes to the faster"),
        pytest.param([0.3, 0.2], [5.0, 5.0], [True, False], id="a tie in latency goes to the more accurate"),
        pytest.param([np.nan, 0.2], [5.0, 6.0], [False, True], id="NaN is never on the front"),
        pytest.param([np.inf, 0.2], [1.0, 6.0], [False, True], id="an infinity dominates nobody"),
        pytest.param([0.9, 0.2], [-np.inf, 6.0], [False, True], id="nor does a latency of minus infinity"),
        pytest.param([np.nan], [np.inf], [False], id="nothing finite"),
    ],
)
def test_the_front_is_what_nobody_dominates(maps, latencies, expected):
    assert non_dominated(cost_matrix(maps, latencies)).tolist() == expected


@given(POINTS)
def test_the_front_agrees_with_brute_force(points):
    costs = np.asarray(points, np.float64).reshape(-1, 2)
    assert non_dominated(costs).tolist() == brute_force_front(costs)


def test_hypervolume_of_a_staircase_is_the_sum_of_its_rectangles():
    costs = cost_matrix([0.2, 0.5], [10.0, 30.0])
    # To (0, 40): 0.2 x (40 - 10) and 0.5 x (40 - 30), counting the overlap 0.2 x 10 once.
    assert hypervolume(costs, (0.0, 40.0)) == pytest.approx(0.2 * 30 + 0.5 * 10 - 0.2 * 10, abs=1e-12)


@pytest.mark.parametrize(
    ("maps", "latencies"),
    [([], []), ([0.0], [5.0]), ([0.3], [40.0]), ([np.nan], [5.0]), ([np.inf], [5.0]), ([-0.1], [5.0])],
)
def test_hypervolume_counts_nothing_that_does_not_dominate_the_reference(maps, latencies):
    assert hypervolume(cost_matrix(maps, latencies), (0.0, 40.0)) == 0.0


@given(POINTS)
def test_hypervolume_agrees_with_brute_force(points):
    costs = np.asarray(points, np.float64).reshape(-1, 2)
    assert hypervolume(costs, (0.0, 9.5)) == pytest.approx(brute_force_area(costs, (0.0, 9.5)), abs=1e-9)


def test_hypervolume_without_moocore_names_the_extra(monkeypatch):
    real_import = builtins.__import__

    def without_moocore(name, *args, **kwargs):
        if name == "moocore":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_moocore)
    with pytest.raises(MissingExtraError, match=r"segsweep\[train\]"):
        hypervolume(cost_matrix([0.3], [5.0]), (0.0, 40.0))


def test_the_reference_point_is_map_zero_and_a_tenth_beyond_the_slowest():
    reference = reference_point(cost_matrix([0.3, 0.1, 0.2], [5.0, 20.0, np.nan]))
    assert reference == (0.0, pytest.approx(22.0))
    assert str(reference[0]) == "0.0"  # not -0.0, which would look odd in facts.json


def test_a_reference_point_of_nothing_is_refused():
    with pytest.raises(ValueError, match="finite"):
        reference_point(cost_matrix([np.nan], [5.0]))


@pytest.mark.parametrize(
    ("maps", "latencies", "expected"),
    [
        pytest.param([], [], None, id="none"),
        pytest.param([np.nan], [1.0], None, id="nothing finite"),
        pytest.param([0.3], [5.0], 0, id="one point is its own knee"),
        pytest.param([0.3, 0.3], [5.0, 5.0], 0, id="copies of one point: the first"),
        pytest.param([0.3, 0.4], [5.0, 9.0], 1, id="of two points the more accurate"),
        pytest.param([0.3, 0.45, 0.5], [1.0, 2.0, 9.0], 1, id="the bend"),
        pytest.param([0.3, 0.32, 0.5], [1.0, 8.0, 9.0], 2, id="a front that bends inwards: the more accurate extreme"),
        pytest.param([0.1, 0.45, 0.2, 0.5], [9.0, 2.0, 1.0, 9.0], 1, id="dominated points do not move the chord"),
    ],
)
def test_the_knee_is_farthest_from_the_chord(maps, latencies, expected):
    assert knee(cost_matrix(maps, latencies)) == expected


def test_the_knee_does_not_depend_on_units():
    maps, latencies = [0.30, 0.41, 0.44, 0.46], [1.0, 3.0, 4.0, 20.0]
    rows = {knee(cost_matrix([m * a for m in maps], [t * b for t in latencies])) for a in (1, 100) for b in (1e-3, 1e3)}
    assert rows == {2}
