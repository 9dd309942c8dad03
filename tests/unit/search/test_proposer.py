"""The next trial is a function of the records: who comes first, what is learnt, and in whose units."""

import json
from dataclasses import replace

import numpy as np
import pytest

from examples import a_job, a_trial, an_ended_trial
from segsweep.config.search_space import Distribution
from segsweep.core.losses import pooled_losses
from segsweep.core.trials import Status, TrialRecord
from segsweep.search.proposer import PlainProposer, PooledProposer, make_proposer
from segsweep.search.tpe import TPE, Observation

INSIDE = {"lr0": {"loguniform": [1e-4, 1e-1]}, "mosaic": {"uniform": [0.0, 1.0]}}
OUTSIDE = {"lr0": {"loguniform": [1e-4, 1e-3]}, "mosaic": {"uniform": [0.0, 1.0]}}


# TPE proposes from the fourth trial beside the defaults on.
POOLED = {"startup_trials": 3}
PLAIN = {"startup_trials": 3, "policy": "plain"}


def trained(number, proposal, value):
    """The proposal as a record that has come to the last rung but one with this value."""
    return an_ended_trial(
        number,
        proposal.variant,
        {1: value, 3: value},
        params=proposal.params,
        unit=proposal.unit,
        is_default=proposal.is_default,
    )


def run(job, count, value=lambda unit: 0.5 if unit is None else unit["lr0"]):
    """Propose and train one after another."""
    records = []
    for number in range(1, count + 1):
        proposal = make_proposer(job).propose(records, number)
        records.append(trained(number, proposal, value(proposal.unit)))
    return records


def test_the_job_names_the_policy():
    assert isinstance(make_proposer(a_job()), PooledProposer)
    assert isinstance(make_proposer(a_job(search={"policy": "plain"})), PlainProposer)


@pytest.mark.parametrize("policy", ["pooled", "plain"])
@pytest.mark.parametrize(("space", "unit"), [(INSIDE, {"lr0": pytest.approx(2 / 3), "mosaic": 1.0}), (OUTSIDE, None)])
def test_every_sizes_first_trial_is_what_a_user_gets_without_a_search(policy, space, unit):
    job = a_job(space, variants=["n", "s", "x"], search={"policy": policy})
    records = run(job, 5)
    assert [(r.variant, r.is_default) for r in records[:3]] == [("n", True), ("s", True), ("x", True)]
    assert all((r.params, r.unit) == ({"lr0": 0.01, "mosaic": 1.0}, unit) for r in records[:3])
    assert not any(record.is_default for record in records[3:])


def test_a_default_that_failed_is_not_tried_again():
    failed = a_trial(1, "n", is_default=True, status=Status.FAILED, unit=None)
    proposal = make_proposer(a_job(OUTSIDE, variants=["n"])).propose([failed], 2)
    assert not proposal.is_default


@pytest.mark.parametrize("policy", ["pooled", "plain"])
def test_the_same_records_give_the_same_proposal_in_another_process(policy):
    search = {"startup_trials": 3, "policy": policy}
    job, again = a_job(INSIDE, search=search), a_job(INSIDE, search=search)
    records = run(job, 6)
    there = [TrialRecord.from_json(json.loads(json.dumps(record.to_json()))) for record in records]
    assert make_proposer(again).propose(there, 7) == make_proposer(job).propose(records, 7)
    assert make_proposer(job).propose(records, 8) != make_proposer(job).propose(records, 7)


@pytest.mark.parametrize("policy", ["pooled", "plain"])
@pytest.mark.parametrize("space", [INSIDE, OUTSIDE])
def test_start_up_trials_are_random_and_do_not_count_the_defaults(policy, space):
    """With the same draws, a proposer that never learns says the same until then, and something else after."""
    job = a_job(space, search={"policy": policy, "startup_trials": 3})
    never = a_job(space, search={"policy": policy, "startup_trials": 10**6})
    records = run(job, 7)
    learnt = [
        make_proposer(never).propose(records[: record.number - 1], record.number).unit != record.unit
        for record in records
    ]
    assert learnt == [False] * 5 + [True] * 2


def test_pooled_learns_from_ranks_within_the_size():
    job = a_job(INSIDE, search=POOLED)
    records = [*run(job, 6), a_trial(7, "s", unit={"lr0": 0.3, "mosaic": 0.3}, status=Status.RUNNING)]
    losses = pooled_losses(records, (1, 3, 9))
    assert len(losses) == 6
    seen = [Observation(record.unit, losses.get(record.trial_id)) for record in records]
    proposal = make_proposer(job).propose(records, 8)
    assert proposal.unit == TPE(job.space.distributions, 0, 5).suggest(seen, 8)
    assert proposal.params == job.space.params(proposal.unit, proposal.variant)


