"""Failures of one kind in a row are nobody's hyperparameters."""

import pytest

from examples import a_trial, an_ended_trial
from segsweep.core.failures import DIVERGED, failed_alike
from segsweep.core.ledger import Horizon, Ledger
from segsweep.core.trials import Status


def failed(number, failure="RuntimeError"):
    return a_trial(number, status=Status.FAILED, error="why", failure=failure)


@pytest.mark.parametrize(
    ("records", "ids"),
    [
        ([], []),
        ([failed(1)], ["t0001"]),
        ([failed(1), failed(2), failed(3)], ["t0003", "t0002", "t0001"]),
        ([failed(1), an_ended_trial(2, "n", {1: 0.5}), failed(3)], ["t0003"]),
        ([failed(1, "OSError"), failed(2)], ["t0002"]),
        ([failed(1), failed(2), an_ended_trial(3, "n", {1: 0.5})], []),
        ([failed(1), a_trial(2, status=Status.RUNNING), failed(3)], ["t0003", "t0001"]),
        ([failed(1, DIVERGED), failed(2, DIVERGED)], []),
        ([failed(1), failed(2, DIVERGED), failed(3)], ["t0003", "t0001"]),
        ([failed(1, ""), failed(2, "")], []),  # of a version that told no kind
    ],
)
def test_a_row_is_what_failed_alike_with_nothing_else_in_between(records, ids):
    assert [record.trial_id for record in failed_alike(records)] == ids


def test_the_order_is_that_in_which_they_ended():
    ledger = Ledger(Horizon(9, 1, 3), [a_trial(number, status=Status.RUNNING) for number in (1, 2, 3)])
    for trial_id, failure in (("t0003", "OSError"), ("t0001", "RuntimeError"), ("t0002", "RuntimeError")):
        ledger.set_status(trial_id, Status.FAILED, "why", failure)
    assert [record.ended for record in ledger.records] == [2, 3, 1]
    assert [record.trial_id for record in failed_alike(ledger.records)] == ["t0002", "t0001"]


def test_a_trial_that_goes_on_has_not_ended():
    ledger = Ledger(Horizon(9, 1, 3), [failed(1)])
    ledger.set_status("t0001", Status.FAILED, "why", "OSError")
    assert ledger.set_status("t0001", Status.PENDING).ended == 0
