"""Who says nothing for too long is given up, by a clock that nobody sets; an epoch forgives earlier deaths."""

from types import SimpleNamespace

import pytest

from examples import a_job, a_trial
from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status
from segsweep.search.searcher import _RECORD
from segsweep.sweep import watchdog
from segsweep.sweep.watchdog import Watchdog


class World:
    """One trial of Ray's, a clock, and who was killed."""

    def __init__(self, monkeypatch, hang_s, **record):
        self.now, self.killed = 0.0, []
        monkeypatch.setattr(watchdog.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(watchdog.ray, "kill", self.killed.append)
        self.ledger = Ledger(a_job().job.horizon, [a_trial(1, **{"status": Status.RUNNING, **record})])
        self.trial = SimpleNamespace(
            trial_id="ray1", status="RUNNING", RUNNING="RUNNING", config={_RECORD: self.ledger["t0001"].to_json()},
            temporary_state=SimpleNamespace(ray_actor="worker"), num_failures=2, max_failures=2, error_file=None,
        )  # fmt: skip
        self.watchdog = Watchdog(self.ledger, hang_s)
        self.watchdog.on_trial_start(0, [self.trial], self.trial)

    def at(self, now):
        """Step after step until then."""
        while self.now < now:
            self.stalled(min(9.0, now - self.now))
        return self.killed

    def stalled(self, seconds):
        """One step that long."""
        self.now += seconds
        self.watchdog.on_step_begin(0, [self.trial])
        return self.killed

    def epoch(self, number):
        self.ledger.report("t0001", {"epoch": number, "seconds": 1.0, "mask_map50_95": 0.1})
        self.watchdog.on_trial_result(0, [self.trial], self.trial, {})


def test_silence_is_ended_after_the_limit_and_once(monkeypatch):
    world = World(monkeypatch, 60.0)
    assert world.at(60.0) == []
    assert world.at(61.0) == ["worker"]
    assert world.at(62.0) == ["worker"]
    assert world.at(122.0) == ["worker", "worker"]  # its successor is silent, too


def test_a_report_breaks_the_silence(monkeypatch):
    world = World(monkeypatch, 60.0)
    world.now = 50.0
    world.watchdog.on_trial_result(0, [world.trial], world.trial, {})
    assert world.at(100.0) == []


@pytest.mark.parametrize("change", [{"status": "PENDING"}, {"temporary_state": SimpleNamespace(ray_actor=None)}])
def test_who_does_not_run_is_not_silent(monkeypatch, change):
    world = World(monkeypatch, 60.0)
    vars(world.trial).update(change)
    assert world.at(200.0) == []


def test_a_driver_that_heard_nobody_blames_nobody(monkeypatch):
    world = World(monkeypatch, 60.0)
    assert world.stalled(900.0) == []  # it waited for its storage
    assert world.at(950.0) == []
    assert world.at(951.0) == ["worker"]


def test_who_hangs_twice_without_an_epoch_in_between_fails_and_is_not_tried_again(monkeypatch):
    world = World(monkeypatch, 60.0)
    world.at(61.0)
    assert world.ledger["t0001"].status is Status.RUNNING
    assert world.trial.max_failures == 3  # hanging is not dying
    world.at(122.0)
    record = world.ledger["t0001"]
    assert (record.status, record.failure) == (Status.FAILED, "hung")
    assert "nothing for 1.0 minutes" in record.error
    assert world.trial.num_failures + 1 > world.trial.max_failures  # Ray counts this death, then compares


def test_an_epoch_in_between_forgives_that_it_hung(monkeypatch):
    world = World(monkeypatch, 60.0)
    world.at(61.0)
    world.epoch(1)
    assert world.at(122.0) == ["worker", "worker"]
    assert world.ledger["t0001"].status is Status.RUNNING


def test_ten_of_its_sizes_epochs_are_waited_for(monkeypatch):
    world = World(monkeypatch, 60.0, epoch=2, seconds=200.0)
    assert world.at(1000.0) == []
    assert world.at(1001.0) == ["worker"]


def test_without_a_limit_nobody_is_given_up(monkeypatch):
    assert World(monkeypatch, None).at(2000.0) == []


def test_an_epoch_that_is_new_forgives_earlier_deaths(monkeypatch):
    world = World(monkeypatch, 60.0)
    world.watchdog.on_trial_result(0, [world.trial], world.trial, {})
    assert world.trial.max_failures == 2  # an epoch that was known
    world.epoch(1)
    assert world.trial.max_failures == 4


@pytest.mark.parametrize(
    ("text", "preemptions", "max_failures", "status"),
    [
        ("its node has died. Node Id: 1\nthe actor's node was terminated", 1, 3, Status.PENDING),
        ("its worker process has died", 0, 2, Status.RUNNING),
    ],
)
def test_a_machine_that_is_lost_is_a_preemption_and_a_worker_that_dies_a_failure(
    monkeypatch, tmp_path, text, preemptions, max_failures, status
):
    world = World(monkeypatch, 60.0)
    (tmp_path / "error.txt").write_text(f"Failure # 1 (at noon)\n{text}\n")
    world.trial.error_file = str(tmp_path / "error.txt")
    world.watchdog.on_trial_recover(0, [world.trial], world.trial)
    record = world.ledger["t0001"]
    assert (record.preemptions, world.trial.max_failures, record.status) == (preemptions, max_failures, status)
    assert (record.error, record.failure) == ("", "")


def test_a_trial_that_has_ended_is_not_preempted(monkeypatch, tmp_path):
    world = World(monkeypatch, 60.0, status=Status.STOPPED)
    (tmp_path / "error.txt").write_text("its node has died\n")
    world.trial.error_file = str(tmp_path / "error.txt")
    world.watchdog.on_trial_recover(0, [world.trial], world.trial)
    assert (world.ledger["t0001"].preemptions, world.ledger["t0001"].status) == (0, Status.STOPPED)
