"""A run as the first version of segsweep left it, field by field: today's commands read it and go on with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from examples import SPACE, a_job
from segsweep.config.job import JobFile
from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status
from segsweep.storage.local import LocalStore
from segsweep.storage.run_folder import RunFolder
from segsweep.sweep.run import _changes
from segsweep.sweep.status import read_status

JOB = {
    "name": "example",
    "dataset": "bundles/example",
    "storage": "runs",
    "search_space": "space.yaml",
    "variants": ["n", "s"],
    "weights": "coco",
    "missing_weights": "error",
    "budget": {"max_epochs": 9, "trials": 20, "gpu_hours": None},
    "scheduler": {"grace_epochs": 1, "reduction_factor": 3},
    "search": {"policy": "pooled", "startup_trials": 8},
    "resources": {"n": {"gpus": 0.5, "cpus": 2}},
    "concurrency": None,
    "train": {"optimizer": "SGD"},
    "seed": 0,
}
RUN = {
    "schema": 1,
    "name": "example",
    "job": JOB,
    "search_space": SPACE,
    "dataset": "bundles/example-0123",
    "dataset_digest": "0123",
    "created": "2026-11-22T03:04:05Z",
    "versions": {"segsweep": "0.1.0"},
    "environment": {"host": "head"},
}


def trial(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "trial_id": f"t{number:04d}",
        "number": number,
        "variant": "n",
        "params": {"lr0": 0.01 * number, "mosaic": 0.5},
        "unit": {"lr0": 0.1 * number, "mosaic": 0.5},
        "is_default": False,
        "directory": f"n-t{number:04d}",
        "status": "STOPPED",
        "epoch": 1,
        "rungs": {"1": 0.1 * number},
        "mask_map50_95": 0.1 * number,
        "best_epoch": 1,
        "seconds": 40.0,
        "gpus": 0.5,
        "error": "",
        **changes,
    }


TRIALS = [
    trial(1, unit=None, is_default=True, status="COMPLETED", epoch=9, rungs={"1": 0.1, "3": 0.2, "9": 0.5}),
    trial(2),
    trial(3, status="FAILED", error="the worker died"),
    trial(4, status="RUNNING"),
]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    for record in TRIALS:
        (tmp_path / "trials" / record["directory"]).mkdir(parents=True)
        (tmp_path / "trials" / record["directory"] / "trial.json").write_text(json.dumps(record))
    return RunFolder(LocalStore(tmp_path))


def the_same_job(**changes: Any) -> JobFile:
    return a_job(**{name: value for name, value in {**JOB, **changes}.items() if name != "name"})


def test_its_status_is_told(folder: RunFolder) -> None:
    status = read_status(folder.store)
    assert [record.status for record in status.trials] == ["COMPLETED", "STOPPED", "FAILED", "PENDING"]
    assert status.to_json()["budget"]["gpu_hours_spent"] == pytest.approx(4 * 40 * 0.5 / 3600)


def test_its_job_goes_on_and_what_is_new_since_then_may_be_set(folder: RunFolder) -> None:
    assert _changes(folder, the_same_job(), "0123", "job.yaml") == []
    assert _changes(folder, the_same_job(max_failures=7), "0123", "job.yaml") == ["max_failures: 3 -> 7"]


def test_its_trials_are_compared_with_new_epochs(folder: RunFolder) -> None:
    ledger = Ledger(a_job().job.horizon, folder.read_trials(), on_change=folder.write_trial)
    row = {"epoch": 3, "mask_map50_95": 0.6, "seconds": 10.0}
    assert ledger.report("t0004", row).status is Status.RUNNING
    assert ledger.report("t0004", {**row, "epoch": 9}).ended == 1  # none of an earlier version has an order
    assert folder.read_trials()[3] == ledger["t0004"]
    assert ledger["t0004"].gpu_seconds == pytest.approx((40 + 20) * 0.5)
