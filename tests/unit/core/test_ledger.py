"""The sweep's memory: one change a report, and a rebuilt ledger decides as one that has never been away."""

import json
import math
import random

import pytest

from examples import a_trial, an_ended_trial
from segsweep.core.ledger import Horizon, Ledger
from segsweep.core.metrics import OBJECTIVE
from segsweep.core.trials import Status, TrialRecord

HORIZON = Horizon(max_epochs=9, grace_epochs=1, reduction_factor=3)


def row(epoch, value, seconds=1.0):
    return {"epoch": epoch, OBJECTIVE: value, "seconds": seconds}


def rebuilt(ledger):
    """The ledger as a new process would read it from the run's folder."""
    texts = [json.dumps(record.to_json()) for record in ledger.records]
    return Ledger(ledger.horizon, [TrialRecord.from_json(json.loads(text)) for text in reversed(texts)])


def test_levels_are_the_milestones_and_the_horizon():
    assert HORIZON.milestones == (1, 3)
    assert HORIZON.levels == (1, 3, 9)
    assert Horizon(1, 1, 3).levels == (1,)


def test_a_report_is_kept_whole():
    ledger = Ledger(HORIZON, [a_trial()])
    ledger.report("t0001", row(1, 0.2, seconds=1.5))
    ledger.report("t0001", row(2, 0.4, seconds=2.0))
    record = ledger.report("t0001", row(3, 0.3, seconds=2.5))
    assert record is ledger["t0001"]
    assert (record.epoch, record.seconds, record.rungs) == (3, 6.0, {1: 0.2, 3: 0.3})
    assert (record.mask_map50_95, record.best_epoch, record.status) == (0.4, 2, Status.RUNNING)


def test_an_equal_value_later_is_not_better():
    ledger = Ledger(HORIZON, [a_trial()])
    ledger.report("t0001", row(1, 0.4))
    assert ledger.report("t0001", row(2, 0.4)).best_epoch == 1


def test_report_and_decision_are_one_change():
    changes = []
    ledger = Ledger(HORIZON, [an_ended_trial(1, "n", {1: 0.5}), a_trial(2)], on_change=changes.append)
    ledger.report("t0002", row(1, 0.1))
    assert [(change.epoch, change.rungs, change.status) for change in changes] == [(1, {1: 0.1}, Status.STOPPED)]


def test_a_change_is_told_before_anyone_acts_on_it():
    def fail(record):
        raise OSError("disk full")

    ledger = Ledger(HORIZON, [a_trial()], on_change=fail)
    with pytest.raises(OSError, match="disk full"):
        ledger.report("t0001", row(1, 0.5))
    assert ledger["t0001"] == a_trial()


def test_known_epochs_change_nothing():
    changes = []
    before = a_trial(epoch=3, rungs={1: 0.2, 3: 0.3}, mask_map50_95=0.3, best_epoch=3, seconds=3.0)
    ledger = Ledger(HORIZON, [before], on_change=changes.append)
    for epoch in (1, 2, 3):
        assert ledger.report("t0001", row(epoch, 0.9)) == before
    assert changes == []
    assert ledger.report("t0001", row(4, 0.9)).epoch == 4


@pytest.mark.parametrize("missing", ["epoch", OBJECTIVE, "seconds"])
def test_a_missing_metric_never_decides_silently(missing):
    ledger = Ledger(HORIZON, [a_trial()])
    with pytest.raises(KeyError, match=missing):
        ledger.report("t0001", {name: value for name, value in row(1, 0.5).items() if name != missing})
    assert ledger["t0001"] == a_trial()


def test_a_report_of_nobody_is_refused():
    with pytest.raises(KeyError, match="t0009"):
        Ledger(HORIZON).report("t0009", row(1, 0.5))


def test_a_trial_that_reaches_the_horizon_is_completed_however_bad():
    ledger = Ledger(HORIZON, [an_ended_trial(1, "n", {9: 0.9}, status=Status.COMPLETED), a_trial(2, epoch=8)])
    record = ledger.report("t0002", row(9, 0.0))
    assert (record.status, record.rungs) == (Status.COMPLETED, {9: 0.0})


def test_a_horizon_of_one_epoch_completes_at_once():
    assert Ledger(Horizon(1, 1, 3), [a_trial()]).report("t0001", row(1, 0.0)).status is Status.COMPLETED


def test_a_trial_is_compared_within_its_own_size_only():
    ledger = Ledger(HORIZON, [an_ended_trial(1, "x", {1: 0.9}), a_trial(2, "n"), a_trial(3, "n")])
    assert ledger.report("t0002", row(1, 0.2)).status is Status.RUNNING
    assert ledger.report("t0003", row(1, 0.1)).status is Status.STOPPED


