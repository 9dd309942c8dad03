"""Who goes on after a milestone: closed forms, Ray's own ASHA as a second implementation, ties and NaN."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from examples import quick
from segsweep.core.rungs import Ranking, goes_on, milestones

VALUES = st.one_of(st.floats(0, 1), st.integers(0, 8).map(lambda eighths: eighths / 8))


@pytest.mark.parametrize(
    ("grace", "factor", "horizon", "expected"),
    [
        (1, 3, 9, (1, 3)),
        (1, 3, 10, (1, 3, 9)),
        (1, 3, 243, (1, 3, 9, 27, 81)),
        (1, 3, 244, (1, 3, 9, 27, 81, 243)),
        (3, 3, 81, (3, 9, 27)),
        (4, 3, 50, (4, 12, 36)),
        (1, 10, 1000, (1, 10, 100)),
        (1, 2, 1, ()),
        (5, 2, 5, ()),
        (5, 2, 6, (5,)),
    ],
)
def test_milestones_multiply_up_to_the_horizon_and_leave_it_out(grace, factor, horizon, expected):
    assert milestones(grace, factor, horizon) == expected


@quick
@given(st.integers(1, 10), st.integers(2, 10), st.integers(1, 3000))
def test_milestones_are_every_power_below_the_horizon(grace, factor, beyond):
    horizon = grace + beyond
    powers = [grace * factor**power for power in range(20)]
    assert milestones(grace, factor, horizon) == tuple(epoch for epoch in powers if epoch < horizon)


@pytest.mark.parametrize("arguments", [(0, 3, 9), (1, 1, 9), (10, 3, 9)])
def test_impossible_milestones_are_refused(arguments):
    with pytest.raises(ValueError, match="must hold"):
        milestones(*arguments)


@pytest.mark.parametrize(
    ("value", "others", "factor", "expected"),
    [
        (0.0, [], 3, True),  # the first of a group
        (0.2, [0.1], 3, True),
        (0.1, [0.1], 3, True),  # a tie
        (0.0, [0.1], 3, False),
        (0.5, [0.0, 1.0], 2, True),  # the median of two is their mean
        (0.49, [0.0, 1.0], 2, False),
        (0.3, [0.1, 0.2, 0.3, 0.4], 3, True),  # two thirds of the way from first to fourth: the third
        (0.29, [0.1, 0.2, 0.3, 0.4], 3, False),
        (0.5, [0.0, 0.25, 1.0], 4, False),  # at 1.5: half way from 0.25 to 1
        (0.625, [0.0, 0.25, 1.0], 4, True),
        (0.0, [0.0] * 50, 3, True),  # early on every mAP is 0: nobody is stopped
    ],
)
def test_a_value_goes_on_from_the_quantile_up(value, others, factor, expected):
    assert goes_on(value, dict(enumerate(others)), factor) is expected


def test_a_tie_goes_on_where_a_float_quantile_would_stop_it():
    # 1 - 1/3 of 15 steps is 10.000000000000002 in floats: NumPy's quantile lies above the eleventh value.
    others = dict(enumerate([0.0] * 11 + [0.1, 0.2, 0.3, 0.4, 0.5]))
    assert np.quantile(list(others.values()), 1 - 1 / 3) > 0.0
    assert goes_on(0.0, others, 3)


@quick
@given(st.lists(VALUES, min_size=1), st.integers(2, 6))
def test_a_value_equal_to_all_others_goes_on(values, factor):
    assert goes_on(values[0], dict.fromkeys(range(len(values)), values[0]), factor)


@quick
@given(st.lists(VALUES, min_size=1), st.integers(2, 6), VALUES, VALUES)
def test_a_better_value_never_stops_where_a_worse_one_goes_on(others, factor, one, other):
    recorded = dict(enumerate(others))
    assert goes_on(max(one, other), recorded, factor) >= goes_on(min(one, other), recorded, factor)


def test_nan_never_goes_on_and_counts_as_zero_for_others():
    assert not goes_on(math.nan, {}, 3)
    assert not goes_on(math.nan, {"a": 0.0}, 3)
    assert goes_on(0.0, {"a": math.nan}, 3)
    assert not goes_on(0.2, {"a": math.nan, "b": 0.5}, 2)  # the median is 0.25
    assert goes_on(0.25, {"a": math.nan, "b": 0.5}, 2)


@pytest.mark.parametrize("decimals", [1, 2, 9])
@pytest.mark.parametrize(("grace", "factor"), [(1, 2), (1, 3), (2, 3), (4, 4), (1, 5)])
@pytest.mark.parametrize("seed", range(3))
def test_decisions_are_those_of_rays_asha(seed, grace, factor, decimals):
    """Any interleaving of twelve trials, many ties and few; within 1e-12 of the cutoff Ray's rounding decides."""
    draw, horizon = np.random.default_rng(seed), 28
    asha = AsyncHyperBandScheduler("epoch", "map", "max", horizon, grace, factor, stop_last_trials=False)
    trials = [SimpleNamespace(trial_id=str(index)) for index in range(12)]
    for trial in trials:
        asha.on_trial_add(None, trial)
    recorded = {milestone: {} for milestone in milestones(grace, factor, horizon)}
    epochs = dict.fromkeys(range(len(trials)), 0)
    while epochs:
        index = int(draw.choice(list(epochs)))
        epochs[index] += 1
        epoch, value = epochs[index], round(float(draw.random()), decimals)
        action = asha.on_trial_result(None, trials[index], {"epoch": epoch, "map": value})
        decision = True
        if epoch in recorded:
            others = list(recorded[epoch].values())
            decision = goes_on(value, recorded[epoch], factor)
            recorded[epoch][index] = value
            if not others or abs(value - np.quantile(others, 1 - 1 / factor)) > 1e-12:
                assert decision == (action != TrialScheduler.STOP)
        if not decision or epoch == horizon:
            del epochs[index]


@pytest.mark.parametrize(
    ("value", "group", "expected"),
    [
        (0.5, [0.5], 1.0),
        (0.3, [0.1, 0.2, 0.3], 1.0),
        (0.1, [0.1, 0.2, 0.3], 1 / 3),
        (0.2, [0.1, 0.2, 0.2, 0.3], (1 + 1.5) / 4),
        (0.0, [0.0, 0.0, 0.0], 2 / 3),
        (math.nan, [math.nan, 0.0], 1 / 2),
        (0.0, [math.nan, 0.0], 1.0),
        (math.nan, [math.nan, math.nan, 0.0], 1.5 / 3),
    ],
)
def test_rank_is_the_mean_place_among_equals(value, group, expected):
    assert Ranking(group).rank(value) == expected


@quick
@given(st.lists(VALUES, min_size=1))
def test_rank_agrees_with_places_in_sorted_order(values):
    for value, places in itertools.groupby(enumerate(sorted(values), start=1), key=lambda item: item[1]):
        found = [place for place, _ in places]
        assert Ranking(values).rank(value) == pytest.approx(sum(found) / len(found) / len(values))
    assert sum(Ranking(values).rank(value) for value in values) == pytest.approx((len(values) + 1) / 2)
