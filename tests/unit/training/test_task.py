from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segsweep.config.job import Job
from segsweep.core.trials import TrialRecord
from segsweep.training.task import SweepContext, TrialTask

JOB = Job.model_validate(
    {
        "name": "cats",
        "dataset": "bundles/cats",
        "storage": "runs",
        "search_space": "space.yaml",
        "variants": ["n", "s"],
        "budget": {"max_epochs": 7, "trials": 2},
        "resources": {"n": {"gpus": 0, "cpus": 3}},
        "train": {"imgsz": 96, "optimizer": "SGD"},
        "seed": 5,
    }
)
CONTEXT = SweepContext("runs/cats", "bundles/cats-0123456789ab", Path("/cache"), JOB, {"n": None, "s": "weights/s.pt"})
RECORD = TrialRecord("t0001", 1, "n", {"lr0": 0.1}, {"lr0": 0.5}, False, "n-lr0=0.1-t0001")


def test_a_trial_gets_the_jobs_arguments_its_own_and_the_full_horizon() -> None:
    assert TrialTask(CONTEXT, RECORD).arguments() == {
        "imgsz": 96,
        "optimizer": "SGD",
        "lr0": 0.1,
        "epochs": 7,
        "seed": 5,
        "patience": 0,
        "deterministic": True,
    }


def test_threads_are_the_cores_that_were_granted() -> None:
    assert TrialTask(CONTEXT, RECORD).threads == 3
    assert TrialTask(CONTEXT, replace(RECORD, variant="s")).threads == 4


def test_a_size_without_gpus_trains_on_the_cpu() -> None:
    assert not TrialTask(CONTEXT, RECORD).uses_gpu
    assert TrialTask(CONTEXT, replace(RECORD, variant="s")).uses_gpu


@pytest.mark.parametrize(
    "change",
    [
        {"record": replace(RECORD, params={"lr0": 0.2})},
        {"record": replace(RECORD, variant="s")},
        {"context": replace(CONTEXT, bundle_uri="bundles/cats-ba9876543210")},
        {"context": replace(CONTEXT, weights={"n": "weights/n.pt", "s": None})},
        {"context": replace(CONTEXT, job=JOB.model_copy(update={"seed": 6}))},
    ],
)
def test_what_decides_the_result_is_in_the_hash(change: dict[str, Any]) -> None:
    task = TrialTask(CONTEXT, RECORD)
    assert replace(task, **change).config_hash() != task.config_hash()


@pytest.mark.parametrize(
    "change",
    [
        {"record": replace(RECORD, epoch=4, seconds=3.0)},
        {"context": replace(CONTEXT, bundle_uri="s3://bucket/elsewhere/felines-0123456789ab")},
        {"context": replace(CONTEXT, run_uri="s3://bucket/runs/cats", cache_dir=Path("/other"))},
    ],
)
def test_where_and_when_a_trial_runs_is_not(change: dict[str, Any]) -> None:
    task = TrialTask(CONTEXT, RECORD)
    assert replace(task, **change).config_hash() == task.config_hash()
