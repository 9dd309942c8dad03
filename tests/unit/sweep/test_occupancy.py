"""Places that lie idle are counted as long as a trial waits, and no longer."""

from types import SimpleNamespace

import pytest

from examples import a_job, a_trial
from segsweep.core.allowance import Allowance
from segsweep.core.ledger import Ledger
from segsweep.sweep import occupancy
from segsweep.sweep.occupancy import Occupancy


@pytest.fixture
def counted(monkeypatch):
    """What a session of four places counts, told in steps of seconds and the statuses of Ray's trials meanwhile."""

    def count(*steps, trials=8, gpu_seconds=None, spent=0.0):
        now = [0.0]
        monkeypatch.setattr(occupancy.time, "monotonic", lambda: now[0])
        known = max(len(statuses) for _, statuses in steps)
        ledger = Ledger(a_job().job.horizon, [a_trial(n + 1, gpu_seconds=spent) for n in range(known)])
        one = Occupancy(ledger, Allowance(trials, gpu_seconds), 4)
        for seconds, statuses in steps:
            now[0] += seconds
            one.on_step_begin(0, [
                SimpleNamespace(status=status, RUNNING="R", PENDING="P", PAUSED="H") for status in statuses
            ])  # fmt: skip
        return one.held_s, one.idle_s

    return count


def test_all_places_held_is_no_loss(counted):
    assert counted((2.0, "RRRR"), (3.0, "RRRRP")) == (20.0, 0.0)


def test_a_place_without_a_trial_is_lost_while_one_waits_or_may_still_be_proposed(counted):
    assert counted((1.0, "RRRP"), trials=4) == (3.0, 1.0)
    assert counted((1.0, "RR"), trials=8) == (2.0, 2.0)
    assert counted((1.0, "RPPP"), trials=4) == (1.0, 3.0)


def test_when_fewer_trials_are_left_than_places_nobody_waits(counted):
    assert counted((1.0, "RRTT"), trials=4) == (2.0, 0.0)
    assert counted((1.0, "RPTT"), trials=4) == (1.0, 1.0)  # one waits, two places have nobody to wait for


def test_when_the_gpu_time_is_spent_nobody_waits(counted):
    assert counted((1.0, "RR"), gpu_seconds=10.0, spent=5.0) == (2.0, 0.0)


def test_a_driver_that_waited_for_its_storage_counts_a_step(counted):
    assert counted((500.0, "RRRR")) == (40.0, 0.0)


def test_the_share_is_of_all_that_was_held_or_waited_for():
    one = Occupancy(Ledger(a_job().job.horizon), Allowance(8, None), 4)
    assert one.idle_share == 0.0
    one.held_s, one.idle_s = 30.0, 10.0
    assert one.to_json() == {"places": 4, "held_s": 30.0, "idle_s": 10.0, "idle_share": 0.25}