def test_pooled_proposes_the_same_however_high_a_size_scores():
    job = a_job(INSIDE, search=POOLED)
    records = run(job, 8)
    scaled = [
        replace(record, rungs={epoch: value * 1024 for epoch, value in record.rungs.items()})
        if record.variant == "s"
        else record
        for record in records
    ]
    assert make_proposer(job).propose(scaled, 9) == make_proposer(job).propose(records, 9)
    plain = a_job(INSIDE, search=PLAIN)
    assert make_proposer(plain).propose(scaled, 9) != make_proposer(plain).propose(records, 9)


def test_a_later_result_changes_what_is_proposed():
    job = a_job(INSIDE, search=POOLED)
    records = run(job, 8)
    worst_is_best = [replace(record, rungs={1: 1 - record.rungs[1], 3: 1 - record.rungs[3]}) for record in records]
    assert make_proposer(job).propose(worst_is_best, 9) != make_proposer(job).propose(records, 9)


def test_a_failed_trial_is_learnt_as_the_worst():
    job = a_job(INSIDE, variants=["n"], search=POOLED)
    records = run(job, 8)
    best = max(records, key=lambda record: record.rungs[1])
    failed = [replace(r, rungs={}, status=Status.FAILED) if r is best else r for r in records]
    worst = [replace(r, rungs={1: -1.0}) if r is best else r for r in records]
    as_it_was, as_failed, as_worst = (make_proposer(job).propose(known, 9) for known in (records, failed, worst))
    assert as_failed == as_worst != as_it_was


def test_a_sizes_own_range_is_a_change_of_units():
    own = {**INSIDE, "per_variant": {"x": {"lr0": {"loguniform": [1e-5, 1e-2]}}}}
    same, changed = (a_job(space, variants=["n", "x"], search=POOLED) for space in (INSIDE, own))
    # The defaults lie elsewhere in units of their own, so both jobs are shown the same points.
    records = [r for r in run(same, 8) if r.variant == "n"] + [a_trial(9, "x", is_default=True, unit=None)]
    one, other = (PooledProposer(job).propose(records, 10) for job in (same, changed))
    assert (one.variant, other.variant) == ("x", "x")
    assert other.unit == one.unit
    assert other.params["mosaic"] == one.params["mosaic"]
    assert other.params["lr0"] == pytest.approx(one.params["lr0"] / 10)


@pytest.mark.slow(reason="forty proposals of 20 ms")
@pytest.mark.timeout(30)
def test_what_is_good_for_n_is_proposed_for_x():
    """x has shown nothing but its default; its next trial starts where n has found the best values."""
    job = a_job(INSIDE, variants=["n", "x"])
    near = [
        an_ended_trial(n, "n", {1: 1 - abs(unit - 0.9), 3: 1 - abs(unit - 0.9)}, unit={"lr0": unit, "mosaic": mosaic})
        for n, (unit, mosaic) in enumerate(np.random.default_rng(0).random((30, 2)).tolist(), start=1)
    ]
    records = [*near, an_ended_trial(31, "x", {1: 0.1}, is_default=True, unit=None)]
    proposals = [make_proposer(job).propose(records, number) for number in range(32, 42)]
    assert {proposal.variant for proposal in proposals} == {"x"}
    assert np.mean([abs(proposal.unit["lr0"] - 0.9) for proposal in proposals]) < 0.15  # a random one: 0.41


def test_plain_takes_the_size_as_one_more_choice_and_the_last_value_as_the_loss():
    job = a_job(INSIDE, search=PLAIN)
    records = [
        *run(job, 6),
        a_trial(7, "s", unit={"lr0": 0.3, "mosaic": 0.3}, status=Status.FAILED, rungs={1: 2.0}),
        a_trial(8, "s", unit={"lr0": 0.4, "mosaic": 0.4}, status=Status.RUNNING, rungs={1: 0.9}),
        a_trial(9, "n", unit=None, status=Status.COMPLETED, rungs={1: 0.9}),
    ]
    space = {"variant": Distribution(choice=("n", "s")), **job.space.distributions}
    seen = [
        Observation({"variant": {"n": 0.25, "s": 0.75}[record.variant], **record.unit}, loss)
        for record, loss in zip(records, [*(-record.rungs[3] for record in records[:6]), 0.0, None], strict=False)
    ]
    for number in (10, 11, 12):
        proposal = make_proposer(job).propose(records, number)
        unit = TPE(space, 0, 5).suggest(seen, number)
        assert proposal.variant == {0.25: "n", 0.75: "s"}[unit.pop("variant")]
        assert proposal.unit == unit
        assert proposal.params == job.space.params(unit, proposal.variant)
