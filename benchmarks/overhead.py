"""Claim: an epoch inside a sweep costs at most 5 % more than an epoch of plain Ultralytics.

A trial of a real one-trial sweep (Ray, checkpoints, metrics, log, predictions at the rungs) against
`YOLO("yolov8n-seg.yaml").train(...)` in a fresh process with the very arguments that the trial wrote down, on the same
node copy of the dataset, with the same number of threads and the same priority. Ultralytics draws no plots but keeps
`save=True` and `val=True`, its defaults. Both sides report the seconds from one epoch's end to the next; what happens
between epochs is therefore in. The first two and the last two epochs are left out. The images are small, so an epoch is
short and the fixed cost of keeping it weighs more than it will for a user. Sides alternate; the ratio is that of the
medians of the runs. On a machine that others use, `--together` runs the sides of a round at once, each on its own core,
and the ratio is the median of the rounds': what else happens hits both alike.

    python benchmarks/overhead.py
"""

from __future__ import annotations

import csv
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import yaml

from _bench import IMGSZ, SEGSWEEP, Bench, begin, show, timed, verdict

GOAL = 1.05
Side = Callable[[Bench, Path], float]
THREADS = 1
# One point: the search has nothing to decide.
SPACE = {"lr0": {"choice": [0.002]}}


def main(argv: Sequence[str] | None = None) -> None:
    bench = begin(__doc__, argv, rounds=5)
    images, epochs = (12, 5) if bench.quick else (96, 13)
    job = {
        "dataset": bench.bundle(images),
        "budget": {"max_epochs": epochs, "trials": 1},
        "scheduler": {"grace_epochs": 1 if bench.quick else 3, "reduction_factor": 3},
        "train": {"imgsz": IMGSZ, "batch": 4, "nbs": 4, "optimizer": "AdamW"},
        "concurrency": 1,
    }
    print(f"settings: {images} images at {IMGSZ} px, batch 4, size n, AdamW, {epochs} epochs, {THREADS} thread")
    sides = (_sweep, _plain)
    found: dict[Side, list[float]] = {side: [] for side in sides}
    for index in range(bench.rounds):
        path = bench.write_job("overhead", SPACE, job)
        if bench.together:
            with ThreadPoolExecutor() as pool:
                results = [pool.submit(side, bench, path) for side in sides]
                for side, result in zip(sides, results, strict=True):
                    found[side].append(result.result())
        else:
            # Plain needs the arguments that the trial writes, so the first side is the sweep; then they alternate.
            for side in sides if index % 2 == 0 else sides[::-1]:
                found[side].append(side(bench, path))
    ours, plain = found[_sweep], found[_plain]
    print(f"ratio of each round: {', '.join(f'{a / b:.3f}' for a, b in zip(ours, plain, strict=True))}")
    ratio = show("epoch in a sweep", ours) / show("epoch of plain Ultralytics", plain)
    if bench.together:  # the two of one round met the same disturbance, those of different rounds did not
        ratio = statistics.median([a / b for a, b in zip(ours, plain, strict=True)])
    verdict("overhead", ratio, GOAL)


def _sweep(bench: Bench, job: Path) -> float:
    """Mean seconds of an epoch in a sweep of one trial."""
    timed([*SEGSWEEP, "sweep", str(job)], bench.environment(), bench.work)
    (trial,) = (bench.runs / "overhead" / "trials").iterdir()
    with (trial / "metrics.csv").open() as file:
        return _mean([float(row["seconds"]) for row in csv.DictReader(file)])


def _plain(bench: Bench, job: Path) -> float:
    """Mean seconds of an epoch of plain Ultralytics with the arguments that the sweep's trial wrote down."""
    written = bench.work / "overhead-arguments.yaml"
    while not (found := list((bench.runs / "overhead" / "trials").glob("*/arguments.yaml"))) and bench.together:
        time.sleep(0.1)
    if found:
        written.write_bytes(found[0].read_bytes())
    out = bench.work / "plain.json"
    command = [sys.executable, __file__, "--plain", str(written), str(bench.cache), str(out)]
    timed(command, bench.environment(OMP_NUM_THREADS=str(THREADS)), bench.work)
    return _mean(json.loads(out.read_text()))


def _mean(epochs: list[float]) -> float:
    """Mean of the middle: at the edges one side may be alone, or the process still warming up."""
    return statistics.mean(epochs[2:-2])


def train_plainly(arguments: Path, cache: Path, out: Path) -> None:
    """Train as the arguments say and write the seconds of every epoch."""
    from segsweep.dataset.environment import prepare_ultralytics  # noqa: PLC0415 - of the measured process alone

    prepare_ultralytics(cache)  # offline and without integrations on both sides
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
