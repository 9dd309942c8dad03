"""On a GPU: a resumed trial ends with the same bits, and one that is too large goes on with half the batch.

CI has no GPU and does not collect this folder: `python -m pytest tests/gpu`. docs/gpu.md says what was seen.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

# One trial without Ray; argv: run folder, bundle, cache, and the rest as JSON.
SCRIPT = """
import json, os, signal, sys
from pathlib import Path
run, bundle, cache, rest = sys.argv[1:]
rest = json.loads(rest)
from segsweep.dataset.environment import prepare_ultralytics
prepare_ultralytics(Path(cache))
import torch
from segsweep.config.job import Job
from segsweep.core.trials import TrialRecord
from segsweep.training import trial
from segsweep.training.task import SweepContext, TrialTask
trial._loader_workers = lambda task: rest["workers"]
if rest["limit"]:
    torch.cuda.set_per_process_memory_fraction(rest["limit"] / torch.cuda.get_device_properties(0).total_memory)
job = Job.model_validate(dict(
    name="gpu", dataset=bundle, storage="unused", search_space="unused", variants=["n"], weights="scratch",
    budget=dict(max_epochs=2, trials=1), scheduler=dict(grace_epochs=1, reduction_factor=2),
    resources=dict(n=dict(gpus=1, cpus=4)),
    train=dict(imgsz=rest["imgsz"], batch=rest["batch"], nbs=rest["batch"], warmup_epochs=1, close_mosaic=1),
))
params = dict(optimizer=rest["optimizer"], lr0=0.002, momentum=0.9, mosaic=0.7, copy_paste=0.5, mixup=0.2)
record = TrialRecord("t0001", 1, "n", params, None, False, "n-t0001", gpus=1.0)
def report(row):
    if row["epoch"] == rest["last"]:
        os.kill(os.getpid(), signal.SIGKILL)
trial.train_trial(TrialTask(SweepContext(run, bundle, Path(cache), job, {"n": None}, None), record), report)
print(torch.cuda.max_memory_allocated())
"""


class Gpu:
    """Trials of size n on one bundle; each run is a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._env = {**os.environ, "SEGSWEEP_CACHE": str(folder / "cache")}
        self._segsweep("sample", "raw", "--format", "yolo", "--images", "96", "--imgsz", "320")
        self._segsweep("prepare", "raw", "--to", "bundles", "--name", "gpu", "--imgsz", "320")

    def _segsweep(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "segsweep", *arguments]
        subprocess.run(command, cwd=self.folder, env=self._env, check=True, capture_output=True)

    def train(self, run: str, code: int = 0, **changes: Any) -> int:
        """Train; bytes of GPU memory that were allocated at most, 0 for one that is killed."""
        rest = {"optimizer": "SGD", "workers": 4, "imgsz": 320, "batch": 16, "last": 0, "limit": 0, **changes}
        (bundle,) = (self.folder / "bundles").iterdir()
        command = [sys.executable, "-c", SCRIPT, self.folder / run, bundle, self.folder / "cache", json.dumps(rest)]
        done = subprocess.run([*map(str, command)], env=self._env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr[-3000:]
        return 0 if code else int(done.stdout.splitlines()[-1])

    def checkpoint(self, run: str) -> dict[str, Any]:
        """The last; its tensors on the device that they were saved from."""
        folder = self.folder / run / "trials" / "n-t0001" / "checkpoints"
        state: dict[str, Any] = torch.load(folder / "epoch-0002.pt", weights_only=True)
        return state


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> Gpu:
    return Gpu(tmp_path_factory.mktemp("gpu"))


def _differing(a: Any, b: Any, name: str = "") -> list[str]:
    if isinstance(a, torch.Tensor):
        assert a.device == b.device == torch.device("cpu")
        return [] if torch.equal(a, b) else [name]
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        return [found for key in a if key != "seconds" for found in _differing(a[key], b[key], f"{name}.{key}")]
    if isinstance(a, list):
        assert len(a) == len(b)
        return [found for number in range(len(a)) for found in _differing(a[number], b[number], f"{name}.{number}")]
    return [] if a == b else [name]


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_a_trial_that_is_killed_and_resumed_with_other_loader_workers_ends_with_the_same_bits(
    gpu: Gpu, optimizer: str
) -> None:
    gpu.train(f"whole-{optimizer}", optimizer=optimizer)
    gpu.train(f"killed-{optimizer}", code=-signal.SIGKILL, optimizer=optimizer, last=1)
    gpu.train(f"killed-{optimizer}", optimizer=optimizer, workers=0)
    assert _differing(gpu.checkpoint(f"whole-{optimizer}"), gpu.checkpoint(f"killed-{optimizer}")) == []


def test_a_trial_that_does_not_fit_goes_on_with_half_the_batch(gpu: Gpu) -> None:
    large = gpu.train("large", imgsz=640, batch=48)
    small = gpu.train("small", imgsz=640, batch=24)
    gpu.train("limited", imgsz=640, batch=48, limit=(large + small) / 2 * 1.07)
    assert [row["batch"] for row in gpu.checkpoint("limited")["rows"]] == [24, 24]
    assert [row["batch"] for row in gpu.checkpoint("large")["rows"]] == [48, 48]
