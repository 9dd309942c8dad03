"""Going on with a run: what a job may change in between, and what it may not."""

import json
from dataclasses import replace

import pytest

from examples import SPACE, a_job
from segsweep.config.augmentation import parse_augmentation
from segsweep.errors import RunError
from segsweep.storage.run_folder import RunInfo
from segsweep.sweep.resume import reconcile


def started(job):
    """`run.json` of the job, as it is read back."""
    facts = {"job": job.job.model_dump(mode="json"), "search_space": job.space.to_flat()}
    return RunInfo(
        name="example", **json.loads(json.dumps(facts)), dataset="bundles/example-0123", dataset_digest="0123",
        created="2026-01-02T03:04:05Z", versions={}, environment={},
    )  # fmt: skip


RICH = {
    "budget": {"max_epochs": 9, "trials": 20, "gpu_hours": 2.0},
    "resources": {"n": {"gpus": 0.25, "cpus": 2}},
    "train": {"optimizer": "SGD", "cos_lr": True, "imgsz": 96},
}
SPACE_OF_SIZES = {
    **SPACE,
    "batch": {"quniform": [8, 32, 8]},
    "per_variant": {"s": {"lr0": {"loguniform": [1e-4, 1e-2]}}},
}


@pytest.mark.parametrize(("space", "job"), [(None, {}), (SPACE_OF_SIZES, RICH)])
def test_the_same_job_goes_on_without_a_word(space, job):
    assert reconcile(started(a_job(space, **job)), a_job(space, **job), "0123", "job.yaml") == []


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({"budget": {"max_epochs": 9, "trials": 40}}, ["budget.trials: 20 -> 40"]),
        ({"budget": {"max_epochs": 9, "trials": 10}}, ["budget.trials: 20 -> 10"]),
        ({"budget": {"max_epochs": 9, "trials": 20, "gpu_hours": 1.5}}, ["budget.gpu_hours: None -> 1.5"]),
        (
            {"budget": {"max_epochs": 9, "trials": 20, "usd": 9, "usd_per_gpu_hour": 1}},
            ["budget.usd: None -> 9.0", "budget.usd_per_gpu_hour: None -> 1.0"],
        ),
        ({"resources": {"n": {"gpus": 0}}}, ["resources.n.cpus: None -> 4", "resources.n.gpus: None -> 0.0"]),
        ({"concurrency": 2}, ["concurrency: None -> 2"]),
        ({"dataset": "/data/bundles/example"}, ["dataset: 'bundles/example' -> '/data/bundles/example'"]),
        ({"storage": "/data/runs"}, ["storage: 'runs' -> '/data/runs'"]),
        ({"search_space": "other.yaml"}, ["search_space: 'space.yaml' -> 'other.yaml'"]),
    ],
)
def test_budget_resources_and_places_may_change_and_are_told(change, lines):
    assert reconcile(started(a_job()), a_job(**change), "0123", "job.yaml") == lines


@pytest.mark.parametrize(
    ("change", "field", "before", "now"),
    [
        ({"budget": {"max_epochs": 27, "trials": 20}}, "budget.max_epochs", "9", "27"),
        ({"scheduler": {"grace_epochs": 3}}, "scheduler.grace_epochs", "1", "3"),
        ({"search": {"policy": "plain"}}, "search.policy", "'pooled'", "'plain'"),
        ({"variants": ["n", "s", "m"]}, "variants", "['n', 's']", "['n', 's', 'm']"),
        ({"train": {"optimizer": "AdamW"}}, "train.optimizer", "'SGD'", "'AdamW'"),
        ({"train": {"optimizer": "SGD", "imgsz": 96}}, "train.imgsz", "None", "96"),
        ({"train": {}}, "train.optimizer", "'SGD'", "None"),
        ({"weights": "scratch"}, "weights", "'coco'", "'scratch'"),
        ({"missing_weights": "scratch"}, "missing_weights", "'error'", "'scratch'"),
        ({"seed": 1}, "seed", "0", "1"),
        ({"name": "other"}, "name", "'example'", "'other'"),
    ],
)
def test_what_would_compare_trials_unlike_each_other_is_refused(change, field, before, now):
    with pytest.raises(RunError) as caught:
        reconcile(started(a_job()), a_job(**change), "0123", "job.yaml")
    assert str(caught.value) == (
        f"job.yaml: {field} = {now}: the run 'example' was started with {before} "
        "(give the job another name, or set it back)"
    )


def test_another_dataset_is_refused_by_its_digest_whatever_its_place():
    with pytest.raises(
        RunError, match=r"^job.yaml: dataset digest = '4567': the run 'example' was started with '0123'"
    ):
        reconcile(started(a_job()), a_job(), "4567", "job.yaml")


@pytest.mark.parametrize(
    ("space", "field"),
    [
        ({**SPACE, "lr0": {"loguniform": [1e-4, 1e-2]}}, "search_space.lr0.loguniform"),
        ({"lr0": SPACE["lr0"]}, "search_space.mosaic.uniform"),
        ({**SPACE, "scale": {"uniform": [0.0, 0.9]}}, "search_space.scale.uniform"),
        (
            {**SPACE, "per_variant": {"s": {"lr0": {"loguniform": [1e-4, 1e-2]}}}},
            "search_space.per_variant.s.lr0.loguniform",
        ),
    ],
)
def test_another_search_space_is_refused_by_its_values_whatever_its_file(space, field):
    with pytest.raises(RunError) as caught:
        reconcile(started(a_job()), a_job(space), "0123", "job.yaml")
    assert [problem.field for problem in caught.value.problems] == [field]


def test_all_differences_are_told_at_once():
    changed = a_job({"lr0": SPACE["lr0"]}, seed=1, scheduler={"reduction_factor": 2}, concurrency=1)
    with pytest.raises(RunError) as caught:
        reconcile(started(a_job()), changed, "4567", "job.yaml")
    assert [problem.field for problem in caught.value.problems] == [
        "dataset digest",
        "scheduler.reduction_factor",
        "search_space.mosaic.uniform",
        "seed",
    ]


def augmented(transforms, copies=0):
    offline = {"copies": copies, "transforms": [{"Blur": {}}]}
    file = parse_augmentation({"online": transforms, "offline": offline}, "augment.yaml")
    return a_job(augment="augment.yaml").model_copy(update={"augmentation": file})


def with_transforms(job):
    return replace(started(job), augmentation=job.augmentation.to_flat())


def test_the_transforms_of_a_run_may_not_change():
    noise, more = [{"GaussNoise": {"p": 0.1}}], [{"GaussNoise": {"p": 0.2}}]
    run = with_transforms(augmented(noise))
    assert reconcile(run, augmented(noise, copies=3), "0123", "job.yaml") == []  # the offline part is the bundle's
    with pytest.raises(RunError, match=r"augmentation.online = .*0.2.*: the run 'example' was started with .*0.1"):
        reconcile(run, augmented(more), "0123", "job.yaml")
    with pytest.raises(RunError, match=r"augmentation.online = None"):
        reconcile(run, a_job(), "0123", "job.yaml")
