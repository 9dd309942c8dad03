"""A disk that is full, the run's or the node's, ends the sweep in words, fails no trial, and loses nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shell import Shell, wait_until

FULL = r"No space left on device; [\d.]+ MB are needed, [\d.]+ of \d+ MB are free in {}.* on \S+ \(free space there"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 MB: seven checkpoints of size n."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        message = "a small disk can be mounted by root only"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def job(bundles: Path, storage: Path) -> tuple[str, ...]:
    return (
        "jobs/demo.yaml",
        "--set", f"dataset={bundles / 'demo'}",
        "--set", f"storage={storage}",
        "--set", "variants=[n]",
        "--set", "budget={max_epochs: 3, trials: 2}",
        "--set", "scheduler={grace_epochs: 1, reduction_factor: 2}",
        "--set", "train.imgsz=32",
        "--set", "concurrency=1",
    )  # fmt: skip


def fill(disk: Path) -> None:
    """Leave no byte."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


@pytest.mark.parametrize("place", ["run", "node"])
def test_a_full_disk_is_told_fails_no_trial_and_the_same_command_goes_on(
    place: str, shell: Shell, sample_bundles: Path, small_disk: Path, tmp_path: Path
) -> None:
    run, cache = (tmp_path / "runs", tmp_path / "cache")
    if place == "run":
        run = small_disk / "runs"
    else:
        cache = small_disk / "cache"
    user = shell.with_env(SEGSWEEP_CACHE=str(cache))
    log = tmp_path / "first.log"
    first = user.start("sweep", *job(sample_bundles, run), log=log)

    def in_the_middle() -> bool:
        assert first.poll() is None, log.read_text()[-3000:]
        return "epoch 1/3" in log.read_text()

    wait_until(in_the_middle, 200, "the first epoch")
    fill(small_disk)
    assert first.wait(200) == 3, log.read_text()
    assert re.search(FULL.format(small_disk), log.read_text()), log.read_text()
    assert "Traceback" not in log.read_text()
    assert not list(small_disk.rglob(".segsweep-tmp-*")), "half a file was left"
    records = [json.loads(path.read_text()) for path in run.glob("demo/trials/*/trial.json")]
    assert {record["status"] for record in records} <= {"PENDING", "RUNNING", "COMPLETED"}
    (small_disk / "filler").unlink()
    user.run("sweep", *job(sample_bundles, run))
    trials = user.facts("status", run / "demo")["trials"]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 2
