"""A trial that is killed between two epochs and resumed ends with the same bits as one that was not (CPU)."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from segsweep.training.keeping import node_folder

logger = logging.getLogger(__name__)

Whole = Callable[..., Path]

# One trial without Ray; argv: run folder, bundle, cache, optimizer, epoch to be killed after (0: never), transforms,
# loader workers.
SCRIPT = """
import json, os, signal, sys
from pathlib import Path
run, bundle, cache, optimizer, last, transforms, workers = sys.argv[1:]
from segsweep.dataset.environment import prepare_ultralytics
prepare_ultralytics(Path(cache))
from segsweep.config.augmentation import parse_augmentation
from segsweep.config.job import Job
from segsweep.core.trials import TrialRecord
from segsweep.training import trial
from segsweep.training.task import SweepContext, TrialTask
trial._loader_workers = lambda task: int(workers)  # a GPU's trials have some
job = Job.model_validate(dict(
    name="exact", dataset=bundle, storage="unused", search_space="unused", variants=["n"], weights="scratch",
    budget=dict(max_epochs=5, trials=1), scheduler=dict(grace_epochs=2, reduction_factor=2),
    resources=dict(n=dict(gpus=0, cpus=1)),
    train=dict(imgsz=64, batch=4, nbs=12, warmup_epochs=2, close_mosaic=2),
))
params = dict(optimizer=optimizer, lr0=0.002, momentum=0.9, mosaic=0.7, copy_paste=0.5, mixup=0.2)
augmentation = None
if transforms:
    augmentation = parse_augmentation({"online": json.loads(transforms)}, "augment.yaml")
    params["augment.GaussNoise.p"] = 0.6
record = TrialRecord("t0001", 1, "n", params, None, False, "n-t0001")
exec(os.environ.get("INJECTED", ""))
def report(row):
    if row["epoch"] == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
trial.train_trial(TrialTask(SweepContext(run, bundle, Path(cache), job, {"n": None}, augmentation), record), report)
"""


TRANSFORMS: list[dict[str, Any]] = [
    {"HorizontalFlip": {"p": 0.5}},
    {"Rotate": {"limit": 20, "p": 0.5}},
    {"GaussNoise": {"p": 0.1}},
    {"CoarseDropout": {"p": 0.5}},
]


def _train(
    run: Path, bundle: Path, cache: Path, optimizer: str, last: int = 0, transforms: str = "", workers: int = 0
) -> int:
    command = [sys.executable, "-c", SCRIPT, run, bundle, cache, optimizer, last, transforms, workers]
    return subprocess.run(list(map(str, command)), check=False, capture_output=True).returncode


def _final_state(run: Path) -> Any:
    return torch.load(run / "trials" / "n-t0001" / "checkpoints" / "epoch-0005.pt", weights_only=True)


def _without_seconds(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def _digest(state: Any) -> str:
    """Of all tensors and metrics, but not of the time that epochs took."""
    digest = hashlib.sha256()
    for part in ("model", "ema"):
        for name, tensor in sorted(state[part].items()):
            digest.update(f"{part}.{name}".encode() + tensor.contiguous().numpy().tobytes())
    digest.update(repr(_without_seconds(state["rows"])).encode())
    return digest.hexdigest()[:16]


@pytest.fixture(scope="module")
def uninterrupted(sample_bundles: Path, node_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The run of a trial that nobody disturbs, without loader workers."""

    @cache
    def train(optimizer: str, transforms: str = "") -> Path:
        run = tmp_path_factory.mktemp("whole") / "run"
        assert _train(run, next(sample_bundles.glob("demo-*")), node_cache, optimizer, transforms=transforms) == 0
        return run

    return train


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_a_killed_and_resumed_trial_has_the_same_bits(
    optimizer: str, workers: int, uninterrupted: Whole, sample_bundles: Path, node_cache: Path, tmp_path: Path
) -> None:
    bundle, transforms = next(sample_bundles.glob("demo-*")), json.dumps(TRANSFORMS)
    for last, ending in ((1, -9), (3, -9), (0, 0)):
        assert _train(tmp_path, bundle, node_cache, optimizer, last, transforms, workers) == ending
    whole, cut = _final_state(uninterrupted(optimizer, transforms)), _final_state(tmp_path)
    logger.info(
        "%s: uninterrupted, no loader workers %s; killed after epochs 1 and 3, %d loader workers %s",
        optimizer, _digest(whole), workers, _digest(cut),
    )  # fmt: skip
    assert _digest(whole) == _digest(cut)
    assert [row["epoch"] for row in cut["rows"]] == [1, 2, 3, 4, 5]


def test_a_job_s_own_transforms_are_applied(uninterrupted: Whole) -> None:
    own, plain = uninterrupted("SGD", json.dumps(TRANSFORMS)), uninterrupted("SGD")
    assert _digest(_final_state(own)) != _digest(_final_state(plain))
    trial = own / "trials" / "n-t0001"
    (written,) = yaml.safe_load((trial / "arguments.yaml").read_text())["augmentations"]
    inner = written["transform"]["transforms"]
    assert [one["__class_fullname__"] for one in inner] == [next(iter(one)) for one in TRANSFORMS]
    assert inner[2]["p"] == 0.6  # the trial's, not the file's
    assert "GaussNoise" in (trial / "log.txt").read_text()


