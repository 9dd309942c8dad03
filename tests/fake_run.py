"""A run's folder with made-up trials, and instruments that measure it in no time.

The weights of a made-up trial are a few bytes of JSON that say how accurate and how fast it is; the instruments read
them. Everything between the run's folder and the report is real.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segsweep.core.metrics import EPOCH_COLUMNS, OBJECTIVE
from segsweep.core.trials import Status, TrialRecord
from segsweep.dataset.bundles.manifest import SCHEMA, FileEntry, Manifest, Small, Source, SplitFacts, content_digest
from segsweep.dataset.bundles.staging import NodeCopy
from segsweep.dataset.fidelity import Fidelity
from segsweep.inference.export import ExportedModel, Parity
from segsweep.inference.forms import PLAIN, Form
from segsweep.inference.likeness import Likeness
from segsweep.inference.timings import Latency, LatencyPlan, Percentiles
from segsweep.report.bench import Instruments
from segsweep.report.build import Tools
from segsweep.report.evaluate import ClassAccuracy, Evaluation, EvaluationPlan
from segsweep.storage import layout
from segsweep.storage.local import LocalStore
from segsweep.storage.run_folder import RunFolder, RunInfo

CLASSES = ("disc", "star <b>", "ring", "cross")
MAX_EPOCHS = 9
JOB = {
    "name": "demo",
    "dataset": "bundles/demo",
    "storage": "runs",
    "search_space": "space.yaml",
    "budget": {"max_epochs": MAX_EPOCHS, "trials": 12},
    "scheduler": {"grace_epochs": 1, "reduction_factor": 3},
    "train": {"imgsz": 96},
}


@dataclass(frozen=True)
class FakeTrial:
    """What a made-up trial is: `test` and `p50_ms` are what the instruments will find in its weights."""

    variant: str
    val: float
    test: float = 0.0
    p50_ms: float = 10.0
    status: Status = Status.COMPLETED
    is_default: bool = False
    epochs: int = MAX_EPOCHS
    error: str = ""


# n, s and m are a front with its knee at s; l is dominated; x was never trained to the end.
TRIALS = (
    FakeTrial("n", 0.30, 0.28, 8.0, is_default=True),
    FakeTrial("s", 0.38, 0.37, 12.0, is_default=True),
    FakeTrial("m", 0.42, 0.41, 31.0, is_default=True),
    FakeTrial("n", 0.36, 0.33, 8.0),
    FakeTrial("n", 0.12, epochs=1, status=Status.STOPPED),
    FakeTrial("s", 0.47, 0.45, 12.0),
    FakeTrial("s", 0.31, epochs=3, status=Status.STOPPED),
    FakeTrial("m", 0.49, 0.47, 31.0),
    FakeTrial("l", 0.45, 0.44, 58.0),
    FakeTrial("l", 0.20, epochs=3, status=Status.STOPPED),
    FakeTrial("x", 0.33, epochs=3, status=Status.STOPPED, is_default=True),
    FakeTrial("x", 0.0, epochs=2, status=Status.FAILED, error="CUDA out of memory <script>"),
)


# What is needed to see what is measured when.
FEW_TRIALS = (
    FakeTrial("n", 0.30, 0.28, 8.0, is_default=True),
    FakeTrial("n", 0.36, 0.33, 8.0),
    FakeTrial("s", 0.47, 0.45, 12.0),
    FakeTrial("s", 0.0, epochs=2, status=Status.FAILED),
)


def write_fake_run(folder: Path, trials: Sequence[FakeTrial] = TRIALS) -> RunFolder:
    """Write a run's folder as a sweep leaves it."""
    run = RunFolder(LocalStore(folder))
    variants = sorted({trial.variant for trial in trials}, key="nsmlx".index) or ["n"]
    info = RunInfo(
        name="demo",
        job={**JOB, "variants": variants},
        search_space={"lr0": {"loguniform": [1.0e-4, 3.0e-2]}, "momentum": {"uniform": [0.6, 0.98]}},
        dataset=str(folder.parent / "bundles" / "demo-0123456789ab"),
        dataset_digest="0123456789ab" + "0" * 52,
        created="2026-01-02T03:04:05+00:00",
        versions={"segsweep": "0.1.0"},
        environment={"host": "here"},
    )
    run.write_info(info)
    for number, trial in enumerate(trials, start=1):
        _write_trial(run, number, trial)
    return run


