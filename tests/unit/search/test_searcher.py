"""What Ray gets when it asks for a trial: unfinished ones, then new ones, then nothing."""

import pickle
import threading

import pytest
from ray.tune.search import Searcher

from examples import a_job, a_trial, an_ended_trial
from segsweep.core.allowance import Allowance
from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status
from segsweep.search.proposer import Proposal, make_proposer
from segsweep.search.searcher import LedgerSearcher, ours

JOB = a_job(resources={"n": {"gpus": 0.25}, "s": {"gpus": 0}}, search={"startup_trials": 2})


class Scripted:
    """Proposes one point for ever and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def propose(self, records, number):
        self.asked.append((tuple(record.trial_id for record in records), number))
        return Proposal("n", {"lr0": 0.03125}, {"lr0": 0.75}, is_default=False)


def searcher_of(records, trials=20, gpu_seconds=None, on_change=None):
    ledger = Ledger(JOB.job.horizon, records, on_change)
    proposer = Scripted()
    return LedgerSearcher(JOB, ledger, proposer, Allowance(trials, gpu_seconds)), ledger, proposer


def test_unfinished_trials_come_first_in_order_then_new_ones_then_nothing():
    records = [
        an_ended_trial(1, "n", {1: 0.5}),
        a_trial(2, epoch=3, rungs={1: 0.25}, gpus=0.25),
        a_trial(3, status=Status.FAILED),
        a_trial(4, status=Status.RUNNING),
    ]
    searcher, ledger, proposer = searcher_of(records, trials=6)
    configs = [searcher.suggest(f"ray{index}") for index in range(7)]
    assert [ours(config).trial_id for config in configs[:4]] == ["t0002", "t0004", "t0005", "t0006"]
    assert ours(configs[0]) == records[1]
    assert configs[4:] == [Searcher.FINISHED] * 3
    assert proposer.asked == [
        (("t0001", "t0002", "t0003", "t0004"), 5),
        (("t0001", "t0002", "t0003", "t0004", "t0005"), 6),
    ]
    assert len(ledger) == 6


def test_a_trial_that_goes_on_costs_what_it_holds_now():
    searcher, ledger, _ = searcher_of([a_trial(1, epoch=2, seconds=100.0, gpus=1.0)])
    assert ours(searcher.suggest("ray")).gpus == 0.25
    row = {"epoch": 3, "seconds": 8.0, "mask_map50_95": 0.1}
    assert ledger.report("t0001", row).gpu_seconds == 100.0 + 8.0 * 0.25


def test_a_new_trial_is_on_record_before_ray_sees_it():
    changes = []
    searcher, ledger, _ = searcher_of([], on_change=changes.append)
    record = ours(searcher.suggest("ray"))
    assert changes == [record] == list(ledger.records)
    assert (record.trial_id, record.number, record.status, record.epoch) == ("t0001", 1, Status.PENDING, 0)
    assert (record.params, record.unit, record.gpus) == ({"lr0": 0.03125}, {"lr0": 0.75}, 0.25)
    assert record.directory == "n-lr0=0.0312-t0001"


def test_no_id_is_given_twice_where_a_trial_was_removed_by_hand():
    searcher, ledger, _ = searcher_of([an_ended_trial(1, "n", {1: 0.5}), an_ended_trial(3, "n", {1: 0.5})])
    assert ours(searcher.suggest("ray")).trial_id == "t0004"
    assert [record.number for record in ledger.records] == [1, 3, 4]


def test_a_spent_gpu_budget_starts_nothing_not_even_unfinished_trials():
    spent = an_ended_trial(1, "n", {1: 0.5}, seconds=100.0, gpus=1.0)
    searcher, _, proposer = searcher_of([spent, a_trial(2)], gpu_seconds=100.0)
    assert searcher.suggest("ray") == Searcher.FINISHED
    assert proposer.asked == []


def test_a_trial_budget_that_is_spent_still_lets_unfinished_trials_end():
    searcher, _, _ = searcher_of([an_ended_trial(1, "n", {1: 0.5}), a_trial(2)], trials=1)
    assert ours(searcher.suggest("ray")).trial_id == "t0002"
    assert searcher.suggest("ray") == Searcher.FINISHED


@pytest.mark.parametrize(
    ("allowance", "spent", "gpu_time_is_spent"),
    [
        (Allowance(3, None), False, False),
        (Allowance(2, None), True, False),
        (Allowance(1, None), True, False),
        (Allowance(3, 51.0), False, False),
        (Allowance(3, 50.0), True, True),
        (Allowance(3, 49.0), True, True),
    ],
)
def test_an_allowance_is_spent_by_trials_or_gpu_time(allowance, spent, gpu_time_is_spent):
    ledger = Ledger(JOB.job.horizon, [a_trial(1, seconds=100.0, gpus=0.5), a_trial(2, seconds=100.0)])
    assert (allowance.is_spent(ledger), allowance.gpu_time_is_spent(ledger)) == (spent, gpu_time_is_spent)


def test_cpu_trials_cost_no_gpu_time():
    searcher, _, _ = searcher_of([an_ended_trial(1, "s", {1: 0.5}, seconds=1e9, gpus=0.0)], gpu_seconds=1.0)
    assert ours(searcher.suggest("ray")).number == 2


def test_a_resumed_search_proposes_what_an_uninterrupted_one_would():
    def proposals(sessions):
        records = ()
        for count in sessions:
            ledger = Ledger(JOB.job.horizon, records)
            searcher = LedgerSearcher(JOB, ledger, make_proposer(JOB), Allowance(20, None))
            for _ in range(count):
                record = ours(searcher.suggest("ray"))
                value = 0.5 if record.unit is None else record.unit["lr0"]
                ledger.report(record.trial_id, {"epoch": 1, "mask_map50_95": value, "seconds": 1.0})
                ledger.set_status(record.trial_id, Status.STOPPED)
            records = ledger.records
        return [record.params for record in records]

    assert proposals([7]) == proposals([3, 3, 1])


def test_ray_may_pickle_the_searcher_and_finds_nothing_in_it():
    searcher, _, _ = searcher_of([], on_change=threading.Lock().acquire)
    assert vars(pickle.loads(pickle.dumps(searcher))) == {}
    searcher.on_trial_complete("ray", {"mask_map50_95": 0.5})
    searcher.save("/nowhere")
    searcher.restore("/nowhere")
    assert len(searcher_of([])[1]) == 0
