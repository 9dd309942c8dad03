"""Claim: the same small sweep takes at most 0.7 of the wall time of Ultralytics' own tuner.

Six trials of size n from random weights, 8 epochs, 96 pixels, one CPU each and as many at once as there are CPUs,
against `model.tune(use_ray=True, search_alg=HyperOptSearch(...))`: the searcher that `search_alg="hyperopt"` makes,
told to evaluate the six configurations that our sweep proposed. Grace period and reduction factor are the same on both
sides, and so is the node copy of the dataset with its label cache; nobody has the network. Each side is timed as a user
meets it: a fresh process from its start to its exit.

Four figures, so that a reader sees where the difference comes from. Ours: with early stopping, and without it (`all`).
Ultralytics': as called, with the plots and the loader workers that it has by default, and `lean`, without both, as our
trials are. Each side's number of epochs says what it stopped. The sides alternate; the ratios are those of the medians.
The same ratios of CPU seconds, summed over all processes of a side, are less disturbed by what else the machine does.

    python benchmarks/peer_tune.py
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _bench import IMGSZ, SEGSWEEP, Bench, Spent, begin, show, timed, verdict
from segsweep.storage import layout

GOAL = 0.7
FACTOR = 3  # Ultralytics' tuner has no other
SPACE = {
    "lr0": {"loguniform": [1e-4, 3e-2]},
    "momentum": {"uniform": [0.6, 0.98]},
    "weight_decay": {"loguniform": [1e-5, 5e-3]},
    "mosaic": {"uniform": [0.0, 1.0]},
}
TRAIN = {"imgsz": IMGSZ, "batch": 4, "nbs": 4, "optimizer": "AdamW", "warmup_epochs": 1}
LEAN = {"plots": False, "workers": 0}


def main(argv: Sequence[str] | None = None) -> None:
    bench = begin(__doc__, argv, rounds=3)
    images, trials, epochs, grace = (12, 2, 2, 1) if bench.quick else (96, 6, 8, 2)
    bundle = bench.bundle(images)
    job = {"dataset": bundle, "train": TRAIN, "budget": {"max_epochs": epochs, "trials": trials}}
    print(f"settings: {images} images, {trials} trials, {epochs} epochs, grace {grace}, factor {FACTOR}, {TRAIN}")
    found: dict[str, list[Spent]] = {"ours": [], "peer": [], "ours all": [], "peer lean": []}

    def keep(side: str, spent: Spent, trained: Sequence[int]) -> None:
        found[side].append(spent)
        print(f"{side}: {spent.wall_s:.0f} s, {spent.cpu_s:.0f} CPU seconds, epochs {list(trained)}", flush=True)

    for _ in range(bench.rounds):
        spent, records = _sweep(bench, "peer-ours", job, grace)
        keep("ours", spent, [record["epoch"] for record in records])
        points = [record["params"] for record in records]
        data = bench.cache / "bundles" / Path(bundle).name / layout.NODE_DATA_YAML
        spec = {"trials": trials, "epochs": epochs, "grace": grace, "points": points, "data": str(data)}
        keep("peer", *_peer(bench, {**spec, "train": TRAIN}))
        spent, records = _sweep(bench, "peer-all", job, epochs)
        keep("ours all", spent, [record["epoch"] for record in records])
        keep("peer lean", *_peer(bench, {**spec, "train": {**TRAIN, **LEAN}}))
    cpu = {side: statistics.median(spent.cpu_s for spent in each) for side, each in found.items()}
    wall = {side: show(side, [spent.wall_s for spent in each]) for side, each in found.items()}
    for what, seconds in (("peer_tune_cpu_seconds", cpu), ("peer_tune", wall)):
        verdict(f"{what}_all_over_lean", seconds["ours all"] / seconds["peer lean"], GOAL)
        verdict(f"{what}_over_lean", seconds["ours"] / seconds["peer lean"], GOAL)
        verdict(f"{what}_all", seconds["ours all"] / seconds["peer"], GOAL)
        verdict(what, seconds["ours"] / seconds["peer"], GOAL)


def _sweep(bench: Bench, name: str, job: Mapping[str, Any], grace: int) -> tuple[Spent, list[dict[str, Any]]]:
    """Our sweep, and its trial records in order of proposal."""
    scheduler = {"grace_epochs": grace, "reduction_factor": FACTOR}
    path = bench.write_job(name, SPACE, {**job, "scheduler": scheduler})
    spent = timed([*SEGSWEEP, "sweep", str(path)], bench.environment(), bench.work)
    records = [json.loads(path.read_text()) for path in (bench.runs / name / "trials").glob("*/trial.json")]
    return spent, sorted(records, key=lambda record: int(record["number"]))


def _peer(bench: Bench, spec: Mapping[str, Any]) -> tuple[Spent, list[int]]:
    """Ultralytics' tuner, and the epochs that each of its trials reported."""
    asked, answered = bench.work / "peer-spec.json", bench.work / "peer-epochs.json"
    asked.write_text(json.dumps({**spec, "project": str(bench.runs)}))
    command = [sys.executable, __file__, "--peer", str(asked), str(answered), str(bench.work / "peer-cache")]
    # Else Ray joins whatever cluster was last started on this machine, and waits for one that is gone.
    spent = timed(command, bench.environment(RAY_ADDRESS="local"), bench.work)
    return spent, json.loads(answered.read_text())


def tune(asked: Path, answered: Path, cache: Path) -> None:
    """Run Ultralytics' tuner on the given points and write the epochs of each trial."""
    from segsweep.dataset.environment import prepare_ultralytics  # noqa: PLC0415 - of the measured process alone

    prepare_ultralytics(cache)  # offline
    from ray import tune as ray_tune  # noqa: PLC0415
    from ray.tune.search.hyperopt import HyperOptSearch  # noqa: PLC0415
    from ultralytics import SETTINGS, YOLO  # noqa: PLC0415

    SETTINGS.update(raytune=True)  # the callback that reports epochs
    spec = json.loads(asked.read_text())
    make = {"uniform": ray_tune.uniform, "loguniform": ray_tune.loguniform}
    results = YOLO("yolov8n-seg.yaml", task="segment").tune(
        use_ray=True,
        search_alg=HyperOptSearch(metric="metrics/mAP50-95(M)", mode="max", points_to_evaluate=spec["points"]),
        space={name: make[kind](*range_) for name, law in SPACE.items() for kind, range_ in law.items()},
        iterations=spec["trials"],
        grace_period=spec["grace"],
        epochs=spec["epochs"],
        data=spec["data"],
        project=spec["project"],
        name="peer-ultralytics",
        device="cpu",
        **spec["train"],
    )
    answered.write_text(json.dumps([int(result.metrics.get("epoch", 0)) for result in results]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        tune(*map(Path, sys.argv[2:5]))
    else:
        main()
