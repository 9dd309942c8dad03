"""Every report becomes one change of the ledger and one answer to Ray; its own ASHA keeps its rungs over a restart."""

import json
import math
import pickle
import random
import threading
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from examples import a_trial, an_ended_trial
from segsweep.core.ledger import Horizon, Ledger
from segsweep.core.metrics import OBJECTIVE
from segsweep.core.rungs import milestones
from segsweep.core.trials import Status, TrialRecord
from segsweep.search.scheduler import TRIAL_ERROR, LedgerScheduler, ray_asha_rule

HORIZON = Horizon(max_epochs=9, grace_epochs=1, reduction_factor=3)


def rays(record, **facts):
    """Ray's trial for a record."""
    facts = {"status": "RUNNING", "ERROR": "ERROR", **facts}
    return SimpleNamespace(config={"record": record.to_json()}, **facts)


def row(epoch, value):
    return {"epoch": epoch, OBJECTIVE: value, "seconds": 1.0}


def scheduler_of(records, rule=None, is_over=lambda: False):
    ledger = Ledger(HORIZON, records)
    return LedgerScheduler(ledger, rule, is_over), ledger


@pytest.mark.parametrize(
    ("report", "answer", "status"),
    [
        (row(1, 0.6), TrialScheduler.CONTINUE, Status.RUNNING),
        (row(1, 0.5), TrialScheduler.CONTINUE, Status.RUNNING),  # a tie
        (row(1, 0.4), TrialScheduler.STOP, Status.STOPPED),
        (row(1, math.nan), TrialScheduler.STOP, Status.STOPPED),
        (row(2, 0.0), TrialScheduler.CONTINUE, Status.RUNNING),
        (row(9, 0.0), TrialScheduler.STOP, Status.COMPLETED),
    ],
)
def test_ray_is_told_what_the_ledger_decides(report, answer, status):
    scheduler, ledger = scheduler_of([an_ended_trial(1, "n", {1: 0.5}), a_trial(2)])
    assert scheduler.on_trial_result(None, rays(ledger["t0002"]), report) == answer
    assert ledger["t0002"].status is status


def test_epochs_that_are_told_again_go_on():
    scheduler, ledger = scheduler_of([a_trial(epoch=2, rungs={1: 0.5}, status=Status.RUNNING)])
    for epoch in (1, 2):
        assert scheduler.on_trial_result(None, rays(a_trial()), row(epoch, 0.0)) == TrialScheduler.CONTINUE
    assert ledger["t0001"].rungs == {1: 0.5}


def test_a_report_without_the_objective_is_an_error_not_a_decision():
    scheduler, ledger = scheduler_of([a_trial()])
    with pytest.raises(KeyError, match=OBJECTIVE):
        scheduler.on_trial_result(None, rays(a_trial()), {"epoch": 1, "seconds": 1.0})
    assert ledger["t0001"] == a_trial()


def test_a_trial_that_cannot_go_on_fails_with_its_words():
    scheduler, ledger = scheduler_of([a_trial(epoch=2, rungs={1: 0.5})])
    answer = scheduler.on_trial_result(None, rays(a_trial()), {TRIAL_ERROR: "TrialError: diverged"})
    assert answer == TrialScheduler.STOP
    record = ledger["t0001"]
    assert (record.status, record.error, record.epoch) == (Status.FAILED, "TrialError: diverged", 2)


def test_when_the_sweep_is_over_a_trial_stops_where_it_is_and_stays_unfinished():
    scheduler, ledger = scheduler_of([a_trial()], is_over=lambda: True)
    assert scheduler.on_trial_result(None, rays(a_trial()), row(1, 0.5)) == TrialScheduler.STOP
    assert (ledger["t0001"].status, ledger["t0001"].epoch) == (Status.RUNNING, 1)


def test_is_over_is_asked_after_the_report_has_been_counted():
    seen = []
    scheduler, ledger = scheduler_of([a_trial()], is_over=lambda: bool(seen.append(ledger["t0001"].epoch)))
    scheduler.on_trial_result(None, rays(a_trial()), row(1, 0.5))
    assert seen == [1]


def test_a_worker_that_died_for_good_fails_its_trial_with_what_is_known(tmp_path):
    path = tmp_path / "error.txt"
    path.write_text("Failure # 3 (at noon)\nit fell\n")
    scheduler, ledger = scheduler_of([a_trial(1)])
    scheduler.on_trial_error(None, rays(a_trial(1), error_file=str(path)))
    record = ledger["t0001"]
    assert (record.status, record.error, record.failure) == (Status.FAILED, "the worker died: it fell", "worker died")


