"""What a driver does before its first trial and after its last."""

import json
from dataclasses import replace

import pytest

from examples import a_job, a_trial, an_ended_trial
from segsweep.core.allowance import Allowance
from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status
from segsweep.errors import DamagedRunError, InterruptedSweepError, RunError, StorageError
from segsweep.storage.local import LocalStore
from segsweep.storage.run_folder import RunFolder
from segsweep.sweep.run import _allowance, _changes, _forgive, _session


def failed(number, failure="OSError"):
    return a_trial(number, status=Status.FAILED, error="why", failure=failure, ended=number)


@pytest.mark.parametrize(("most", "status"), [(2, Status.PENDING), (3, Status.FAILED)])
def test_a_row_of_failures_that_ended_a_session_is_tried_again(most, status):
    ledger = Ledger(a_job().job.horizon, [failed(1, "ValueError"), failed(2), failed(3)])
    _forgive(ledger, most, Allowance(9, None))
    assert [record.status for record in ledger.records] == [Status.FAILED, status, status]


def test_a_row_keeps_its_reasons_where_no_gpu_time_is_left_to_try_again():
    ledger = Ledger(a_job().job.horizon, [replace(failed(1), gpu_seconds=60.0), failed(2)])
    _forgive(ledger, 2, Allowance(9, 60.0))
    assert [record.error for record in ledger.records] == ["why", "why"]


def test_a_row_that_was_broken_is_not_tried_again():
    done = an_ended_trial(3, "n", {1: 0.5})
    ledger = Ledger(a_job().job.horizon, [failed(1), failed(2)])
    ledger.put(done)
    ledger.set_status("t0003", Status.STOPPED)
    _forgive(ledger, 2, Allowance(9, None))
    assert [record.status for record in ledger.records[:2]] == [Status.FAILED, Status.FAILED]


def test_trials_without_their_run_are_not_taken_for_ones_own(tmp_path):
    folder = RunFolder(LocalStore(tmp_path))
    assert _changes(folder, a_job(), "digest", "job.yaml") == []
    folder.write_trial(a_trial(1))
    with pytest.raises(DamagedRunError, match=r"run\.json.*is missing where trials are \(restore it"):
        _changes(folder, a_job(), "digest", "job.yaml")


def test_a_session_says_what_its_job_has_changed_and_how_it_ended(tmp_path):
    folder = RunFolder(LocalStore(tmp_path))
    with pytest.raises(InterruptedSweepError), _session(folder, ["budget.trials: 8 -> 9"]):
        raise InterruptedSweepError("stop")
    (path,) = (tmp_path / "sessions").iterdir()
    record = json.loads(path.read_text())
    assert (record["changed"], record["reason"]) == (["budget.trials: 8 -> 9"], "interrupted")
    assert record["ended"]


def test_a_session_that_cannot_be_closed_does_not_hide_why_it_ended(tmp_path, monkeypatch):
    folder = RunFolder(LocalStore(tmp_path))

    def full(key, data):
        raise StorageError("the disk is full")

    def session():
        with _session(folder, []):
            monkeypatch.setattr(folder.store, "write", full)
            raise RunError("three trials failed alike")

    with pytest.raises(RunError, match="failed alike"):
        session()


def test_money_ends_a_sweep_as_hours_do():
    budget = {"max_epochs": 9, "trials": 5, "gpu_hours": 8, "usd": 3, "usd_per_gpu_hour": 1.5}
    assert _allowance(a_job(budget=budget).job).gpu_seconds == 2 * 3600
