"""Where a run stands, told truly when nobody drives it any more."""

import time
from dataclasses import replace

import pytest

from examples import a_job, a_trial, an_ended_trial
from segsweep.core.trials import Status
from segsweep.errors import RunError
from segsweep.storage import layout
from segsweep.storage.local import LocalStore
from segsweep.storage.owner import Owner, dump_owner
from segsweep.storage.run_folder import RunFolder, RunInfo
from segsweep.sweep.status import RunState, RunStatus, best_by_variant, read_status

# A machine that is not this one: whether its driver lives is read off its heartbeat.
ELSEWHERE = Owner("node-7", "another-boot/pid:[1]", 4321, 99, "session", since=0.0, heartbeat=0.0, heartbeat_s=10.0)
DONE = an_ended_trial(1, "n", {9: 0.5}, status=Status.COMPLETED, mask_map50_95=0.5)


@pytest.fixture
def run(tmp_path):
    """Write a run of the given trials; `owner` None leaves it without a lock."""

    def write(records, owner=None, **job):
        store = LocalStore(tmp_path / "run")
        folder, made = RunFolder(store), a_job(**{"budget": {"max_epochs": 9, "trials": 2}, **job})
        info = RunInfo("example", made.job.model_dump(mode="json"), made.space.to_flat(), "b", "0", "now", {}, {})
        folder.write_info(info)
        for record in records:
            folder.write_trial(record)
        if owner is not None:
            store.write(layout.LOCK, dump_owner(owner))
        return store

    return write


def test_a_run_whose_driver_lives_is_running(run):
    alive = replace(ELSEWHERE, heartbeat=time.time())
    status = read_status(run([DONE, a_trial(2, status=Status.RUNNING)], alive))
    assert (status.state, status.owner) == (RunState.RUNNING, alive)
    assert [record.status for record in status.trials] == [Status.COMPLETED, Status.RUNNING]
    assert status.to_json()["owner"] == {"host": "node-7", "pid": 4321}
    assert "example: RUNNING, driven by pid 4321 on node-7" in status.to_text()


@pytest.mark.parametrize("owner", [None, ELSEWHERE])
def test_a_run_whose_driver_is_dead_is_interrupted_and_runs_nothing(run, owner):
    status = read_status(run([DONE, a_trial(2, status=Status.RUNNING, epoch=3)], owner))
    assert (status.state, status.owner) == (RunState.INTERRUPTED, None)
    assert [(record.status, record.epoch) for record in status.trials] == [(Status.COMPLETED, 9), (Status.PENDING, 3)]
    assert "RUNNING" not in status.to_text()


@pytest.mark.parametrize(
    ("records", "state"),
    [
        ([], RunState.INTERRUPTED),
        ([DONE], RunState.INTERRUPTED),  # a trial of the budget was never started
        ([DONE, a_trial(2)], RunState.INTERRUPTED),
        ([DONE, an_ended_trial(2, "s", {1: 0.1})], RunState.COMPLETED),
        ([DONE, a_trial(2, status=Status.FAILED)], RunState.COMPLETED),
        ([DONE, a_trial(2, status=Status.FAILED), a_trial(3)], RunState.INTERRUPTED),
    ],
)
def test_a_run_is_completed_when_every_trial_of_its_budget_has_ended(run, records, state):
    assert read_status(run(records)).state is state


def test_the_facts_have_the_schema_that_users_read(run):
    records = [
        replace(DONE, seconds=3600.0, gpus=0.25, gpu_seconds=900.0, preemptions=2),
        a_trial(2, "s", status=Status.FAILED, epoch=2, error="no room", mask_map50_95=0.1, seconds=7200.0, gpus=0.5),
    ]
    budget = {"max_epochs": 9, "trials": 5, "gpu_hours": 2.0}
    assert read_status(run(records, budget=budget)).to_json() == {
        "run": "example",
        "state": "INTERRUPTED",
        "owner": None,
        "trials": [
            {
                "trial_id": "t0001",
                "variant": "n",
                "status": "COMPLETED",
                "epoch": 9,
                "mask_map50_95": 0.5,
                "error": "",
                "preemptions": 2,
            },
            {
                "trial_id": "t0002",
                "variant": "s",
                "status": "FAILED",
                "epoch": 2,
                "mask_map50_95": 0.1,
                "error": "no room",
                "preemptions": 0,
            },
        ],
        "best": {"n": "t0001", "s": "t0002"},
        "budget": {
            "trials": 5,
            "trials_started": 2,
            "trials_left": 3,
            "max_epochs": 9,
            "gpu_hours": 2.0,
            "gpu_hours_spent": 1.25,
            "usd": None,
            "usd_spent": None,
        },
    }


