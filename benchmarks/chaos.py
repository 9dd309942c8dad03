"""Claim: a sweep that is killed twenty times ends in the same trials with the same numbers as one that was left alone.

The same job runs twice, one trial at a time: once undisturbed, once with SIGKILL at random moments, of the driver, a
worker, Ray's raylet, Ray's GCS, and all of them at once, in turns. What was killed is left as it is, and the same
command is given again as soon as it has ended. Moments are spread over the command's start and what it trains after it.
Processes are looked for only below the command itself.

Workers note every epoch they have trained (`_observed_driver.py`), so that an epoch that was trained twice is seen even
where no file of the run shows it. Compared are each trial's hyperparameters, status, epochs, rungs, the order in which
trials ended, and every column of metrics.csv but times. Budget is counted twice where there are more trials than it
allows, or where a trial's seconds are more than its epochs took; a trial is decided twice where its end is told twice.
With `--concurrency 2` trials end in another order each time, so that nothing is compared; the rest must hold.

    python benchmarks/chaos.py --kills 20 --trials 12 --seed 0
"""

from __future__ import annotations

import csv
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from _bench import IMGSZ, Bench, arguments, begin_with

OBSERVED = Path(__file__).with_name("_observed_driver.py")
MOST_S = 1800.0  # for one command
KINDS = ("driver", "worker", "raylet", "gcs", "all")
COMPARED = (
    "variant", "params", "unit", "is_default", "status", "epoch", "rungs", "mask_map50_95", "best_epoch", "ended",
    "error", "failure",
)  # fmt: skip
DECIDED = re.compile(r"^(t\d+) n (?:COMPLETED|STOPPED|FAILED) ", re.MULTILINE)
SPACE = {
    "lr0": {"loguniform": [1.0e-3, 1.0e-2]},
    "weight_decay": {"loguniform": [1.0e-5, 5.0e-3]},
    "mosaic": {"uniform": [0.0, 1.0]},
    "scale": {"uniform": [0.0, 0.9]},
}


@dataclass(frozen=True)
class Kill:
    """One SIGKILL.

    Attributes:
        at: Unix time.
        kind: What was killed, one of `KINDS`.
        after_s: Seconds since the command's start or its last kill.
    """

    at: float
    kind: str
    after_s: float


