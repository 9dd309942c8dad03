"""Every mistake exits with its code, names file or key, value and rule, and leaves nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shell import Shell


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    if os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("mounting a small disk needs root")
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def broken_bundle(sample_bundles: Path, tmp_path: Path) -> Path:
    """A bundle whose first train shard has lost its end."""
    bundle = tmp_path / "bundles" / next(sample_bundles.glob("demo-*")).name
    shutil.copytree(next(sample_bundles.glob("demo-*")), bundle)
    shard = next(bundle.glob("shards/train-*.tar"))
    shard.write_bytes(shard.read_bytes()[:-2000])
    return bundle


def test_every_mistake_of_a_job_is_told_at_once(shell: Shell) -> None:
    told = shell.run(
        "check", "jobs/demo.yaml",
        "--set", "bogus=1",
        "--set", "budget.trials=many",
        "--set", "scheduler.grace_epochs=99",
        "--set", "train.optimizer=auto",
        "--set", "search_space.lr0={uniform: [0, 100]}",
        code=2,
    ).stderr  # fmt: skip
    for part in ("bogus", "budget.trials", "scheduler.grace_epochs", "train.optimizer", "lr0"):
        assert part in told


def test_searching_the_learning_rate_with_optimizer_auto_is_refused(shell: Shell) -> None:
    space = shell.cwd / "search_spaces" / "lr.yaml"
    space.write_text("lr0: {loguniform: [1.0e-4, 1.0e-2]}\n")
    told = shell.run("check", "jobs/demo.yaml", "--set", "search_space=search_spaces/lr.yaml", code=2).stderr
    assert "optimizer auto ignores lr0" in told


@pytest.mark.parametrize(
    ("args", "code", "part"),
    [
        (("sweep", "jobs/none.yaml"), 2, "no such file"),
        (("status", "nowhere"), 4, "no run is here"),
        (("report", "nowhere", "--out", "out"), 4, "no run is here"),
        (("prepare", "nowhere", "--to", "bundles"), 3, "nowhere"),
        (("prepare", "jobs", "--to", "bundles", "--split", "1,2"), 2, "--split"),
        (("sweep", "jobs/demo.yaml", "--set", "dataset=nowhere"), 3, "nowhere"),
    ],
)
def test_a_wrong_argument_is_told_in_words(shell: Shell, args: tuple[str, ...], code: int, part: str) -> None:
    assert part in shell.run(*args, code=code).stderr
    assert not (shell.cwd / "bundles").exists()
    assert not (shell.cwd / "out").exists()


def test_a_truncated_shard_fails_its_trials_by_name_and_stages_nothing(
    shell: Shell, broken_bundle: Path, tmp_path: Path
) -> None:
    fresh = shell.with_env(SEGSWEEP_CACHE=str(tmp_path / "cache"))
    done = fresh.run(
        "sweep", "jobs/demo.yaml",
        "--set", f"dataset={broken_bundle}",
        "--set", f"storage={tmp_path / 'runs'}",
        "--set", "budget.trials=1",
        "--set", "variants=[n]",
        "--set", "train.imgsz=64",
        code=3,
    )  # fmt: skip
    assert "train-00000.tar" in done.stderr
    assert not list((tmp_path / "cache" / "bundles").glob("demo-*/complete.json"))


def test_a_full_disk_is_told_and_leaves_no_half_bundle(shell: Shell, small_disk: Path) -> None:
    shell.run("sample", "raw", "--format", "coco", "--images", 40, "--imgsz", 1280)
    told = shell.run("prepare", "raw", "--to", small_disk / "bundles", "--imgsz", 1280, code=3).stderr
    assert str(small_disk) in told
    assert not list(small_disk.rglob("manifest.json"))


def test_a_full_disk_under_a_run_is_told_and_the_run_goes_on_when_there_is_room(
    shell: Shell, small_disk: Path, sample_bundles: Path
) -> None:
    job = (
        "jobs/demo.yaml",
        "--set", f"storage={small_disk}",
        "--set", f"dataset={sample_bundles / 'demo'}",
        "--set", "variants=[n]",
        "--set", "budget={max_epochs: 1, trials: 1}",
        "--set", "scheduler.grace_epochs=1",
        "--set", "train.imgsz=64",
    )  # fmt: skip
    told = shell.run("sweep", *job, code=3).stderr
    assert str(small_disk) in told
    subprocess.run(["mount", "-o", "remount,size=400m", small_disk], check=True)
    shell.run("sweep", *job)
    assert shell.facts("status", small_disk / "demo")["trials"][0]["status"] == "COMPLETED"
