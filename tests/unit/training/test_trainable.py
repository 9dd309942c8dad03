"""What a worker says in place of metrics: whose fault it is decides what ends."""

import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from examples import a_trial
from segsweep.errors import DatasetError, DivergedError, NoSpaceError, StorageError, TrialError
from segsweep.search.scheduler import FAILURE, SWEEP_ERROR, TRIAL_ERROR
from segsweep.training.trainable import SweepTrainable


def step(outcome):
    """One step of a trial whose training returns a row or raises."""

    def next_row():
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    trainable = SweepTrainable.__new__(SweepTrainable)
    trainable._context = SimpleNamespace(cache_dir=Path("/cache"))
    trainable._training = SimpleNamespace(next_row=next_row)
    return trainable.step()


def test_an_epoch_is_its_row():
    assert step({"epoch": 1.0}) == {"epoch": 1.0}


@pytest.mark.parametrize("error", [DatasetError("a shard is truncated"), NoSpaceError("the bucket is full")])
def test_what_no_trial_could_survive_ends_the_session(error):
    assert step(error) == {SWEEP_ERROR: error}


def test_a_failing_disk_is_the_nodes_fault_and_fails_no_trial():
    told = step(OSError(28, "No space left on device"))
    assert list(told) == [SWEEP_ERROR]
    assert isinstance(told[SWEEP_ERROR], StorageError)
    assert "/cache" in str(told[SWEEP_ERROR])
    assert isinstance(told[SWEEP_ERROR], NoSpaceError)
    assert "No space left on device" in str(told[SWEEP_ERROR])
    assert "run the same command again" in str(told[SWEEP_ERROR])


def test_a_node_that_cannot_even_prepare_itself_fails_no_trial(tmp_path):
    (tmp_path / "cache").write_text("a file where the node's cache should be")
    trainable = SweepTrainable.__new__(SweepTrainable)
    trainable.setup({"record": a_trial().to_json()}, SimpleNamespace(cache_dir=tmp_path / "cache"))
    told = trainable.step()
    assert list(told) == [SWEEP_ERROR]
    assert str(tmp_path / "cache") in str(told[SWEEP_ERROR])


def test_another_failure_of_the_disk_is_the_nodes_fault_too():
    told = step(OSError(5, "Input/output error"))
    assert str(told[SWEEP_ERROR]) == "/cache: this node's disk failed: [Errno 5] Input/output error"


@pytest.mark.parametrize(
    ("error", "failure"),
    [(DivergedError("NaN"), "diverged"), (TrialError("no"), "TrialError"), (RuntimeError("shapes"), "RuntimeError")],
)
def test_what_only_this_trial_did_fails_this_trial(error, failure):
    assert step(error) == {TRIAL_ERROR: f"{type(error).__name__}: {error}", FAILURE: failure}


def test_training_that_ends_early_is_no_success():
    assert step(None) == {TRIAL_ERROR: "training ended before its horizon", FAILURE: "ended early"}


def test_sigterm_ends_training_and_then_does_what_it_did_before():
    told = []
    restored = signal.signal(signal.SIGTERM, lambda number, frame: told.append("before"))
    try:
        trainable = SweepTrainable.__new__(SweepTrainable)
        trainable._training = SimpleNamespace(stop=lambda: told.append("stopped"))
        trainable._leave_on_sigterm()
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, restored)
    assert told == ["stopped", "before"]
