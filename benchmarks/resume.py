"""Claims: going on with a sweep of 1,000 recorded trials takes less than 10 s, and twice as many take twice as long.

A run's folder is written as a killed driver leaves it, and a fresh process goes on with it as the product does, through
`sweep` itself: the lock, what has changed in the job, every record, rungs, losses, allotment, HyperOpt's history, until
the first new trial is proposed and its record is written. Two trials that were cut off come before it. Only Ray is left
out: it takes the same time however many trials there are. So do imports, which are told apart.

How long a trial takes from the start of its process to its first batch is measured without a goal: a trial of size n is
killed after its second epoch and goes on from its checkpoint on a node that has the dataset, without Ray. Its imports
are those that a worker makes before it trains, and those that happen on the way.

    python benchmarks/resume.py
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from _bench import IMGSZ, Bench, begin, show, timed, verdict
from segsweep.config.job import JobFile, load_job
from segsweep.core.trials import Status, TrialRecord
from segsweep.core.variants import VARIANTS
from segsweep.dataset.bundles.manifest import read_manifest
from segsweep.storage import layout
from segsweep.storage.local import LocalStore
from segsweep.storage.run_folder import RunFolder, RunInfo

SECONDS_GOAL = 10.0
LINEAR_GOAL = 2.2  # 2, and what a busy machine adds
CUT_OFF = 2
KILLED = -9
SPACE = {
    "optimizer": {"choice": ["SGD", "AdamW"]},
    "lr0": {"loguniform": [1.0e-4, 3.0e-2]},
    "momentum": {"uniform": [0.6, 0.98]},
    "weight_decay": {"loguniform": [1.0e-5, 5.0e-3]},
    "mosaic": {"uniform": [0.0, 1.0]},
    "scale": {"uniform": [0.0, 0.9]},
}
RESTORE = """
import json, sys, time
from contextlib import contextmanager
from pathlib import Path
began = time.perf_counter()
path, cache, out, recorded = sys.argv[1:]
from rich.console import Console
from segsweep.config.job import load_job
from segsweep.process import import_once
from segsweep.search.searcher import ours
from segsweep.sweep import run
tuning = import_once("segsweep.sweep.tuning")
imported = time.perf_counter()

class WithoutRay:
    def __init__(self, trainable, tune_config, run_config):
        self.searcher = tune_config.search_alg
    def fit(self):
        while ours(self.searcher.suggest("one")).number <= int(recorded):
            pass
        seconds = {"imports": imported - began, "restoring": time.perf_counter() - imported}
        Path(out).write_text(json.dumps(seconds))

@contextmanager
def no_session(job):
    yield 1

run.ray_session, tuning.tune.Tuner = no_session, WithoutRay
run.sweep(load_job(Path(path)), path, Path(cache), Console(quiet=True))
"""
TRIAL = """
import builtins, json, os, signal, sys, time
from pathlib import Path
started, bundle, run, cache, out = float(sys.argv[1]), *sys.argv[2:]
at = {"interpreter": time.monotonic()}
from segsweep.dataset.environment import prepare_ultralytics
prepare_ultralytics(Path(cache))
from segsweep.process import import_once, keep_freed_memory
keep_freed_memory()
import_once("segsweep.training.trainable")
import_once("segsweep.training.trial")
from segsweep.config.job import Job
from segsweep.core.trials import TrialRecord
from segsweep.training.task import SweepContext, TrialTask
from segsweep.training.trial import train_trial
at["imports"] = time.monotonic()
late, depth, plain = [0.0], [0], builtins.__import__

def timed(*args, **kwargs):
    depth[0] += 1
    began = time.monotonic()
    try:
        return plain(*args, **kwargs)
    finally:
        depth[0] -= 1
        if not depth[0]:
            late[0] += time.monotonic() - began

def report(row):
    if is_first:
        if row["epoch"] == 2:  # a checkpoint of the first epoch is there, and of the second too or not
            os.kill(os.getpid(), signal.SIGKILL)
    else:
        at.setdefault("checkpoint", time.monotonic())

def on_batch():
    if is_first:
        return
    at["first batch"] = time.monotonic()
    seconds = {name: at[name] - since for name, since in zip(at, [started, *at.values()])}
    Path(out).write_text(json.dumps({"seconds": seconds, "late imports": late[0]}))
    os._exit(0)

