from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from segsweep.config.job import Job
from segsweep.errors import ConfigError
from segsweep.storage.local import LocalStore
from segsweep.training.weights import gather_weights, missing_weights, node_weights


def _job(**changes: Any) -> Job:
    data = {
        "name": "cats",
        "dataset": "bundles/cats",
        "storage": "runs",
        "search_space": "space.yaml",
        "variants": ["n", "s"],
        "budget": {"max_epochs": 7, "trials": 2},
    }
    return Job.model_validate({**data, **changes})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "yolov8n-seg.pt").write_bytes(b"weights of n")
    (folder / "notes.txt").write_text("not weights")
    return folder


def test_a_missing_size_is_told_with_what_is_there(weights: Path) -> None:
    problem = missing_weights(_job(weights=str(weights)), "job.yaml")[0]
    assert problem.rule == "lacks yolov8s-seg.pt; there is yolov8n-seg.pt"
    assert problem.field == "weights"
    assert problem.value == str(weights)


def test_nothing_is_missing_where_scratch_may_take_its_place(weights: Path) -> None:
    assert missing_weights(_job(weights=str(weights), missing_weights="scratch"), "job.yaml") == []
    assert missing_weights(_job(weights="scratch"), "job.yaml") == []


def test_weights_are_copied_into_the_run_and_missing_ones_start_from_random(weights: Path, tmp_path: Path) -> None:
    run = LocalStore(tmp_path / "run")
    keys = gather_weights(_job(weights=str(weights), missing_weights="scratch"), run, "job.yaml")
    digest = hashlib.sha256(b"weights of n").hexdigest()[:12]
    assert keys == {"n": f"weights/{digest}/yolov8n-seg.pt", "s": None}
    assert run.read(f"weights/{digest}/yolov8n-seg.pt") == b"weights of n"


def test_a_run_keeps_the_weights_it_was_started_with(weights: Path, tmp_path: Path) -> None:
    run = LocalStore(tmp_path / "run")
    job = _job(weights=str(weights), variants=["n"])
    keys = gather_weights(job, run, "job.yaml")
    run.write("run.json", b"{}")
    (weights / "yolov8n-seg.pt").unlink()
    assert gather_weights(job, run, "job.yaml") == keys
    assert run.read(str(keys["n"])) == b"weights of n"


def test_an_attempt_that_did_not_become_a_run_leaves_no_weights(weights: Path, tmp_path: Path) -> None:
    run = LocalStore(tmp_path / "run")
    job = _job(weights=str(weights), variants=["n"])
    gather_weights(job, run, "job.yaml")
    (weights / "yolov8n-seg.pt").write_bytes(b"others")
    key = gather_weights(job, run, "job.yaml")["n"]
    assert [info.key for info in run.list("weights/")] == [key]
    assert run.read(str(key)) == b"others"


def test_gathering_refuses_a_size_without_weights(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lacks yolov8s-seg\.pt"):
        gather_weights(_job(weights=str(weights)), LocalStore(tmp_path / "run"), "job.yaml")


def test_scratch_needs_no_file(tmp_path: Path) -> None:
    run = LocalStore(tmp_path / "run")
    assert gather_weights(_job(weights="scratch"), run, "job.yaml") == {"n": None, "s": None}


def test_a_node_fetches_a_file_once(tmp_path: Path) -> None:
    run = LocalStore(tmp_path / "run")
    run.write("weights/0123/yolov8n-seg.pt", b"first")
    path = node_weights(run, "weights/0123/yolov8n-seg.pt", tmp_path / "cache")
    run.delete("weights/0123/yolov8n-seg.pt")
    assert node_weights(run, "weights/0123/yolov8n-seg.pt", tmp_path / "cache") == path
    assert path.read_bytes() == b"first"
    assert path.name == "yolov8n-seg.pt"
