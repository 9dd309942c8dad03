from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segsweep.config.augmentation import parse_augmentation
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


NOISE = {"online": [{"GaussNoise": {"p": 0.25}}]}
AUGMENTED = replace(CONTEXT, augmentation=parse_augmentation(NOISE, "augment.yaml"))


def test_a_transforms_parameter_goes_to_the_transform_and_not_to_ultralytics() -> None:
    record = replace(RECORD, params={"lr0": 0.1, "augment.GaussNoise.p": 0.5})
    task = TrialTask(AUGMENTED, record)
    assert "augment.GaussNoise.p" not in task.arguments()
    assert [spec.to_flat() for spec in task.augmentations()] == [{"GaussNoise": {"p": 0.5}}]
    assert TrialTask(CONTEXT, RECORD).augmentations() == ()


def test_transforms_are_in_the_hash_where_there_are_any() -> None:
    plain, default = TrialTask(CONTEXT, RECORD), TrialTask(AUGMENTED, RECORD)
    searched = TrialTask(AUGMENTED, replace(RECORD, params={"lr0": 0.1, "augment.GaussNoise.p": 0.5}))
    same = TrialTask(AUGMENTED, replace(RECORD, params={"lr0": 0.1, "augment.GaussNoise.p": 0.25}))
    assert len({plain.config_hash(), default.config_hash(), searched.config_hash()}) == 3
    assert same.config_hash() == default.config_hash()  # what is trained counts, not how it came about


def test_the_hash_of_a_trial_without_transforms_is_what_it_was() -> None:
    assert (
        TrialTask(CONTEXT, RECORD).config_hash() == "fb9ef7134e3ac00ec8b5d4b09ec86969011039359e468e7facd80d46195ada9f"
    )
