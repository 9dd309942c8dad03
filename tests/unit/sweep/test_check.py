"""What a dry run finds without a cluster."""

from types import SimpleNamespace

import pytest

from examples import a_job
from segsweep.config.augmentation import parse_augmentation
from segsweep.dataset.augmentation.transforms import albumentations
from segsweep.sweep.check import (
    CheckFacts,
    augmentation_problems,
    dataset_problems,
    fit_problems,
)

albumentations()  # imported with this file: it takes longer than a test may


def manifest(imgsz=640, **images):
    return SimpleNamespace(imgsz=imgsz, splits={name: SimpleNamespace(images=count) for name, count in images.items()})


def test_a_size_that_asks_for_more_than_there_is_would_wait_for_ever():
    job = a_job(variants=["n"], resources={"n": {"gpus": 0.5, "cpus": 8}}).job
    assert [str(problem) for problem in fit_problems(job, [{"CPU": 2.0}], "job.yaml")] == [
        "job.yaml: resources.n.gpus = 0.5: there are 0 GPUs: this size would wait for ever (--set resources.n.gpus=0)",
        "job.yaml: resources.n.cpus = 8: there are 2 CPUs: this size would wait for ever (--set resources.n.cpus=2)",
    ]
    assert fit_problems(job, [{"CPU": 8.0, "GPU": 1.0}], "job.yaml") == []


def test_several_gpus_of_a_trial_must_be_of_one_machine():
    job = a_job(variants=["n"], resources={"n": {"gpus": 2, "cpus": 8}}).job
    machines = [{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}]
    assert [str(problem) for problem in fit_problems(job, machines, "job.yaml")] == [
        "job.yaml: resources.n.gpus = 2: there are 1 GPUs on a machine: this size would wait for ever (ask for less)"
    ]
    assert fit_problems(job, [*machines, {"CPU": 8.0, "GPU": 2.0}], "job.yaml") == []


def test_a_missing_split_and_too_small_images_are_told_together():
    job = a_job(train={"imgsz": 320, "optimizer": "SGD"}).job
    problems = dataset_problems(job, manifest(256, train=5, val=0), "job.yaml")
    assert [problem.rule for problem in problems] == [
        "the bundle has no val images",
        "the bundle has no test images",
        "the bundle's images are 256 pixels: training would enlarge them",
    ]
    assert dataset_problems(job, manifest(320, train=5, val=1, test=1), "job.yaml") == []


def test_the_expected_cost_trains_defaults_fully_and_thins_out_the_rest():
    job = a_job(budget={"max_epochs": 9, "trials": 20}, scheduler={"grace_epochs": 1, "reduction_factor": 3})
    facts = CheckFacts(job, "bundle", manifest(), ())
    assert facts.worst_case_epochs == 180
    # Two defaults train 9 epochs each; of 18 others all train 1, a third 2 more, a ninth 6 more.
    assert facts.expected_epochs == pytest.approx(18 + 18 * (1 + 2 / 3 + 6 / 9))


def test_transforms_and_what_the_search_may_give_them_are_asked_of_albumentations():
    online = [{"GaussNoise": {"p": 0.1, "var": 3}}, {"RandomScale": {}}]
    space = {"lr0": {"uniform": [0.01, 0.1]}, "augment.GaussNoise.p": {"uniform": [0.5, 1.5]}}
    file = parse_augmentation({"online": online}, "augment.yaml")
    job = a_job(space, augment="augment.yaml").model_copy(update={"augmentation": file})
    told = [str(problem) for problem in augmentation_problems(job)]
    assert told[0].startswith("augment.yaml: online[0].GaussNoise.var = 3: GaussNoise has no such parameter")
    assert told[1].startswith("augment.yaml: online[1].RandomScale: must keep the size of the picture")
    assert told[2] == (
        "space.yaml: augment.GaussNoise.p = 1.5: albumentations refuses it: Input should be less than or equal to 1"
    )
    assert len(told) == 3
    assert augmentation_problems(a_job()) == []