@pytest.mark.parametrize("place", ["node", "storage"])
def test_a_truncated_checkpoint_costs_one_epoch_and_no_bit(
    place: str, uninterrupted: Whole, sample_bundles: Path, node_cache: Path, tmp_path: Path
) -> None:
    bundle = next(sample_bundles.glob("demo-*"))
    on_node = node_folder(node_cache, str(tmp_path))
    # Two rungs, at epochs 2 and 4: the storage holds both after a kill at the second.
    assert _train(tmp_path, bundle, node_cache, "SGD", last=3 if place == "node" else 4) == -9
    if place == "storage":
        shutil.rmtree(on_node)  # the node is lost
    folder = (on_node if place == "node" else tmp_path) / "trials" / "n-t0001" / "checkpoints"
    newest = max(folder.glob("epoch-*.pt"))
    newest.write_bytes(newest.read_bytes()[:100_000])
    assert _train(tmp_path, bundle, node_cache, "SGD") == 0
    assert _digest(_final_state(uninterrupted("SGD"))) == _digest(_final_state(tmp_path))
    assert "is not a whole checkpoint" in (tmp_path / "trials" / "n-t0001" / "log.txt").read_text()
    assert not on_node.exists() or not list(on_node.rglob("*.pt"))


# Memory that does not suffice for a batch of four, from the third epoch on, or for any.
OUT_OF_MEMORY = """
import torch
from segsweep.training.trainer import TrialTrainer
plain = TrialTrainer.preprocess_batch
def preprocess_batch(self, batch):
    if {condition}:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB.")
    return plain(self, batch)
TrialTrainer.preprocess_batch = preprocess_batch
"""


@pytest.mark.parametrize("epoch", [1, 3])
def test_out_of_memory_is_tried_again_with_half_the_batch_from_the_last_epoch_on(
    epoch: int, uninterrupted: Whole, sample_bundles: Path, node_cache: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plain = _final_state(uninterrupted("SGD"))["rows"]
    condition = f"self.batch_size == 4 and self.epoch == {epoch - 1} and self._batch_in_epoch == 2"
    monkeypatch.setenv("INJECTED", OUT_OF_MEMORY.format(condition=condition))
    assert _train(tmp_path, next(sample_bundles.glob("demo-*")), node_cache, "SGD") == 0
    rows = _final_state(tmp_path)["rows"]
    assert [row["batch"] for row in rows] == [4] * (epoch - 1) + [2] * (6 - epoch)
    assert _without_seconds(rows[: epoch - 1]) == _without_seconds(plain[: epoch - 1])
    log = (tmp_path / "trials" / "n-t0001" / "log.txt").read_text()
    assert "out of memory with batch 4: trying half of it, and twice the accumulation" in log


def test_out_of_memory_again_fails_the_trial_and_says_what_to_do(
    sample_bundles: Path, node_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INJECTED", OUT_OF_MEMORY.format(condition="self.epoch == 1"))
    assert _train(tmp_path, next(sample_bundles.glob("demo-*")), node_cache, "SGD") == 1
    log = (tmp_path / "trials" / "n-t0001" / "log.txt").read_text()
    assert "out of memory with batch 2, the second that was tried: give size n more of a GPU" in log


# As Ray steps it, and the fourth epoch takes for ever.
STEPPED = """
import time
from segsweep.search.searcher import _RECORD
from segsweep.training.trainable import SweepTrainable
from segsweep.training.trainer import TrialTrainer
plain = TrialTrainer.preprocess_batch
def preprocess_batch(self, batch):
    time.sleep(3 if self.epoch == 3 else 0)
    return plain(self, batch)
TrialTrainer.preprocess_batch = preprocess_batch
trainable = SweepTrainable.__new__(SweepTrainable)
trainable.setup({_RECORD: record.to_json()}, SweepContext(run, bundle, Path(cache), job, {"n": None}, augmentation))
while True:
    print(trainable.step().get("epoch"), flush=True)
"""


def test_sigterm_takes_the_newest_epoch_to_the_storage_without_waiting_for_the_next(
    sample_bundles: Path, node_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INJECTED", STEPPED)
    bundle = next(sample_bundles.glob("demo-*"))
    command = [sys.executable, "-c", SCRIPT, tmp_path, bundle, node_cache, "SGD", 0, "", 0]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "3.0":
            pass
        time.sleep(1)
        process.send_signal(signal.SIGTERM)  # without it the storage would have the rung's checkpoint only, of epoch 2
        assert process.wait(60) == -signal.SIGTERM
    checkpoints = tmp_path / "trials" / "n-t0001" / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["epoch-0002.pt", "epoch-0003.pt"]
    assert not list(node_folder(node_cache, str(tmp_path)).rglob("*.pt"))
