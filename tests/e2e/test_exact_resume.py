"""A trial that is killed between two epochs and resumed ends with the same bits as one that was not (CPU)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

# One trial without Ray; argv: run folder, bundle, cache, optimizer, epoch to be killed after (0: never), transforms.
SCRIPT = """
import json, os, signal, sys
from pathlib import Path
run, bundle, cache, optimizer, last, transforms = sys.argv[1:]
from segsweep.dataset.environment import prepare_ultralytics
prepare_ultralytics(Path(cache))
from segsweep.config.augmentation import parse_augmentation
from segsweep.config.job import Job
from segsweep.core.trials import TrialRecord
from segsweep.training.task import SweepContext, TrialTask
from segsweep.training.trial import train_trial
job = Job.model_validate(dict(
    name="exact", dataset=bundle, storage="unused", search_space="unused", variants=["n"], weights="scratch",
    budget=dict(max_epochs=5, trials=1), scheduler=dict(grace_epochs=2), resources=dict(n=dict(gpus=0, cpus=1)),
    train=dict(imgsz=64, batch=4, nbs=12, warmup_epochs=2, close_mosaic=1),
))
params = dict(optimizer=optimizer, lr0=0.002, momentum=0.9, mosaic=0.7, copy_paste=0.5, mixup=0.2)
augmentation = None
if transforms:
    augmentation = parse_augmentation({"online": json.loads(transforms)}, "augment.yaml")
    params["augment.GaussNoise.p"] = 0.6
record = TrialRecord("t0001", 1, "n", params, None, False, "n-t0001")
def report(row):
    if row["epoch"] == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
train_trial(TrialTask(SweepContext(run, bundle, Path(cache), job, {"n": None}, augmentation), record), report)
"""


def _train(run: Path, bundle: Path, cache: Path, optimizer: str, last: int = 0, transforms: str = "") -> int:
    command = [sys.executable, "-c", SCRIPT, run, bundle, cache, optimizer, last, transforms]
    return subprocess.run(list(map(str, command)), check=False, capture_output=True).returncode


def _final_state(run: Path) -> Any:
    return torch.load(run / "trials" / "n-t0001" / "checkpoints" / "epoch-0005.pt", weights_only=True)


def _without_seconds(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_a_killed_and_resumed_trial_has_the_same_bits(
    optimizer: str, sample_bundles: Path, node_cache: Path, tmp_path: Path
) -> None:
    bundle = next(sample_bundles.glob("demo-*"))
    assert _train(tmp_path / "whole", bundle, node_cache, optimizer) == 0
    assert _train(tmp_path / "cut", bundle, node_cache, optimizer, last=2) == -9
    assert _train(tmp_path / "cut", bundle, node_cache, optimizer) == 0
    whole, cut = _final_state(tmp_path / "whole"), _final_state(tmp_path / "cut")
    for state in ("model", "ema"):
        assert all(torch.equal(whole[state][name], cut[state][name]) for name in whole[state])
    assert _without_seconds(whole["rows"]) == _without_seconds(cut["rows"])
    assert [row["epoch"] for row in cut["rows"]] == [1, 2, 3, 4, 5]


TRANSFORMS: list[dict[str, Any]] = [
    {"HorizontalFlip": {"p": 0.5}},
    {"Rotate": {"limit": 20, "p": 0.5}},
    {"GaussNoise": {"p": 0.1}},
    {"CoarseDropout": {"p": 0.5}},
]


def test_a_jobs_own_transforms_are_drawn_anew_to_the_same_bits(
    sample_bundles: Path, node_cache: Path, tmp_path: Path
) -> None:
    bundle, transforms = next(sample_bundles.glob("demo-*")), json.dumps(TRANSFORMS)
    assert _train(tmp_path / "whole", bundle, node_cache, "SGD", transforms=transforms) == 0
    assert _train(tmp_path / "cut", bundle, node_cache, "SGD", last=2, transforms=transforms) == -9
    assert _train(tmp_path / "cut", bundle, node_cache, "SGD", transforms=transforms) == 0
    assert _train(tmp_path / "plain", bundle, node_cache, "SGD") == 0
    whole, cut, plain = (_final_state(tmp_path / name) for name in ("whole", "cut", "plain"))
    assert all(torch.equal(whole["model"][name], cut["model"][name]) for name in whole["model"])
    assert _without_seconds(whole["rows"]) == _without_seconds(cut["rows"])
    assert _without_seconds(whole["rows"]) != _without_seconds(plain["rows"])
    trial = tmp_path / "cut" / "trials" / "n-t0001"
    (written,) = yaml.safe_load((trial / "arguments.yaml").read_text())["augmentations"]
    inner = written["transform"]["transforms"]
    assert [one["__class_fullname__"] for one in inner] == [next(iter(one)) for one in TRANSFORMS]
    assert inner[2]["p"] == 0.6  # the trial's, not the file's
    assert "GaussNoise" in (trial / "log.txt").read_text()


def test_a_truncated_checkpoint_costs_one_epoch_and_no_bit(
    sample_bundles: Path, node_cache: Path, tmp_path: Path
) -> None:
    bundle = next(sample_bundles.glob("demo-*"))
    assert _train(tmp_path / "whole", bundle, node_cache, "SGD") == 0
    assert _train(tmp_path / "cut", bundle, node_cache, "SGD", last=3) == -9
    # The third may have been on its way when the kill came.
    newest = max((tmp_path / "cut" / "trials" / "n-t0001" / "checkpoints").glob("epoch-*.pt"))
    newest.write_bytes(newest.read_bytes()[:100_000])
    assert _train(tmp_path / "cut", bundle, node_cache, "SGD") == 0
    whole, cut = _final_state(tmp_path / "whole"), _final_state(tmp_path / "cut")
    assert all(torch.equal(whole["model"][name], cut["model"][name]) for name in whole["model"])
    assert "is not a whole checkpoint" in (tmp_path / "cut" / "trials" / "n-t0001" / "log.txt").read_text()
