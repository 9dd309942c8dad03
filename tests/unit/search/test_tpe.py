"""Suggestions are HyperOptSearch's own, a function of observations, seed and number alone."""

import math
from functools import cache

import numpy as np
import pytest
from hyperopt import hp
from ray.tune.search.hyperopt import HyperOptSearch

from examples import a_job
from segsweep.config.search_space import Distribution
from segsweep.search.tpe import TPE, Observation

SPACE = {
    "lr0": Distribution(loguniform=(1e-4, 1e-1)),
    "mosaic": Distribution(uniform=(0, 1)),
    "optimizer": Distribution(choice=("SGD", "AdamW", "NAdam")),
}


def landscape(point):
    """Best at lr0 0.9, mosaic 0.1, the third optimizer."""
    return abs(point["lr0"] - 0.9) + abs(point["mosaic"] - 0.1) + (point["optimizer"] < 0.6)


@cache
def observations(count):
    points = [TPE(SPACE, 0, 10**6).suggest([], number) for number in range(1, count + 1)]
    return tuple(Observation(point, landscape(point)) for point in points)


def test_a_stateful_searcher_that_is_drawn_alike_suggests_the_same():
    """Ray's own HyperOptSearch, told every result as Tune tells it, is the second implementation.

    Results arrive two trials late, as they do when trials run side by side.
    """
    space = {
        "lr0": hp.uniform("lr0", 0, 1),
        "mosaic": hp.uniform("mosaic", 0, 1),
        "optimizer": hp.choice("optimizer", [1 / 6, 3 / 6, 5 / 6]),
    }
    stateful = HyperOptSearch(space, metric="loss", mode="min", n_initial_points=4)
    tpe, seen = TPE(SPACE, seed=3, startup_trials=4), []
    for number in range(1, 12):
        stateful.rstate = np.random.RandomState(np.random.SeedSequence([3, number]).generate_state(1))
        point = tpe.suggest(seen, number)
        assert point == stateful.suggest(f"t{number}")
        seen.append(Observation(point, None))
        if number > 2:
            late = seen[number - 3]
            seen[number - 3] = Observation(late.point, landscape(late.point))
            stateful.on_trial_complete(f"t{number - 2}", {"loss": landscape(late.point)})


def test_the_same_facts_give_the_same_suggestion_in_a_new_object():
    seen = observations(12)
    assert TPE(SPACE, 0, 8).suggest(seen, 13) == TPE(SPACE, 0, 8).suggest(list(seen), 13)


@pytest.mark.parametrize("count", [0, 12])
def test_seed_and_number_draw_another_suggestion(count):
    seen = observations(count)
    points = [TPE(SPACE, seed, 8).suggest(seen, number) for seed, number in [(0, 13), (0, 14), (1, 13)]]
    assert all(one != other for one, other in zip(points, [*points[1:], points[0]], strict=True))


def test_start_up_suggestions_are_random_whatever_was_observed():
    good = observations(7)
    bad = [Observation(seen.point, -seen.loss) for seen in good]
    assert TPE(SPACE, 0, 8).suggest(good, 8) == TPE(SPACE, 0, 8).suggest(bad, 8) == TPE(SPACE, 0, 8).suggest([], 8)
    assert TPE(SPACE, 0, 7).suggest(good, 8) != TPE(SPACE, 0, 7).suggest(bad, 8)


def test_coordinates_stay_in_the_unit_interval_and_choices_in_the_middle_of_their_option():
    for number in range(13, 16):
        point = TPE(SPACE, 0, 8).suggest(observations(12), number)
        assert list(point) == list(SPACE)
        assert all(type(unit) is float and 0 <= unit <= 1 for unit in point.values())
        assert SPACE["optimizer"].unit(SPACE["optimizer"].value(point["optimizer"])) == point["optimizer"]


def test_an_option_is_a_category_wherever_in_its_interval_it_was_observed():
    seen = observations(12)
    moved = [
        Observation({**one.point, "optimizer": one.point["optimizer"] + shift}, one.loss)
        for one, shift in zip(seen, [0.16, -0.16] * 6, strict=True)
    ]
    assert TPE(SPACE, 0, 8).suggest(moved, 13) == TPE(SPACE, 0, 8).suggest(seen, 13)


def test_the_ends_of_the_interval_and_a_single_option_can_be_observed():
    space = {**SPACE, "cos_lr": Distribution(choice=(True,))}
    ends = [Observation({"lr0": end, "mosaic": end, "optimizer": end, "cos_lr": end}, end) for end in [0.0, 1.0] * 5]
    assert TPE(space, 0, 8).suggest(ends, 11)["cos_lr"] == 0.5


def test_rewritten_losses_change_the_suggestion():
    seen = observations(12)
    rewritten = [Observation(one.point, -one.loss) for one in seen]
    assert TPE(SPACE, 0, 8).suggest(rewritten, 13) != TPE(SPACE, 0, 8).suggest(seen, 13)


@pytest.mark.parametrize("loss", [None, math.nan])
def test_trials_without_a_comparable_value_are_survived(loss):
    seen = [Observation(one.point, loss) for one in observations(9)]
    assert TPE(SPACE, 0, 8).suggest(seen, 10).keys() == SPACE.keys()


@pytest.mark.slow(reason="forty suggestions of 20 ms")
@pytest.mark.timeout(30)
def test_suggestions_gather_where_losses_are_small():
    seen = []
    for number in range(1, 41):
        point = TPE(SPACE, 0, 8).suggest(seen, number)
        seen.append(Observation(point, landscape(point)))
    losses = [one.loss for one in seen]
    assert np.mean(losses[20:]) < 0.6 * np.mean(losses[:8])
    assert min(losses[8:]) < 0.1 * min(losses[:8])


def test_every_shipped_kind_of_distribution_can_be_searched():
    job = a_job(
        {
            "lr0": {"loguniform": [1e-4, 1e-1]},
            "mosaic": {"uniform": [0.0, 1.0]},
            "batch": {"quniform": [8, 32, 8]},
            "cos_lr": {"choice": [False, True]},
        }
    )
    params = job.space.params(TPE(job.space.distributions, 0, 8).suggest([], 1), "n")
    assert {name: type(value) for name, value in params.items()} == {
        "lr0": float,
        "mosaic": float,
        "batch": int,
        "cos_lr": bool,
    }