def test_a_death_that_ray_tries_again_fails_nobody():
    scheduler, ledger = scheduler_of([a_trial(1)])
    scheduler.on_trial_error(None, rays(a_trial(1), status="ERROR", error_file=None))
    assert ledger["t0001"].status is Status.PENDING


def test_a_worker_that_dies_after_its_trial_has_ended_changes_nothing():
    done = an_ended_trial(1, "n", {9: 0.5}, status=Status.COMPLETED)
    scheduler, ledger = scheduler_of([done])
    scheduler.on_trial_error(None, rays(done, error_file=None))
    assert ledger["t0001"] == done


def test_the_oldest_waiting_trial_runs_next():
    def trial(name, status):
        return SimpleNamespace(name=name, status=status, PENDING="PENDING", PAUSED="PAUSED")

    def next_of(*trials):
        return scheduler_of([])[0].choose_trial_to_run(SimpleNamespace(get_trials=lambda: list(trials)))

    assert next_of(trial("a", "RUNNING"), trial("b", "PAUSED"), trial("c", "PENDING")).name == "b"
    assert next_of(trial("a", "RUNNING"), trial("b", "TERMINATED")) is None
    assert next_of() is None


def test_ray_may_pickle_the_scheduler_and_finds_nothing_in_it():
    ledger = Ledger(HORIZON, on_change=threading.Lock().acquire)
    scheduler = LedgerScheduler(ledger, None, lambda: False)
    assert vars(pickle.loads(pickle.dumps(scheduler))) == {}
    assert scheduler.debug_string() == "0 trials in the ledger"


@pytest.mark.parametrize("factor", range(2, 11))
def test_rays_rungs_are_our_milestones_but_for_the_horizon(factor):
    for grace in (1, 2, 3, 7):
        for horizon in {*range(grace, 60), *(grace * factor**power for power in range(6))}:
            asha = AsyncHyperBandScheduler("epoch", OBJECTIVE, "max", horizon, grace, factor)
            rungs = {milestone for milestone, _ in asha._brackets[0]._rungs}
            assert rungs - {horizon} == set(milestones(grace, factor, horizon))


@pytest.mark.parametrize("seed", range(20))
def test_rays_asha_decides_over_restarts_as_if_it_had_never_been_away(seed):
    """Ray's own scheduler, never restarted, sees every report; ours is rebuilt from JSON one time in five."""
    draw = random.Random(seed)
    asha = AsyncHyperBandScheduler("epoch", OBJECTIVE, "max", 9, 1, 3, stop_last_trials=False)
    ledger = Ledger(HORIZON, [a_trial(number, draw.choice("ns")) for number in range(1, 11)])
    for record in ledger.records:
        asha.on_trial_add(None, SimpleNamespace(trial_id=record.trial_id))
    scheduler = LedgerScheduler(ledger, ray_asha_rule(ledger), lambda: False)
    while running := [record for record in ledger.records if not record.status.is_final]:
        if draw.random() < 0.2:
            texts = [json.dumps(record.to_json()) for record in ledger.records]
            ledger = Ledger(HORIZON, [TrialRecord.from_json(json.loads(text)) for text in texts])
            scheduler = LedgerScheduler(ledger, ray_asha_rule(ledger), lambda: False)
        record = draw.choice(running)
        report = row(record.epoch + 1, draw.random())
        expected = asha.on_trial_result(None, SimpleNamespace(trial_id=record.trial_id), report)
        if report["epoch"] == 9:
            expected = TrialScheduler.STOP  # the end of training, not a decision
        assert scheduler.on_trial_result(None, rays(record), report) == expected


def test_rays_asha_takes_nan_for_zero_and_stops_defaults_like_any_trial():
    ledger = Ledger(HORIZON, [an_ended_trial(1, "n", {1: 0.5}), a_trial(2), a_trial(3, "s", is_default=True)])
    rule = ray_asha_rule(ledger)
    assert ledger.report("t0002", row(1, math.nan), rule).status is Status.STOPPED
    assert ledger.report("t0003", row(1, 0.1), rule).status is Status.STOPPED
    ledger.put(a_trial(4))
    assert ledger.report("t0004", row(1, 0.6), rule).status is Status.RUNNING
    assert ledger.report("t0004", row(2, 0.0), rule).status is Status.RUNNING
