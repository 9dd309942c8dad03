"""What the searcher learns from: a hand-computed table, order by budget, and no trace of a size's scale."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import a_trial, an_ended_trial, quick
from segsweep.core.losses import pooled_losses
from segsweep.core.trials import Status

LEVELS = (1, 3, 9)


def test_two_sizes_by_hand():
    records = [
        an_ended_trial(1, "n", {1: 0.1, 3: 0.3, 9: 0.5}, status=Status.COMPLETED),
        an_ended_trial(2, "n", {1: 0.2, 3: 0.2}),
        an_ended_trial(3, "n", {1: 0.05}),
        a_trial(4, "n", status=Status.FAILED),  # before its first rung: the worst there is
        a_trial(5, "n", status=Status.RUNNING),  # nothing to compare yet
        an_ended_trial(6, "s", {1: 0.01}),
        an_ended_trial(7, "s", {1: 0.02}, status=Status.FAILED),  # failed after a rung: what it showed stands
        an_ended_trial(8, "s", {1: 0.02, 3: math.nan}),
    ]
    assert pooled_losses(records, LEVELS) == {
        "t0001": -(2 + 1.0),  # alone at 9
        "t0002": -(1 + 0.5),  # the worse of two at 3
        "t0003": -(0 + 1 / 3),  # the worst of three at 1
        "t0004": 0.0,
        "t0006": -(0 + 1 / 3),
        "t0007": -(0 + 2.5 / 3),  # shares the first two of three places at 1
        "t0008": -(1 + 1.0),
    }


def test_no_trials_have_no_losses():
    assert pooled_losses([], LEVELS) == {}


def test_a_rung_that_is_nan_is_the_worst_of_its_group():
    records = [an_ended_trial(1, "n", {1: math.nan}), an_ended_trial(2, "n", {1: 0.0})]
    assert pooled_losses(records, LEVELS) == {"t0001": -0.5, "t0002": -1.0}


@st.composite
def sweeps(draw):
    """Trials of two sizes that have come to any rung."""
    values = st.integers(0, 8).map(lambda eighths: eighths / 8)
    rows = draw(st.lists(st.tuples(st.sampled_from("ns"), st.lists(values, max_size=3)), min_size=1, max_size=12))
    return [
        an_ended_trial(number, size, dict(zip(LEVELS, reached, strict=False)))
        for number, (size, reached) in enumerate(rows, start=1)
    ]


@quick
@given(sweeps())
def test_a_trial_that_came_further_is_always_better(records):
    losses = pooled_losses(records, LEVELS)
    for record in records:
        if record.rungs:
            assert -len(record.rungs) <= losses[record.trial_id] < -(len(record.rungs) - 1)
        else:
            assert record.trial_id not in losses


@quick
@given(sweeps(), st.sampled_from([0.25, 2.0, 1024.0]))
def test_a_size_that_scores_higher_all_along_changes_no_loss(records, factor):
    scaled = [
        replace(record, rungs={epoch: value * factor for epoch, value in record.rungs.items()})
        if record.variant == "s"
        else record
        for record in records
    ]
    assert pooled_losses(scaled, LEVELS) == pooled_losses(records, LEVELS)


def test_a_later_trial_rewrites_the_loss_of_an_earlier_one():
    first = an_ended_trial(1, "n", {1: 0.1})
    assert pooled_losses([first], LEVELS)["t0001"] == -1.0
    assert pooled_losses([first, an_ended_trial(2, "n", {1: 0.2})], LEVELS)["t0001"] == -0.5
    assert pooled_losses([first, an_ended_trial(2, "s", {1: 0.2})], LEVELS)["t0001"] == -1.0


def test_a_rung_of_another_horizon_is_not_compared():
    assert pooled_losses([an_ended_trial(1, "n", {2: 0.9})], LEVELS) == {}


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.STOPPED])
def test_only_a_failure_without_rungs_counts_as_the_worst(status):
    assert pooled_losses([a_trial(status=status)], LEVELS) == {}
