"""The standing of a sweep as facts, with a clock of our own."""

import io
import logging

import pytest
from rich.console import Console

from examples import a_trial, an_ended_trial
from segsweep.core.allowance import Allowance
from segsweep.core.ledger import Horizon, Ledger
from segsweep.core.trials import Status
from segsweep.sweep.progress import Progress, Standing, eta_text

HORIZON = Horizon(max_epochs=9, grace_epochs=1, reduction_factor=3)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def progress_of(ledger, allowance=Allowance(10, None), terminal=False):  # noqa: B008 - frozen
    clock, text = Clock(), io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120)
    return Progress(ledger, allowance, console, clock), clock, text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "time left not known yet"),
        (0.0, "about 0 s left"),
        (0.2, "about 1 s left"),
        (89.9, "about 90 s left"),
        (90.0, "about 2 min left"),
        (601.0, "about 11 min left"),
        (5399.0, "about 90 min left"),
        (5400.0, "about 1.5 h left"),
        (36000.0, "about 10.0 h left"),
    ],
)
def test_time_left_is_told_in_the_unit_that_suits(seconds, text):
    assert eta_text(seconds) == text


def test_a_standing_counts_running_ended_best_and_budget():
    ledger = Ledger(
        HORIZON,
        [
            an_ended_trial(1, "n", {9: 0.5}, status=Status.COMPLETED, mask_map50_95=0.5, seconds=3600.0, gpus=0.5),
            an_ended_trial(2, "s", {1: 0.1}, mask_map50_95=0.1),
            a_trial(3, "s", status=Status.FAILED),
            a_trial(4, "s", status=Status.RUNNING, epoch=2, mask_map50_95=0.3),
            a_trial(5, "n"),
        ],
    )
    standing = progress_of(ledger, Allowance(10, 7200.0))[0].standing()
    assert standing == Standing(
        running=(ledger["t0004"],),
        ended=3,
        trials=10,
        best={"n": ledger["t0001"], "s": ledger["t0004"]},
        gpu_hours=0.5,
        gpu_hours_budget=2.0,
        eta_s=None,
    )
    assert standing.summary() == (
        "best n 0.500 (t0001)  s 0.300 (t0004) | 3/10 trials, 0.50/2 GPU-hours | time left not known yet"
    )


def test_a_sweep_that_has_not_begun_has_nothing_to_show():
    summary = progress_of(Ledger(HORIZON))[0].standing().summary()
    assert summary == "best none yet | 0/10 trials | time left not known yet"


def test_time_left_is_epochs_left_at_this_sessions_pace():
    # An earlier session has trained 9 epochs; they tell how long trials are, not how fast this machine is.
    ledger = Ledger(HORIZON, [an_ended_trial(1, "n", {9: 0.5}, status=Status.COMPLETED)])
    progress, clock, _ = progress_of(ledger, Allowance(4, None))
    assert progress.standing().eta_s is None
    ledger.put(a_trial(2, status=Status.RUNNING, epoch=3))
    clock.now += 30.0
    # Ten seconds an epoch; trial 2 is expected to train 6 more, trials 3 and 4 the mean of 9 each.
    assert progress.standing().eta_s == (6 + 2 * 9) * 10.0
    ledger.put(an_ended_trial(2, "n", {3: 0.5}))
    # The mean is now 6.
    assert progress.standing().eta_s == 2 * 6 * 10.0


def test_a_trial_beyond_the_mean_is_expected_to_end_now():
    ledger = Ledger(HORIZON, [a_trial(1, status=Status.RUNNING)])
    progress, clock, _ = progress_of(ledger, Allowance(2, None))
    ledger.put(a_trial(1, status=Status.RUNNING, epoch=8))
    ledger.put(an_ended_trial(2, "n", {1: 0.5}))
    clock.now += 9.0
    assert progress.standing().eta_s == 0.0


def test_a_budget_lowered_below_what_ran_leaves_no_negative_time():
    ledger = Ledger(HORIZON)
    progress, clock, _ = progress_of(ledger, Allowance(1, None))
    for number in (1, 2, 3):
        ledger.put(an_ended_trial(number, "n", {1: 0.5}))
    clock.now += 3.0
    assert progress.standing().eta_s == 0.0


def test_without_a_terminal_every_event_is_one_line(caplog):
    ledger = Ledger(HORIZON, [a_trial(1, is_default=True)])
    progress, _, text = progress_of(ledger)
    with caplog.at_level(logging.INFO, "segsweep.sweep.progress"), progress:
        progress.changed(ledger.set_status("t0001", Status.RUNNING))  # nothing to tell yet
        progress.changed(ledger.report("t0001", {"epoch": 1, "mask_map50_95": 0.25, "seconds": 2.0}))
        progress.changed(ledger.report("t0001", {"epoch": 1, "mask_map50_95": 0.25, "seconds": 2.0}))  # old news
        progress.changed(ledger.set_status("t0001", Status.FAILED, "no room"))
    assert caplog.messages == [
        "t0001 n RUNNING epoch 1/9 best mAP50-95 0.250 | best n 0.250 (t0001) | 0/10 trials | time left not known yet",
        "t0001 n FAILED epoch 1/9 best mAP50-95 0.250 | best n 0.250 (t0001) | 1/10 trials | about 0 s left",
    ]
    assert text.getvalue() == ""


def test_a_terminal_shows_one_line_a_running_trial(caplog):
    params = {"lr0": 0.00312345, "optimizer": "AdamW"}
    ledger = Ledger(HORIZON, [a_trial(1, is_default=True), a_trial(2, "s", params=params), a_trial(3)])
    progress, _, text = progress_of(ledger, terminal=True)
    with caplog.at_level(logging.INFO, "segsweep.sweep.progress"), progress:
        for trial_id in ("t0001", "t0002"):
            progress.changed(ledger.set_status(trial_id, Status.RUNNING))
        progress.changed(ledger.report("t0002", {"epoch": 1, "mask_map50_95": 0.25, "seconds": 2.0}))
    shown = text.getvalue()
    last = shown[shown.rindex("hyperparameters") :]
    lines = [" ".join(line.split()) for line in last.splitlines()]
    assert "t0001 n 0/9 - default" in lines
    assert "t0002 s 1/9 0.250 lr0=0.00312 optimizer=AdamW" in lines
    assert not any(line.startswith("t0003") for line in lines)
    assert "best s 0.250 (t0002) | 0/10 trials | time left not known yet" in lines
    assert caplog.messages == []
