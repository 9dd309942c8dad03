"""What a dry run finds without a cluster."""

import socket
from types import SimpleNamespace

import pytest

from examples import a_job
from segsweep.errors import ConfigError
from segsweep.sweep.check import CheckFacts, _require_listener, cluster_address, dataset_problems, fit_problems


def manifest(imgsz=640, **images):
    return SimpleNamespace(imgsz=imgsz, splits={name: SimpleNamespace(images=count) for name, count in images.items()})


def test_a_size_that_asks_for_more_than_there_is_would_wait_for_ever():
    job = a_job(variants=["n"], resources={"n": {"gpus": 0.5, "cpus": 8}}).job
    assert [str(problem) for problem in fit_problems(job, {"CPU": 2.0}, "job.yaml")] == [
        "job.yaml: resources.n.gpus = 0.5: there are 0 GPUs: this size would wait for ever (--set resources.n.gpus=0)",
        "job.yaml: resources.n.cpus = 8: there are 2 CPUs: this size would wait for ever (--set resources.n.cpus=2)",
    ]
    assert fit_problems(job, {"CPU": 8.0, "GPU": 1.0}, "job.yaml") == []


def test_a_missing_split_and_too_small_images_are_told_together():
    job = a_job(train={"imgsz": 320, "optimizer": "SGD"}).job
    problems = dataset_problems(job, manifest(256, train=5, val=0), "job.yaml")
    assert [problem.rule for problem in problems] == [
        "the bundle has no val images",
        "the bundle has no test images",
        "the bundle's images are 256 pixels: training would enlarge them",
    ]
    assert dataset_problems(job, manifest(320, train=5, val=1, test=1), "job.yaml") == []


def test_an_address_where_nobody_listens_is_told_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConfigError, match="no cluster answers"):
        _require_listener(f"127.0.0.1:{port}")


def test_a_listener_is_enough():
    with socket.create_server(("127.0.0.1", 0)) as server:
        _require_listener(f"ray://127.0.0.1:{server.getsockname()[1]}")
    _require_listener("auto")


@pytest.mark.parametrize(("value", "address"), [(None, None), ("", None), ("local", None), ("head:6379", "head:6379")])
def test_only_a_real_address_means_a_cluster(value, address, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if value is not None:
        monkeypatch.setenv("RAY_ADDRESS", value)
    assert cluster_address() == address


def test_the_expected_cost_trains_defaults_fully_and_thins_out_the_rest():
    job = a_job(budget={"max_epochs": 9, "trials": 20}, scheduler={"grace_epochs": 1, "reduction_factor": 3})
    facts = CheckFacts(job, "bundle", manifest(), {})
    assert facts.worst_case_epochs == 180
    # Two defaults train 9 epochs each; of 18 others all train 1, a third 2 more, a ninth 6 more.
    assert facts.expected_epochs == pytest.approx(18 + 18 * (1 + 2 / 3 + 6 / 9))