def test_a_person_reads_trials_best_and_budget(run):
    records = [
        replace(DONE, is_default=True, seconds=3600.0, gpus=0.25, gpu_seconds=900.0),
        a_trial(2, "s", is_default=True, status=Status.FAILED, error="no room"),
        a_trial(3, "s"),
    ]
    status = read_status(run(records, budget={"max_epochs": 9, "trials": 5, "gpu_hours": 2.0}))
    text = status.to_text()
    assert text.splitlines() == [
        "example: INTERRUPTED",
        "",
        "trial   size status     epoch  best mAP50-95 (val)",
        "t0001   n    COMPLETED   9/9                0.5000  default",
        "t0002   s    FAILED      0/9                     -  default  no room",
        "t0003   s    PENDING     0/9                     -",
        "",
        f"t0002 failed: its log is {status.uri}/trials/{records[1].directory}/log.txt",
        f"  alone it runs with: segsweep replay {status.uri} --trial t0002",
        "best n: t0001 0.5000",
        "budget: 2 of 5 trials left to start, 0.25 of 2 GPU-hours spent",
    ]


def test_a_lowered_budget_leaves_nothing_to_start():
    job = a_job(budget={"max_epochs": 9, "trials": 1})
    status = RunStatus("example", RunState.COMPLETED, None, (DONE, a_trial(2)), job, "s3://bucket/run")
    assert status.to_json()["budget"]["trials_left"] == 0


def test_no_run_is_told_in_words(tmp_path):
    with pytest.raises(RunError, match="no run is here"):
        read_status(LocalStore(tmp_path))


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([], {}),
        ([(1, "n", None)], {}),
        ([(1, "n", 0.0)], {"n": 1}),
        ([(1, "n", 0.2), (2, "n", 0.3), (3, "n", 0.1)], {"n": 2}),
        ([(1, "n", 0.2), (2, "n", 0.2)], {"n": 1}),  # a tie
        ([(1, "n", None), (2, "n", 0.2)], {"n": 2}),
        ([(1, "x", 0.9), (2, "m", 0.1), (3, "n", 0.2)], {"n": 3, "m": 2, "x": 1}),
    ],
)
def test_the_best_of_every_size_is_its_earliest_highest_in_order_of_size(values, best):
    records = [a_trial(number, size, mask_map50_95=value) for number, size, value in values]
    found = best_by_variant(records)
    assert [(size, record.number) for size, record in found.items()] == list(best.items())


@pytest.mark.parametrize(
    ("seconds", "state"), [(3599.0, RunState.INTERRUPTED), (3600.0, RunState.EXHAUSTED), (9000.0, RunState.EXHAUSTED)]
)
def test_a_run_whose_gpu_hours_are_spent_says_so(run, seconds, state):
    paused = a_trial(2, epoch=3, gpus=0.5, seconds=2 * seconds)
    store = run([DONE, paused], budget={"max_epochs": 9, "trials": 2, "gpu_hours": 1.0})
    assert read_status(store).state is state


@pytest.mark.parametrize(("usd", "state"), [(1.51, RunState.INTERRUPTED), (1.5, RunState.EXHAUSTED)])
def test_a_run_whose_money_is_spent_says_so(run, usd, state):
    budget = {"max_epochs": 9, "trials": 2, "gpu_hours": 50.0, "usd": usd, "usd_per_gpu_hour": 1.5}
    status = read_status(run([DONE, a_trial(2, epoch=3, gpus=0.5, seconds=7200.0)], budget=budget))
    assert status.state is state
    assert status.to_json()["budget"]["usd_spent"] == pytest.approx(1.5)
    assert f"1.50 of {usd:g} USD for GPUs spent" in status.to_text()
