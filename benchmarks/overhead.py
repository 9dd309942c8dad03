"""Claim: an epoch inside a sweep costs at most 5 % more than an epoch of plain Ultralytics.

A trial of a real one-trial sweep (Ray, checkpoints, metrics, log, predictions at the rungs) against
`YOLO("yolov8n-seg.yaml").train(...)` in a fresh process with the very arguments that the trial wrote down, on the same
node copy of the dataset, with the same number of threads and the same niceness. Ultralytics draws no plots but keeps
`save=True` and `val=True`, its defaults. Both sides report the seconds from one epoch's end to the next, the first
epoch left out; what happens between epochs is therefore in. The images are small, so an epoch is short and the fixed
cost of keeping it weighs more than it will for a user. Sides alternate; the ratio is that of the medians of the runs.

    python benchmarks/overhead.py
"""

from __future__ import annotations

import csv
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from _bench import IMGSZ, RAY_NICENESS, SEGSWEEP, Bench, begin, show, timed, verdict

GOAL = 1.05
THREADS = 1
# One point: the search has nothing to decide.
SPACE = {"lr0": {"choice": [0.002]}}


def main(argv: Sequence[str] | None = None) -> None:
    bench = begin(__doc__, argv, rounds=5)
    images, epochs = (12, 3) if bench.quick else (96, 11)
    job = {
        "dataset": bench.bundle(images),
        "budget": {"max_epochs": epochs, "trials": 1},
        "scheduler": {"grace_epochs": 1 if bench.quick else 3, "reduction_factor": 3},
        "train": {"imgsz": IMGSZ, "batch": 4, "nbs": 4, "optimizer": "AdamW"},
        "concurrency": 1,
    }
    print(f"settings: {images} images at {IMGSZ} px, batch 4, size n, AdamW, {epochs} epochs, {THREADS} thread")
    ours: list[float] = []
    plain: list[float] = []
    for index in range(bench.rounds):
        # Plain needs the arguments that a trial wrote, so the first round starts with the sweep; then they alternate.
        sides = (_sweep, _plain) if index % 2 == 0 else (_plain, _sweep)
        for side in sides:
            (ours if side is _sweep else plain).append(side(bench, job))
    ratio = show("epoch in a sweep", ours) / show("epoch of plain Ultralytics", plain)
    verdict("overhead", ratio, GOAL)


def _sweep(bench: Bench, job: dict[str, Any]) -> float:
    """Mean seconds of an epoch in a sweep of one trial."""
    path = bench.write_job("overhead", SPACE, job)
    timed([*SEGSWEEP, "sweep", str(path)], bench.environment(), bench.work)
    (trial,) = (bench.runs / "overhead" / "trials").iterdir()
    (bench.work / "overhead-arguments.yaml").write_bytes((trial / "arguments.yaml").read_bytes())
    with (trial / "metrics.csv").open() as file:
        return statistics.mean([float(row["seconds"]) for row in csv.DictReader(file)][1:])


def _plain(bench: Bench, job: dict[str, Any]) -> float:
    """Mean seconds of an epoch of plain Ultralytics with the arguments of the last sweep's trial."""
    out = bench.work / "plain.json"
    environment = bench.environment(OMP_NUM_THREADS=str(THREADS))
    arguments = bench.work / "overhead-arguments.yaml"
    timed([sys.executable, __file__, "--plain", str(arguments), str(bench.cache), str(out)], environment, bench.work)
    found: list[float] = json.loads(out.read_text())
    assert len(found) == job["budget"]["max_epochs"]
    return statistics.mean(found[1:])


def train_plainly(arguments: Path, cache: Path, out: Path) -> None:
    """Train as the arguments say and write the seconds of every epoch."""
    os.nice(RAY_NICENESS)
    from segsweep.training.environment import prepare_environment  # noqa: PLC0415 - of the measured process alone

    prepare_environment(cache)  # offline and without integrations on both sides
    import torch  # noqa: PLC0415
    from ultralytics import YOLO  # noqa: PLC0415

    settings = yaml.safe_load(arguments.read_text()) | {"save_dir": str(out.with_suffix("")), "save": True, "val": True}
    model = YOLO(settings.pop("model"), task="segment")
    ends = [time.perf_counter()]
    model.add_callback("on_train_epoch_start", lambda trainer: torch.set_num_threads(THREADS))
    model.add_callback("on_fit_epoch_end", lambda trainer: ends.append(time.perf_counter()))
    model.train(**settings)
    seconds = [end - start for start, end in pairwise(ends)]
    out.write_text(json.dumps(seconds[: settings["epochs"]]))  # `final_eval` calls back once more


if __name__ == "__main__":
    if sys.argv[1:2] == ["--plain"]:
        train_plainly(*map(Path, sys.argv[2:5]))
    else:
        main()