def _write_trial(run: RunFolder, number: int, trial: FakeTrial) -> None:
    trial_id = f"t{number:04d}"
    params: dict[str, Any] = {} if trial.is_default else {"lr0": 0.001 * number, "momentum": 0.9}
    record = TrialRecord(
        trial_id=trial_id,
        number=number,
        variant=trial.variant,  # type: ignore[arg-type]
        params=params,
        unit=None,
        is_default=trial.is_default,
        directory=layout.trial_name(trial.variant, params, trial_id),
        status=trial.status,
        epoch=trial.epochs,
        rungs={epoch: _accuracy(trial, epoch) for epoch in (1, 3, 9) if epoch <= trial.epochs},
        mask_map50_95=trial.val,
        best_epoch=trial.epochs,
        seconds=12.5 * trial.epochs,
        error=trial.error,
    )
    run.write_trial(record)
    rows = [",".join(EPOCH_COLUMNS)]
    for epoch in range(1, trial.epochs + 1):
        values = {**dict.fromkeys(EPOCH_COLUMNS, 1.0), "epoch": epoch, OBJECTIVE: _accuracy(trial, epoch)}
        rows.append(",".join(str(values[column]) for column in EPOCH_COLUMNS))
    run.store.write(layout.trial_key(record.directory, layout.TRIAL_METRICS), ("\n".join(rows) + "\n").encode())
    if trial.status is Status.FAILED:
        return
    weights = fake_weights({"trial": trial_id, "test": trial.test, "p50_ms": trial.p50_ms})
    run.store.write(layout.trial_key(record.directory, layout.TRIAL_BEST), weights)
    for index in range(3):
        picture = np.full((80, 120, 3), 60 * index + 40, np.uint8)
        cv2.circle(picture, (60, 40), 20 + 5 * index, (40, 200, 120), -1)
        data = cv2.imencode(".jpg", picture)[1].tobytes()
        run.store.write(layout.trial_key(record.directory, layout.prediction_name(f"scene{index}")), data)


def fake_weights(facts: Mapping[str, Any]) -> bytes:
    """A zip archive, as torch writes them, that knows what the fake tools will find."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("facts.json"), json.dumps(facts))  # without the time: same facts, same bytes
    return buffer.getvalue()


def facts_of(weights: Path) -> dict[str, Any]:
    """Inverse of `fake_weights`."""
    with zipfile.ZipFile(weights) as archive:
        facts: dict[str, Any] = json.loads(archive.read("facts.json"))
    return facts


def _accuracy(trial: FakeTrial, epoch: int) -> float:
    return trial.val * (1 - math.exp(-0.5 * epoch)) / (1 - math.exp(-0.5 * trial.epochs))


def write_fake_copy(root: Path, images: int = 3, train: int = 2) -> NodeCopy:
    """A node's copy of a dataset with a few pictures in its test and train splits."""
    files = []
    for split, count in (("test", images), ("train", train)):
        (root / "images" / split).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            path = f"images/{split}/scene{index}.jpg"
            cv2.imwrite(str(root / path), np.full((64, 96, 3), 80 * index, np.uint8))
            files.append(FileEntry(path, 1, "0" * 64, f"shards/{split}-00000.tar", f"scene{index}.png"))
    splits = {split: SplitFacts(images, 0, dict.fromkeys(CLASSES, 5)) for split in ("train", "val", "test")}
    digest = content_digest(CLASSES, 96, {}, [(file.path, file.sha256) for file in files])
    source = Source("sample", "coco")
    judged = (Fidelity(0, 0, 1.0, 1.0, ()), Small(16.0, 0, ()), {})
    manifest = Manifest(SCHEMA, "demo", digest, CLASSES, 96, {}, source, splits, (), tuple(files), (), *judged)
    return NodeCopy(root, manifest)