def test_a_default_is_never_stopped_but_counts_for_others():
    ledger = Ledger(HORIZON, [an_ended_trial(1, "n", {1: 0.9}), a_trial(2, is_default=True), a_trial(3)])
    for epoch, value in [(1, 0.5), (2, 0.0), (3, math.nan)]:
        assert ledger.report("t0002", row(epoch, value)).status is Status.RUNNING
    assert ledger.report("t0003", row(1, 0.7)).status is Status.STOPPED  # two thirds from 0.5 to 0.9


def test_between_milestones_nobody_is_stopped():
    ledger = Ledger(HORIZON, [an_ended_trial(1, "n", {1: 0.9, 3: 0.9}), a_trial(2, epoch=1, rungs={1: 0.9})])
    assert ledger.report("t0002", row(2, 0.0)).status is Status.RUNNING
    assert ledger.report("t0002", row(3, 0.0)).status is Status.STOPPED


def test_nan_stops_and_is_no_best_value():
    record = Ledger(HORIZON, [a_trial()]).report("t0001", row(1, math.nan))
    assert (record.status, record.mask_map50_95, record.best_epoch) == (Status.STOPPED, None, None)
    assert math.isnan(record.rungs[1])


def test_another_rule_decides_in_place_of_ours_and_sees_the_epoch():
    asked = []
    ledger = Ledger(HORIZON, [a_trial()])
    record = ledger.report("t0001", row(1, 0.5), rule=lambda record: asked.append(record) or False)
    assert [(record.epoch, record.rungs) for record in asked] == [(1, {1: 0.5})]
    assert record.status is Status.STOPPED


def test_records_stand_in_order_of_proposal_whatever_the_order_they_are_read_in():
    ledger = Ledger(HORIZON, [a_trial(10), a_trial(2), a_trial(1)])
    ledger.report("t0002", row(1, 0.5))
    ledger.put(a_trial(11))
    assert [record.number for record in ledger.records] == [1, 2, 10, 11]
    assert len(ledger) == 4


def test_a_status_is_told_and_keeps_what_was_learnt():
    changes = []
    ledger = Ledger(HORIZON, [a_trial(epoch=3, rungs={1: 0.2})], on_change=changes.append)
    record = ledger.set_status("t0001", Status.FAILED, "out of memory")
    assert (record.status, record.error, record.epoch, record.rungs) == (Status.FAILED, "out of memory", 3, {1: 0.2})
    assert changes == [record]


def test_a_lost_machine_is_counted_and_the_trial_waits_with_all_it_had_learnt():
    ledger = Ledger(HORIZON, [a_trial(1, epoch=2, rungs={1: 0.5}, status=Status.RUNNING)])
    ledger.preempted("t0001")
    ledger.set_status("t0001", Status.RUNNING)
    record = ledger.preempted("t0001")
    assert record == rebuilt(ledger)["t0001"]
    assert (record.status, record.preemptions, record.epoch, record.rungs) == (Status.PENDING, 2, 2, {1: 0.5})


def test_gpu_time_adds_up_over_trials_and_statuses():
    failed = a_trial(2, seconds=10.0, gpus=1, status=Status.FAILED)
    assert Ledger(HORIZON, [a_trial(1, seconds=100.0, gpus=0.25), failed, a_trial(3)]).gpu_seconds == 35.0


@pytest.mark.parametrize("seed", range(40))
def test_a_ledger_rebuilt_at_any_point_decides_as_one_that_was_never_away(seed):
    """The heart of exact resume: after a kill the workers report from their last checkpoints, known epochs included."""
    draw = random.Random(seed)
    values = {number: [draw.choice([0.0, draw.random(), math.nan]) for _ in range(9)] for number in range(1, 9)}
    trials = [a_trial(number, draw.choice("ns"), is_default=number == 1) for number in values]
    whole, resumed = Ledger(HORIZON, trials), Ledger(HORIZON, trials)
    while True:
        running = [record for record in whole.records if not record.status.is_final]
        if not running:
            break
        if draw.random() < 0.2:
            resumed = rebuilt(resumed)
            for record in running:
                for epoch in range(1, record.epoch + 1):
                    resumed.report(record.trial_id, row(epoch, draw.random()))
        record = draw.choice(running)
        report = row(record.epoch + 1, values[record.number][record.epoch], seconds=draw.random())
        told, again = whole.report(record.trial_id, report), resumed.report(record.trial_id, report)
        assert json.dumps(again.to_json()) == json.dumps(told.to_json())
