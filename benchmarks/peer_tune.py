"""Claim: the same small sweep takes at most 0.7 of the wall time of Ultralytics' own tuner.

Six trials of size n from random weights, 8 epochs, 96 pixels, one CPU each and as many at once as there are CPUs,
against `model.tune(use_ray=True, search_alg=HyperOptSearch(...))`: the searcher that `search_alg="hyperopt"` makes,
told to evaluate the six configurations that our sweep proposed. Nobody is stopped early on either side: which trials
ASHA stops hangs on which happened to report first, and a side that stops more of them has trained less. So both sides
train the same configurations for the same number of epochs, and the script fails if one does not. The node copy of the
dataset with its label cache is the same; nobody has the network. Each side is timed as a user meets it: a fresh process
from its start to its exit.

The peer runs twice: as called, with the plots and the loader workers that it has by default, and `lean`, without both,
as our trials are. The sides alternate; the ratios are those of the medians. The same ratios of CPU seconds, summed over
all processes of a side, are less disturbed by what else the machine does.

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
    images, trials, epochs = (12, 2, 2) if bench.quick else (96, 6, 8)
    bundle = bench.bundle(images)
    job = {"dataset": bundle, "train": TRAIN, "budget": {"max_epochs": epochs, "trials": trials}}
    print(f"settings: {images} images, {trials} trials of {epochs} epochs, none stopped early, {TRAIN}")
    found: dict[str, list[Spent]] = {"ours": [], "peer": [], "peer lean": []}

    def keep(side: str, spent: Spent, trained: Sequence[int]) -> None:
        found[side].append(spent)
        print(f"{side}: {spent.wall_s:.0f} s, {spent.cpu_s:.0f} CPU seconds, epochs {list(trained)}", flush=True)
        if list(trained) != [epochs] * trials:
            raise SystemExit(f"{side} did not train {trials} trials of {epochs} epochs: no comparison")

    for _ in range(bench.rounds):
        spent, records = _sweep(bench, job, epochs)
        keep("ours", spent, [record["epoch"] for record in records])
        points = [record["params"] for record in records]
        data = bench.cache / "bundles" / Path(bundle).name / layout.NODE_DATA_YAML
        spec = {"trials": trials, "epochs": epochs, "points": points, "data": str(data)}
        keep("peer", *_peer(bench, {**spec, "train": TRAIN}))
        keep("peer lean", *_peer(bench, {**spec, "train": {**TRAIN, **LEAN}}))
    cpu = {side: statistics.median(spent.cpu_s for spent in each) for side, each in found.items()}
    wall = {side: show(side, [spent.wall_s for spent in each]) for side, each in found.items()}
    for what, seconds in (("peer_tune_cpu_seconds", cpu), ("peer_tune", wall)):
        verdict(f"{what}_over_lean", seconds["ours"] / seconds["peer lean"], GOAL)
        verdict(what, seconds["ours"] / seconds["peer"], GOAL)


def _sweep(bench: Bench, job: Mapping[str, Any], grace: int) -> tuple[Spent, list[dict[str, Any]]]:
    """Our sweep, and its trial records in order of proposal."""
    scheduler = {"grace_epochs": grace, "reduction_factor": 3}
    path = bench.write_job("peer-ours", SPACE, {**job, "scheduler": scheduler})
    spent = timed([*SEGSWEEP, "sweep", str(path)], bench.environment(), bench.work)
    records = [json.loads(path.read_text()) for path in (bench.runs / "peer-ours" / "trials").glob("*/trial.json")]
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
        grace_period=spec["epochs"],
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