@dataclass
class FakeInstruments:
    """Instruments that read what the weights say, and count how often they were asked."""

    calls: list[str]
    others_cpus: float = 0.0

    def evaluate(self, weights: Path, data: Path, plan: EvaluationPlan, progress: Callable[[str], None]) -> Evaluation:
        said = facts_of(weights)
        self.calls.append(f"evaluate {said['trial']}{said.get('form', '')}")
        value = said["test"]
        classes = tuple(ClassAccuracy(name, 5, value, min(1.0, 1.4 * value), value) for name in plan.classes)
        accuracies = (0.7, 0.6, min(1.0, 1.5 * value), value, 0.7, 0.6, min(1.0, 1.4 * value), value)
        return Evaluation(plan.split, 3, 20, *accuracies, classes=classes, device="cpu")

    def export(
        self, weights: Path, out: Path, imgsz: int, form: Form = PLAIN, about: Mapping[str, Any] | None = None
    ) -> ExportedModel:
        said = facts_of(weights)
        self.calls.append(f"export {said['trial']}{form.suffix}")
        data = fake_weights({**said, "form": form.suffix} if form != PLAIN else said)
        out.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        return ExportedModel(out, digest, len(data), imgsz, dynamic=form.dynamic, nms=form.nms)

    def lower(
        self, model: ExportedModel, out: Path, precision: str, train: Sequence[Path], about: Mapping[str, Any]
    ) -> ExportedModel:
        """Half precision costs nothing and gains nothing, int8 costs 0.02 and takes 0.6 of the time."""
        said = facts_of(model.path)
        form = replace(model.form, precision=precision)
        self.calls.append(f"lower {said['trial']}{form.suffix} with {len(train)} images")
        cost, ratio = (0.02, 0.6) if precision == "int8" else (0.0, 1.0)
        data = fake_weights(
            {**said, "test": said["test"] - cost, "p50_ms": said["p50_ms"] * ratio, "form": form.suffix}
        )
        out.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        changes = {"path": out, "sha256": digest, "size_bytes": len(data), "precision": precision}
        return replace(model, **changes, calibration_images=len(train))

    def likeness(self, plain: Path, other: Path, images: Sequence[Path], threads: int) -> Likeness:
        self.calls.append(f"likeness {facts_of(other)['trial']}{facts_of(other)['form']}")
        return Likeness(len(images), 20, 19, 2, 0.97, 0.8)

    def time(
        self, models: Mapping[str, Path], images: Sequence[Path], plan: LatencyPlan, progress: Callable[[str], None]
    ) -> dict[str, Latency]:
        self.calls.append(f"time {' '.join(models)}")
        return {name: self._latency(facts_of(path)["p50_ms"], plan) for name, path in models.items()}

    def _latency(self, p50: float, plan: LatencyPlan) -> Latency:
        def spread(value: float) -> Percentiles:
            return Percentiles(value, round(1.2 * value, 3), round(1.5 * value, 3))

        stages = {"prepare": spread(0.1 * p50), "forward": spread(0.8 * p50), "postprocess": spread(0.1 * p50)}
        return Latency(
            total=spread(p50),
            stages=stages,
            samples=plan.rounds * plan.samples,
            round_p50_ms=(p50, p50, p50),
            canvas=(96, 96),
            batch=1,
            runtime="onnxruntime",
            runtime_version="1.31.1",
            provider="CPUExecutionProvider",
            threads=plan.threads,
            load_before=0.1,
            load_after=0.4,
            others_cpus=self.others_cpus,
        )

    def parity(self, weights: Path, onnx: Path, images: Sequence[Path], threads: int) -> Parity:
        self.calls.append(f"parity {facts_of(weights)['trial']}")
        return Parity(len(images), 9, 0, 4e-3, 1e-5, 4e-3, 1e-5, 0.99, 0.999)


def fake_tools(copy: NodeCopy, calls: list[str] | None = None, **changes: Any) -> Tools:
    """Tools that stage `copy` and measure with `FakeInstruments`; `changes` replace single instruments."""
    fake = FakeInstruments([] if calls is None else calls)
    instruments = Instruments(fake.evaluate, fake.export, fake.time, fake.parity, fake.lower, fake.likeness)
    return Tools(lambda uri, cache_dir: copy, replace(instruments, **changes), progress=lambda text: None)
