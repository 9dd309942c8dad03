"""What the benchmarks share: a dataset to train on, fresh processes to time, and lines to print."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from segsweep.dataset.preparing.bundle import PrepareOptions, prepare
from segsweep.dataset.sample.synthetic import write_sample
from segsweep.inference.machine import load_average, this_machine

IMGSZ = 96
SEGSWEEP = (sys.executable, "-m", "segsweep")


@dataclass(frozen=True)
class Bench:
    """Where a benchmark works and how long.

    Attributes:
        work: Folder for everything it makes.
        rounds: Times that every side is measured.
        quick: Whether this is a smoke test: its figures mean nothing.
        together: Whether the sides run at the same time, which cancels what else a busy machine does.
    """

    work: Path
    rounds: int
    quick: bool
    together: bool

    @property
    def cache(self) -> Path:
        """The node's cache, of this benchmark alone."""
        return self.work / "cache"

    @property
    def runs(self) -> Path:
        """Where runs lie."""
        return self.work / "runs"

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a measured process: this cache, no cluster, nothing sent anywhere.

        Ray would start its workers at niceness 15, and other work on the machine would slow down only those.
        """
        inherited = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        ours = {"SEGSWEEP_CACHE": str(self.cache), "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
        return {**inherited, **ours, **more}

    def bundle(self, images: int) -> str:
        """A bundle of rendered images, made once."""
        source = self.work / f"sample-{images}"
        if not source.exists():
            write_sample(source, "coco", images, 0, 128)
        return prepare(source, str(self.work / "bundles"), PrepareOptions(imgsz=IMGSZ)).uri

    def write_job(self, name: str, space: Mapping[str, Any], job: Mapping[str, Any]) -> Path:
        """Write a job of size n from random weights, one CPU a trial, and its space; forget its last run."""
        shutil.rmtree(self.runs / name, ignore_errors=True)
        whole = {
            "name": name,
            "storage": str(self.runs),
            "search_space": str(self.work / f"{name}-space.yaml"),
            "variants": ["n"],
            "weights": "scratch",
            "resources": {"n": {"gpus": 0, "cpus": 1}},
            **job,
        }
        path = self.work / f"{name}.yaml"
        path.write_text(yaml.safe_dump(whole))
        Path(whole["search_space"]).write_text(yaml.safe_dump(dict(space)))
        return path


def begin(doc: str | None, argv: Sequence[str] | None, rounds: int) -> Bench:
    """Parse what every benchmark takes, and print the machine."""
    return begin_with(arguments(doc, rounds).parse_args(argv))


def arguments(doc: str | None, rounds: int) -> argparse.ArgumentParser:
    """What every benchmark takes."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/bench"), help="folder for data and runs")
    parser.add_argument("--rounds", type=int, default=rounds, help="times that every side is measured")
    parser.add_argument("--quick", action="store_true", help="smoke test: one short round")
    parser.add_argument("--together", action="store_true", help="overhead.py: both sides at once, for a busy machine")
    return parser


def begin_with(args: argparse.Namespace) -> Bench:
    """Print the machine."""
    args.work.mkdir(parents=True, exist_ok=True)
    print(f"machine: {this_machine()}, load average {load_average()}, commit {_commit()}")
    return Bench(args.work.absolute(), 1 if args.quick else args.rounds, args.quick, args.together)


@dataclass(frozen=True)
class Spent:
    """What a process and everything it started took.

    Attributes:
        wall_s: Seconds from start to exit.
        cpu_s: CPU seconds of all its processes: other work on the machine stretches the wall time, not these.
    """

    wall_s: float
    cpu_s: float


def timed(command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> Spent:
    """Run a process from start to exit; its output is shown only if it fails."""
    cwd.mkdir(parents=True, exist_ok=True)
    cpu_s: dict[int, float] = {}
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(command, env=dict(environment), cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        cpu_s[process.pid] = 0.0
        while process.poll() is None:
            _add_cpu_seconds(cpu_s)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
        wall_s = time.perf_counter() - began
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{output.read()[-4000:]}")
    return Spent(wall_s, sum(cpu_s.values()))


def _add_cpu_seconds(known: dict[int, float]) -> None:
    """Bring the CPU seconds of known processes up to date, and get to know their children; see proc(5)."""
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda folder: int(folder.name)):
        with suppress(OSError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(folder.name) in known or int(fields[1]) in known:
                known[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show(what: str, values: Sequence[float], unit: str = "s") -> float:
    """Print every measurement of one side and return their median."""
    median = statistics.median(values)
    each = ", ".join(f"{value:.3g}" for value in values)
    print(f"{what}: median {median:.3g} {unit} of {each}; load average now {load_average()}")
    return median


def verdict(name: str, ratio: float, goal: float) -> None:
    """Print a claim's line."""
    print(f"{name} ratio={ratio:.2f} goal<={goal:.2f}", flush=True)


def verdict_at_least(name: str, ratio: float, goal: float) -> None:
    """Print a claim's line where more is better."""
    print(f"{name} ratio={ratio:.2f} goal>={goal:.2f}", flush=True)


def _commit() -> str:
    done = subprocess.run(("git", "describe", "--always", "--dirty"), check=False, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
