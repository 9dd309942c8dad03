"""A trial over several processes of one machine: two on a CPU, over gloo. On several GPUs, over NCCL, untested."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from shell import wait_until

# One trial in two ranks, without Ray; argv: run folder, bundle, cache, epochs, after which epoch to do what. It prints
# a line an epoch.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
run, bundle, cache, epochs, last, what = sys.argv[1:]
from segsweep.config.job import Job
from segsweep.core.trials import TrialRecord
from segsweep.training.ranks import train_in_ranks
from segsweep.training.rendezvous import StopTraining
from segsweep.training.task import SweepContext, TrialTask
job = Job.model_validate(dict(
    name="ranks", dataset=bundle, storage="unused", search_space="unused", variants=["n"], weights="scratch",
    budget=dict(max_epochs=int(epochs), trials=1), scheduler=dict(grace_epochs=int(epochs), reduction_factor=2),
    checkpoint_minutes=60, resources=dict(n=dict(gpus=0, cpus=1)),
    train=dict(imgsz=64, batch=8, nbs=24, warmup_epochs=1, close_mosaic=1, optimizer="SGD", lr0=0.002),
))
record = TrialRecord("t0001", 1, "n", {}, None, False, "n-t0001")
seen = []
def report(row):
    seen.append(row["epoch"])
    print(int(row["epoch"]), flush=True)
    if row["epoch"] == int(last) and what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
def on_batch():
    if seen and seen[-1] == int(last) and what == "stop":
        raise StopTraining  # in the middle of the next epoch
task = TrialTask(SweepContext(run, bundle, Path(cache), job, {"n": None}, None), record)
try:
    train_in_ranks(task, report, on_batch, 2)
except StopTraining:
    print("stopped")
"""
EPOCHS = 3

Train = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def train(sample_bundles: Path, node_cache: Path) -> Train:
    def start(run: Path, last: int = 0, what: str = "", **environment: str) -> subprocess.Popen[str]:
        bundle = next(sample_bundles.glob("demo-*"))
        command = [sys.executable, "-c", SCRIPT, run, bundle, node_cache, EPOCHS, last, what]
        return subprocess.Popen(
            list(map(str, command)),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | environment,
        )

    return start


def _ranks() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "segsweep.training.rank" in (process.info["cmdline"] or []):
            found.append(process)
    return found


def _state(run: Path, epoch: int = EPOCHS) -> dict[str, Any]:
    path = run / "trials" / "n-t0001" / "checkpoints" / f"epoch-{epoch:04d}.pt"
    return torch.load(path, weights_only=True)  # type: ignore[no-any-return]


def _digest(state: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for part in ("model", "ema"):
        for name, tensor in sorted(state[part].items()):
            digest.update(f"{part}.{name}".encode() + tensor.contiguous().numpy().tobytes())
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in state["rows"]]
    digest.update(json.dumps(rows).encode())
    return digest.hexdigest()


def test_two_processes_train_one_trial_and_one_that_is_killed_and_resumed_has_the_same_bits(
    train: Train, tmp_path: Path
) -> None:
    whole = train(tmp_path / "whole")
    out, err = whole.communicate()
    assert (whole.returncode, out.split()) == (0, ["1", "2", "3"]), err
    metrics = (tmp_path / "whole" / "trials" / "n-t0001" / "metrics.csv").read_text().splitlines()
    assert len(metrics) == 1 + EPOCHS

    cut = train(tmp_path / "cut", 2, "kill")
    cut.communicate()
    assert cut.returncode == -signal.SIGKILL
    wait_until(lambda: not _ranks(), 20, "ranks that end with whoever started them")
    resumed = train(tmp_path / "cut")
    out, err = resumed.communicate()
    assert (resumed.returncode, out.split()) == (0, ["1", "2", "3"]), err
    assert _digest(_state(tmp_path / "cut")) == _digest(_state(tmp_path / "whole"))


def test_a_trial_that_is_stopped_in_the_middle_of_an_epoch_keeps_its_newest(train: Train, tmp_path: Path) -> None:
    stopped = train(tmp_path, 2, "stop")
    out, err = stopped.communicate()
    assert (stopped.returncode, out.split()) == (0, ["1", "2", "stopped"]), err
    assert _state(tmp_path, 2)["epoch"] == 2  # no rung, and minutes before a checkpoint was due
    assert not _ranks()


@pytest.mark.parametrize("number", [0, 1])
def test_a_process_that_dies_ends_the_trial_in_words_and_the_other_with_it(
    train: Train, tmp_path: Path, number: int
) -> None:
    training = train(tmp_path)
    assert training.stdout is not None
    assert training.stdout.readline() == "1\n"
    (victim,) = [one for one in _ranks() if one.environ()["RANK"] == str(number)]
    victim.kill()
    began = time.monotonic()
    _, err = training.communicate(timeout=60)
    assert f"TrialError: the process of GPU {number} died with exit code -9" in err
    assert training.returncode == 1
    assert time.monotonic() - began < 30  # not when gloo or NCCL lose their patience
    assert not _ranks()


def test_what_a_process_raises_is_what_the_trial_raises(train: Train, tmp_path: Path) -> None:
    (tmp_path / "trials").write_text("a file where the trial's folder should be")
    training = train(tmp_path)
    _, err = training.communicate(timeout=60)
    assert "StorageError" in err.splitlines()[-1]
    assert training.returncode == 1
    assert not _ranks()
