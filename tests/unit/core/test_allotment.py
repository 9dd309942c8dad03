"""Trials x sqrt(mean cost) stays even over the sizes."""

import math

import pytest

from examples import a_trial, an_ended_trial
from segsweep.core.allotment import next_variant
from segsweep.core.trials import Status
from segsweep.core.variants import VARIANTS, nominal_epoch_cost


def allot(count, epochs):
    """Simulate: every trial ends after its size's number of epochs before the next is allotted."""
    records = []
    for number in range(1, count + 1):
        size = next_variant(records, VARIANTS)
        records.append(an_ended_trial(number, size, {epochs[size]: 0.5}))
    return {size: sum(record.variant == size for record in records) for size in VARIANTS}


@pytest.mark.parametrize(
    "epochs",
    [dict.fromkeys(VARIANTS, 5), {"n": 9, "s": 9, "m": 3, "l": 1, "x": 1}, {"n": 1, "s": 1, "m": 1, "l": 30, "x": 50}],
)
def test_two_hundred_trials_are_shared_by_one_over_sqrt_cost(epochs):
    weights = {size: 1 / math.sqrt(epochs[size] * nominal_epoch_cost(size)) for size in VARIANTS}
    for size, started in allot(200, epochs).items():
        assert abs(started - 200 * weights[size] / sum(weights.values())) <= 1


def test_every_size_starts_once_before_any_starts_twice():
    records = []
    for number in range(1, 6):
        records.append(a_trial(number, next_variant(records, VARIANTS), status=Status.RUNNING))
    assert [record.variant for record in records] == list(VARIANTS)


def test_ties_go_to_the_earlier_size():
    assert next_variant([], ("s", "n")) == "s"
    assert next_variant([a_trial(1, "n"), a_trial(2, "s")], ("x", "l", "m")) == "x"


def test_running_trials_count_as_started_but_tell_no_cost():
    # n's only finished trial took 100 epochs; s has none, so its cost is guessed from the mean of all: 100 too.
    finished = [an_ended_trial(1, "n", {100: 0.5})]
    running = [a_trial(2, "s", status=Status.RUNNING, epoch=1)]
    assert next_variant(finished + running, ("n", "s")) == "n"  # 1 x sqrt(100) < 1 x sqrt(100 x 3.38)
    more = [*finished, a_trial(3, "n", status=Status.RUNNING)]
    assert next_variant(more + running, ("n", "s")) == "s"  # 2 x sqrt(100) > 1 x sqrt(100 x 3.38)


def test_a_trial_that_failed_before_its_first_epoch_counts_as_started_and_tells_no_cost():
    records = [a_trial(1, "n", status=Status.FAILED), an_ended_trial(2, "s", {4: 0.5})]
    # n costs what the mean says, 4 epochs: 1 x sqrt(4) < 1 x sqrt(4 x 3.38); with 0 epochs it would win for ever.
    assert next_variant(records, ("n", "s")) == "n"
    assert next_variant([*records, a_trial(3, "n"), a_trial(4, "n")], ("n", "s")) == "s"


def test_seconds_do_not_matter():
    quick = [an_ended_trial(1, "n", {4: 0.5}, seconds=1.0), an_ended_trial(2, "s", {4: 0.5}, seconds=1.0)]
    slow = [an_ended_trial(1, "n", {4: 0.5}, seconds=9e9), an_ended_trial(2, "s", {4: 0.5}, seconds=1.0)]
    assert next_variant(quick, ("n", "s")) == next_variant(slow, ("n", "s")) == "n"