is_first = not Path(run, "trials").exists()
job = Job.model_validate(dict(
    name="resume", dataset=bundle, storage="unused", search_space="unused", variants=["n"], weights="scratch",
    budget=dict(max_epochs=4, trials=1), scheduler=dict(grace_epochs=1),
    resources=dict(n=dict(gpus=0, cpus=1)), train=dict(imgsz=int(IMGSZ), batch=4, nbs=4, optimizer="AdamW"),
))
record = TrialRecord("t0001", 1, "n", dict(lr0=0.002), None, False, "n-t0001")
builtins.__import__ = timed
train_trial(TrialTask(SweepContext(run, bundle, Path(cache), job, dict(n=None)), record), report, on_batch)
"""


def main(argv: Sequence[str] | None = None) -> None:
    bench = begin(__doc__, argv, rounds=5)
    bundle = bench.bundle(12 if bench.quick else 96)
    resume_trial(bench, bundle)
    trials = 50 if bench.quick else 1000
    few, many = (restoring(bench, bundle, number) for number in (trials, 2 * trials))
    verdict("restore-seconds", few, SECONDS_GOAL)
    verdict("restore-linear", many / few, LINEAR_GOAL)


def resume_trial(bench: Bench, bundle: str) -> None:
    """Print where the time of a trial that goes on is spent until its first batch."""
    run, out = bench.work / "resume-trial", bench.work / "resume-trial.json"
    shutil.rmtree(run, ignore_errors=True)
    shutil.rmtree(bench.cache / layout.NODE_CHECKPOINTS, ignore_errors=True)
    script = TRIAL.replace("IMGSZ", str(IMGSZ))
    totals, shares = [], []
    for number in range(bench.rounds + 1):
        command = [sys.executable, "-c", script, str(time.monotonic()), bundle, str(run), str(bench.cache), str(out)]
        done = subprocess.run(command, env=bench.environment(), check=False, capture_output=True, text=True)
        if done.returncode != (0 if number else KILLED):
            raise SystemExit(f"a trial ended with {done.returncode}:\n{done.stderr[-4000:]}")
        if not number:
            continue  # the one that was killed
        found = json.loads(out.read_text())
        seconds, late = found["seconds"], found["late imports"]
        totals.append(sum(seconds.values()))
        shares.append((seconds["imports"] + late) / totals[-1])
        each = ", ".join(f"{name} {value:.2f}" for name, value in seconds.items())
        print(f"a trial goes on, s until: {each}; of the last two, imports {late:.2f}")
    show("a trial that goes on, start of its process to first batch", totals)
    print(f"share of it that is imports: {statistics.median(shares):.2f}")


def restoring(bench: Bench, bundle: str, trials: int) -> float:
    """Median seconds from the first look at the run to the record of the first new trial."""
    name = f"resume-{trials}"
    job = {
        "dataset": bundle,
        "variants": list(VARIANTS),
        "resources": {variant: {"gpus": 0, "cpus": 1} for variant in VARIANTS},
        "budget": {"max_epochs": 50, "trials": trials + 1},
        "scheduler": {"grace_epochs": 4, "reduction_factor": 3},
        "train": {"imgsz": IMGSZ},
    }
    path = bench.write_job(name, SPACE, job)
    folder = RunFolder(LocalStore(bench.runs / name))
    write_run(folder, load_job(path), bundle, trials)
    out = bench.work / "restored.json"
    found = []
    for _ in range(bench.rounds):
        timed([sys.executable, "-c", RESTORE, str(path), str(bench.cache), str(out), str(trials)],
              bench.environment(), bench.work)  # fmt: skip
        found.append(json.loads(out.read_text()))
        (new,) = (Path(folder.store.uri) / layout.TRIALS).glob(f"*-t{trials + 1:04d}")
        shutil.rmtree(new)  # the next round proposes it again
    print(f"{trials} trials: imports median {statistics.median(one['imports'] for one in found):.2f} s, not counted")
    return show(f"{trials} trials, restored to the first new one", [one["restoring"] for one in found])


def write_run(folder: RunFolder, job: JobFile, bundle: str, trials: int) -> None:
    """Write a run of so many trials as a killed driver leaves it: the last ones RUNNING, the others ended."""
    rng = np.random.default_rng(trials)
    folder.write_info(
        RunInfo(
            name=job.job.name,
            job=job.job.model_dump(mode="json"),
            search_space=job.space.to_flat(),
            dataset=bundle,
            dataset_digest=read_manifest(bundle).digest,
            created="2026-01-02T03:04:05Z",
            versions={},
            environment={},
        )
    )
    for number in range(1, trials + 1):
        folder.write_trial(_record(job, rng, number, number > trials - CUT_OFF))


def _record(job: JobFile, rng: np.random.Generator, number: int, is_cut_off: bool) -> TrialRecord:
    """A trial that got as far as ASHA lets one get: two in three are stopped at each milestone."""
    variant = VARIANTS[number % len(VARIANTS)]
    unit = {name: float(rng.random()) for name in job.space.distributions}
    horizon = job.job.horizon
    last = min(int(rng.geometric(1 - 1 / horizon.reduction_factor)), len(horizon.levels)) - 1
    rungs = {epoch: float(rng.random()) for epoch in horizon.levels[: last + 1]}
    epoch = horizon.levels[last]
    ended = Status.COMPLETED if epoch == horizon.max_epochs else Status.STOPPED
    params = job.space.params(unit, variant)
    trial_id = f"t{number:04d}"
    return TrialRecord(
        trial_id=trial_id,
        number=number,
        variant=variant,
        params=params,
        unit=unit,
        is_default=False,
        directory=layout.trial_name(variant, params, trial_id),
        status=Status.RUNNING if is_cut_off else ended,
        epoch=epoch,
        rungs=rungs,
        mask_map50_95=max(rungs.values()),
        best_epoch=epoch,
        seconds=60.0 * epoch,
    )


if __name__ == "__main__":
    main()
