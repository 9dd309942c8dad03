"""Dataset, run storage, report and export on a real S3 server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seaweed import SeaweedServer
from shell import Shell, kill_tree, wait_until

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def s3_shell(shell: Shell, seaweed: SeaweedServer) -> Shell:
    return shell.with_env(**seaweed.environment)


def test_a_sweep_on_s3_is_killed_resumed_reported_and_exported(s3_shell: Shell, seaweed: SeaweedServer) -> None:
    s3_shell.run("sample", "raw", "--format", "yolo", "--images", 30, "--imgsz", 64)
    prepared = s3_shell.facts("prepare", "raw", "--to", seaweed.uri("datasets"), "--name", "demo", "--imgsz", 64)
    again = s3_shell.facts("prepare", "raw", "--to", seaweed.uri("datasets"), "--name", "demo", "--imgsz", 64)
    assert prepared["digest"] == again["digest"]
    job = (
        "jobs/demo.yaml",
        "--set", f"dataset={seaweed.uri('datasets', 'demo')}",
        "--set", f"storage={seaweed.uri('sweeps')}",
        "--set", "variants=[n]",
        "--set", "budget={max_epochs: 3, trials: 3}",
        "--set", "scheduler={grace_epochs: 1, reduction_factor: 2}",
        "--set", "train.imgsz=64",
    )  # fmt: skip
    run = seaweed.uri("sweeps", "demo")
    s3_shell.run("check", *job)
    first = s3_shell.start("sweep", *job, log=s3_shell.cwd / "s3.log")

    def one_has_ended() -> bool:
        assert first.poll() is None, (s3_shell.cwd / "s3.log").read_text()[-3000:]
        status = s3_shell.run("status", run, "--json", code=0) if started() else None
        return status is not None and any(t["epoch"] >= 2 for t in json.loads(status.stdout)["trials"])

    def started() -> bool:
        log = s3_shell.cwd / "s3.log"
        return "epoch 1/3" in log.read_text()

    wait_until(one_has_ended, 400, "a trial's second epoch")
    kill_tree(first)
    s3_shell.run("sweep", *job)
    status = s3_shell.facts("status", run)
    assert status["state"] == "COMPLETED"
    assert len(status["trials"]) == 3
    facts = s3_shell.facts("report", run, "--out", "s3-report")
    assert [finalist["variant"] for finalist in facts["finalists"]] == ["n"]
    s3_shell.run("export", run, "--out", "s3-model")
    assert (s3_shell.cwd / "s3-model" / "model.onnx").stat().st_size > 1_000_000


def test_a_sweep_runs_on_the_cluster_whose_address_is_set(
    s3_shell: Shell, seaweed: SeaweedServer, ray_cluster: str
) -> None:
    s3_shell.run("sample", "far", "--format", "yolo", "--images", 30, "--imgsz", 64)
    s3_shell.run("prepare", "far", "--to", seaweed.uri("datasets"), "--name", "far", "--imgsz", 64)
    driver = s3_shell.with_env(RAY_ADDRESS=ray_cluster, RAY_AUTH_MODE="disabled")
    driver.run(
        "sweep", "jobs/demo.yaml",
        "--set", "name=far",
        "--set", f"dataset={seaweed.uri('datasets', 'far')}",
        "--set", f"storage={seaweed.uri('sweeps')}",
        "--set", "variants=[n]",
        "--set", "budget={max_epochs: 1, trials: 2}",
        "--set", "scheduler={grace_epochs: 1, reduction_factor: 2}",
        "--set", "train.imgsz=64",
    )  # fmt: skip
    status = s3_shell.facts("status", seaweed.uri("sweeps", "far"))
    assert [trial["status"] for trial in status["trials"]] == ["COMPLETED", "COMPLETED"]


def test_wrong_credentials_and_a_missing_bucket_are_told_in_words(s3_shell: Shell, seaweed: SeaweedServer) -> None:
    wrong = s3_shell.with_env(AWS_SECRET_ACCESS_KEY="wrong")
    told = wrong.run("status", seaweed.uri("sweeps", "demo"), code=3).stderr
    assert seaweed.bucket in told
    s3_shell.run("sample", "raw-too", "--format", "yolo", "--images", 30, "--imgsz", 64)
    missing = s3_shell.run("prepare", "raw-too", "--to", "s3://no-such-bucket/datasets", code=3).stderr
    assert "no-such-bucket" in missing
    assert "no run is here" in s3_shell.run("status", "s3://no-such-bucket/sweeps/demo", code=4).stderr


def test_an_unreachable_endpoint_is_told_in_words(s3_shell: Shell) -> None:
    told = s3_shell.with_env(AWS_ENDPOINT_URL="http://127.0.0.1:9").run("status", "s3://runs/sweeps/demo", code=3)
    assert "127.0.0.1:9" in told.stderr


def test_check_tells_every_problem_of_a_job_on_s3_at_once(s3_shell: Shell, tmp_path: Path) -> None:
    told = s3_shell.run(
        "check", "jobs/demo.yaml",
        "--set", "dataset=s3://no-such-bucket/datasets/demo",
        "--set", "storage=s3://no-such-bucket/sweeps",
        "--set", f"weights={tmp_path}",
        "--set", "resources.n={gpus: 1}",
        code=2,
    ).stderr  # fmt: skip
    for part in ("dataset", "sweeps", "yolov8n-seg.pt", "resources.n.gpus"):
        assert part in told
