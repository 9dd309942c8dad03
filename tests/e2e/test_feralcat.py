"""Real photographs in a layout that a real export has."""

from __future__ import annotations

from pathlib import Path

import pytest

from shell import Shell

pytestmark = pytest.mark.data


def test_real_cats_from_coco_weights_are_found_after_three_epochs(shell: Shell, real_data: Path) -> None:
    prepared = shell.facts("prepare", real_data / "feralcat", "--to", "cats", "--imgsz", 192)
    again = shell.facts("prepare", real_data / "feralcat", "--to", "cats", "--imgsz", 192)
    assert prepared["digest"] == again["digest"]
    assert sum(split["images"] for split in prepared["splits"].values()) == 201
    job = (
        "jobs/feralcat.yaml",
        "--set", f"dataset={prepared['uri']}",
        "--set", f"weights={real_data / 'weights'}",
        "--set", "storage=runs",
        "--set", "variants=[n]",
        "--set", "budget={max_epochs: 3, trials: 2}",
        "--set", "train.imgsz=192",
        "--set", "train.nbs=8",
        "--set", "train.warmup_epochs=0",
        "--set", "search_space=search_spaces/cats.yaml",
        "--set", "train.optimizer=AdamW",
    )  # fmt: skip
    (shell.cwd / "search_spaces" / "cats.yaml").write_text("lr0: {loguniform: [5.0e-4, 1.0e-3]}\n")
    shell.run("check", *job)
    shell.run("sweep", *job)
    best = max(trial["mask_map50_95"] for trial in shell.facts("status", "runs/feralcat")["trials"])
    assert best > 0.1  # random weights are at 0 after three epochs


def test_weights_that_are_missing_are_named_with_those_that_are_there(shell: Shell, real_data: Path) -> None:
    shell.run("prepare", real_data / "feralcat", "--to", "build/bundles", "--name", "feralcat", "--imgsz", 64)
    told = shell.run(
        "check", "jobs/feralcat.yaml",
        "--set", f"weights={real_data / 'weights'}",
        "--set", "missing_weights=error",
        "--set", "train.imgsz=64",
        code=2,
    ).stderr  # fmt: skip
    assert "lacks yolov8s-seg.pt" in told
    assert "there is yolov8n-seg.pt" in told