@dataclass(frozen=True)
class Side:
    """One of the two sweeps.

    Attributes:
        bench: Where it runs.
        name: The run's.
        job: The job's file.
    """

    bench: Bench
    name: str
    job: Path

    @property
    def notes(self) -> Path:
        """Where workers note their epochs."""
        return self.bench.work / f"{self.name}-epochs.jsonl"

    @property
    def log(self) -> Path:
        """What all its commands have said."""
        return self.bench.work / f"{self.name}.log"

    def start(self) -> subprocess.Popen[bytes]:
        """Give the command."""
        command = [sys.executable, str(OBSERVED), str(self.notes), "sweep", str(self.job)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, env=self.bench.environment(), cwd=self.bench.work, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def trained(self) -> list[dict[str, Any]]:
        """Every epoch that was trained, in order."""
        return [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []

    def records(self) -> dict[str, Any]:
        """Every trial's record by id."""
        found = [json.loads(path.read_text()) for path in self._run.glob("trials/*/trial.json")]
        return {record["trial_id"]: record for record in found}

    def metrics(self, record: dict[str, Any]) -> list[dict[str, str]]:
        """A trial's epochs without their times."""
        with (self._run / "trials" / record["directory"] / "metrics.csv").open() as file:
            return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]

    @property
    def _run(self) -> Path:
        return self.bench.runs / self.name


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--kills", type=int, default=20, help="SIGKILLs")
    parser.add_argument("--trials", type=int, default=12, help="trials of the sweep")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument(
        "--concurrency", type=int, default=1, help="trials at once; with more than 1 nothing is compared"
    )
    args = parser.parse_args(argv)
    bench = begin_with(args)
    kills, trials = (3, 3) if bench.quick else (args.kills, args.trials)
    images, epochs = (24, 4) if bench.quick else (96, 9)
    bundle = bench.bundle(images)
    print(f"settings: {trials} trials of n, {epochs} epochs, {images} images at {IMGSZ} px")
    print(f"{args.concurrency} trials at once, {kills} kills at moments of seed {args.seed}")
    plain, chaos = (
        make(bench, name, bundle, trials, epochs, args.concurrency) for name in ("chaos-undisturbed", "chaos")
    )
    start_s, trained_s = undisturbed(plain)
    done = disturbed(chaos, kills, random.Random(args.seed), start_s, trained_s)
    tell(plain, chaos, done, kills, trials, args.concurrency == 1)


def make(bench: Bench, name: str, bundle: str, trials: int, epochs: int, concurrency: int) -> Side:
    """A sweep that has not begun."""
    job = {
        "dataset": bundle,
        "budget": {"max_epochs": epochs, "trials": trials},
        "scheduler": {"grace_epochs": epochs * 5 // 9, "reduction_factor": 2},  # before it every mAP is 0
        "train": {"imgsz": IMGSZ, "optimizer": "AdamW", "batch": 4, "nbs": 4, "warmup_epochs": 1, "close_mosaic": 2},
        "concurrency": concurrency,
        "max_failures": 100,  # only what kills does is looked at
    }
    side = Side(bench, name, bench.write_job(name, SPACE, job))
    for path in (side.notes, side.log):
        path.unlink(missing_ok=True)
    return side


def undisturbed(side: Side) -> tuple[float, float]:
    """Run the sweep; seconds to its first epoch, and from there to its end."""
    began = time.time()
    process = side.start()
    if process.wait(MOST_S):
        raise SystemExit(f"the undisturbed sweep failed:\n{side.log.read_text()[-4000:]}")
    first = side.trained()[0]["at"]
    print(f"undisturbed: {first - began:.1f} s to the first epoch, {time.time() - first:.1f} s from there to the end")
    return first - began, time.time() - first


def disturbed(side: Side, kills: int, rng: random.Random, start_s: float, trained_s: float) -> list[Kill]:
    """Run the sweep with kills; those that were made before it ended."""
    kinds = [kind for _ in range(-(-kills // len(KINDS))) for kind in rng.sample(KINDS, len(KINDS))][:kills]
    done: list[Kill] = []
    process = side.start()
    while kinds:
        # Spread so that about a third of the work is left for after the last kill.
        moment_s = rng.uniform(0, start_s + 2 * (2 / 3) * trained_s / kills)
        began = time.time()
        ended = wait(process, moment_s)
        if ended is not None:
            if ended:
                raise SystemExit(f"the sweep ended with {ended} by itself:\n{side.log.read_text()[-4000:]}")
            break
        kind = kill(process, kinds.pop(0))
        done.append(Kill(time.time(), kind, time.time() - began))
        what = f"kill {len(done)}: {kind} after {done[-1].after_s:.1f} s; the command"
        if kind == "worker":
            print(f"{what} goes on", flush=True)
            continue
        code = process.wait(MOST_S)
        print(f"{what} ended with {code}, {time.time() - done[-1].at:.1f} s later", flush=True)
        process = side.start()
    code = process.wait(MOST_S)
    if code:
        raise SystemExit(f"the last command ended with {code}:\n{side.log.read_text()[-4000:]}")
    return done


def wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit code, None where it is still there after so long."""
    with suppress(subprocess.TimeoutExpired):
        return process.wait(seconds)
    return None


def kill(process: subprocess.Popen[bytes], kind: str) -> str:
    """SIGKILL what is wanted of the command's processes, the driver where that is not there yet; what was killed."""
    driver = psutil.Process(process.pid)
    below = driver.children(recursive=True)
    if kind == "all":
        family = [*below, driver]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.suspend()  # nobody gets to clean up
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        return kind
    is_meant: dict[str, Callable[[psutil.Process], bool]] = {
        "worker": lambda one: "Trainable" in "".join(one.cmdline()[:1]),  # ray::ResourceTrainable.train
        "raylet": lambda one: one.name() == "raylet",
        "gcs": lambda one: one.name() == "gcs_server",
    }
    for one in below:
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if kind in is_meant and is_meant[kind](one):
                one.kill()
                return kind
    driver.kill()
    return "driver"


def tell(plain: Side, chaos: Side, done: list[Kill], kills: int, trials: int, is_compared: bool) -> None:
    """Compare the two and print the claim's line; what differs is printed before it."""
    left, there = plain.records(), chaos.records()
    lost = [trial_id for trial_id in left if there.get(trial_id, {}).get("status") not in ("COMPLETED", "STOPPED")]
    differ = [one for one in sorted(left.keys() & there.keys()) if is_compared and differs(plain, chaos, one)]
    differ += sorted(there.keys() - left.keys())
    decided = Counter(DECIDED.findall(chaos.log.read_text()))
    again = [trial_id for trial_id, count in decided.items() if count > 1]
    trained = chaos.trained()
    repeats = Counter(repeated_by(trained, done))
    times = Counter((one["trial_id"], one["epoch"]) for one in trained)
    twice = [trial_id for trial_id, record in there.items() if counted_twice(record, trained)]
    extra = max(0, len(there) - trials)
    statuses = Counter(record["status"] for record in left.values())
    print(f"undisturbed: {dict(statuses)}, {len(plain.trained())} epochs; best {best(left)}")
    print(f"killed: {Counter(one.kind for one in done)}; {len(trained)} epochs trained, {len(times)} of them different")
    for what, found in (("lost", lost), ("differ", differ), ("counted twice", twice), ("decided twice", again)):
        if found:
            print(f"trials, {what}: {', '.join(found)}")
    if len(done) < kills:
        print(f"the sweep ended after {len(done)} of {kills} kills")
    print(
        f"chaos kills={len(done)} trials_lost={len(lost)} goal=0 epochs_repeated={sum(repeats.values())} "
        f"most_for_one_kill={max(repeats.values(), default=0)} goal<=1 "
        f"decisions_that_differ={len(differ) if is_compared else 'not compared'} goal=0 "
        f"decided_twice={len(again)} goal=0 "
        f"budget_counted_twice={len(twice) + extra} goal=0",
        flush=True,
    )


def differs(plain: Side, chaos: Side, trial_id: str) -> bool:
    """Whether anything about a trial but its times is not the same; what it is is printed."""
    before, after = plain.records()[trial_id], chaos.records()[trial_id]
    found = [f"{name}: {before[name]!r}, {after[name]!r}" for name in COMPARED if before[name] != after[name]]
    if plain.metrics(before) != chaos.metrics(after):
        found.append("metrics.csv")
    for line in found:
        print(f"{trial_id} differs in {line}")
    return bool(found)


def repeated_by(trained: list[dict[str, Any]], done: list[Kill]) -> list[int]:
    """For every epoch that had been trained before, the number of the last kill before it was trained again."""
    seen: set[tuple[str, int]] = set()
    found = []
    for one in trained:
        epoch = (one["trial_id"], one["epoch"])
        if epoch in seen:
            found.append(sum(kill.at < one["at"] for kill in done))
        seen.add(epoch)
    return found


def counted_twice(record: dict[str, Any], trained: list[dict[str, Any]]) -> bool:
    """Whether the ledger has more seconds of a trial than its epochs took, each at its longest."""
    longest: dict[int, float] = {}
    for one in trained:
        if one["trial_id"] == record["trial_id"]:
            longest[one["epoch"]] = max(longest.get(one["epoch"], 0.0), one["seconds"])
    return bool(record["seconds"] > sum(longest.values()) + 1e-6)


def best(records: dict[str, Any]) -> str:
    """The best trial, in words."""
    record = max(records.values(), key=lambda record: record["mask_map50_95"] or 0.0)
    return f"{record['trial_id']} {record['mask_map50_95']:.4f}"


if __name__ == "__main__":
    main()
