"""Faults of workers and of drivers, injected: what becomes of the trial, and that the sweep goes on."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from shell import REPO, Shell, wait_until

JOB = (
    "jobs/demo.yaml",
    "--set", "storage=runs",
    "--set", "variants=[n]",
    "--set", "scheduler={grace_epochs: 2, reduction_factor: 2}",
    "--set", "train.imgsz=32",
    "--set", "hang_minutes=0.4",
)  # fmt: skip

# Trial, the report before which it happens, how many times; t0001, the default, is never stopped by the scheduler.
FAULTS = [
    ("t0001", 2, ["kill"]),
    ("t0002", 1, ["kill", "kill", "kill"]),
    ("t0003", 2, ["segfault"]),
    ("t0004", 2, ["hang"]),
    ("t0005", 2, ["hang", "hang"]),
    ("t0006", 2, ["raise"]),
    ("t0007", 2, ["nan"]),
]


@dataclass(frozen=True)
class Sweep:
    """A sweep with faults in it.

    Attributes:
        shell: Where it runs.
        name: The job's.
        job: Its arguments.
    """

    shell: Shell
    name: str
    job: tuple[str, ...]

    @property
    def run(self) -> Path:
        return self.shell.cwd / "runs" / self.name

    @property
    def faults(self) -> Path:
        return self.shell.cwd / f"faults-{self.name}"

    def plan(self, faults: list[tuple[str, int, list[str]]]) -> None:
        self.faults.mkdir(exist_ok=True)
        for trial, report, kinds in faults:
            for number, kind in enumerate(kinds):
                (self.faults / f"{trial}-{report}-{number}").write_text(kind)

    def start(self, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(REPO / "tests" / "faulty_driver.py"), str(self.faults), "sweep", *self.job],
            cwd=self.shell.cwd,
            env={**self.shell.env_seen(), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def go_on(self, **env: str) -> tuple[int, str]:
        with self.start(**env) as driver:
            said, _ = driver.communicate(timeout=600)
        assert "Traceback" not in said, said
        return driver.returncode, said

    def records(self) -> dict[str, Any]:
        found = [json.loads(path.read_text()) for path in self.run.glob("trials/*/trial.json")]
        return {record["trial_id"]: record for record in found}

    def epochs(self, trial: str) -> list[int]:
        (path,) = self.run.glob(f"trials/*{trial}/metrics.csv")
        return [int(float(line.split(",")[0])) for line in path.read_text().splitlines()[1:]]


MakeSweep = Callable[..., Sweep]


@pytest.fixture(scope="module")
def make_sweep(shell: Shell, sample_bundles: Path) -> MakeSweep:
    def make(name: str, trials: int, epochs: int, *more: str) -> Sweep:
        budget = f"budget={{max_epochs: {epochs}, trials: {trials}}}"
        own = ("--set", f"name={name}", "--set", f"dataset={sample_bundles / 'demo'}", "--set", budget)
        return Sweep(shell, name, (*JOB, *own, *more))

    return make


@pytest.fixture(scope="module")
def faulty(make_sweep: MakeSweep) -> tuple[Sweep, str]:
    sweep = make_sweep("faulty", 8, 3, "--set", "concurrency=2")
    sweep.plan(FAULTS)
    code, said = sweep.go_on()
    assert code == 0, said
    assert list(sweep.faults.iterdir()) == [], "a fault was never met"
    return sweep, said


@pytest.mark.parametrize("trial", ["t0001", "t0003", "t0004"])
def test_a_trial_whose_worker_dies_segfaults_or_hangs_once_goes_on_without_an_epoch_twice(
    faulty: tuple[Sweep, str], trial: str
) -> None:
    sweep, _ = faulty
    record = sweep.records()[trial]
    assert record["status"] in ("COMPLETED", "STOPPED")
    assert (record["error"], record["failure"]) == ("", "")
    assert sweep.epochs(trial) == list(range(1, record["epoch"] + 1))
    assert record["epoch"] >= 2


@pytest.mark.parametrize(
    ("trial", "failure", "epoch", "error"),
    [
        ("t0002", "worker died", 0, "the worker died"),
        ("t0005", "hung", 1, "it has said nothing for"),
        ("t0006", "RuntimeError", 1, "RuntimeError: planted"),
    ],
)
def test_a_failed_trial_says_id_configuration_last_epoch_log_and_how_to_run_it_alone(
    faulty: tuple[Sweep, str], trial: str, failure: str, epoch: int, error: str
) -> None:
    sweep, said = faulty
    record = sweep.records()[trial]
    assert (record["status"], record["failure"], record["epoch"]) == ("FAILED", failure, epoch)
    assert record["error"].startswith(error)
    told = " ".join(said.split())
    assert f"trial {trial} (n, {{" in told
    assert f"failed after epoch {epoch}: {error}" in told
    assert f"segsweep replay {sweep.run} --trial {trial}" in told.replace("- ", "-")
    assert f"{record['directory']}/log.txt" in told


def test_a_trial_that_returns_nan_does_not_go_on(faulty: tuple[Sweep, str]) -> None:
    record = faulty[0].records()["t0007"]
    assert (record["status"], record["epoch"]) == ("STOPPED", 2)


def test_the_sweep_goes_on_to_its_last_trial(faulty: tuple[Sweep, str]) -> None:
    sweep, _ = faulty
    assert sorted(sweep.records()) == [f"t{number:04d}" for number in range(1, 9)]
    assert sweep.shell.facts("status", sweep.run)["state"] == "COMPLETED"
    assert sorted(record["ended"] for record in sweep.records().values()) == list(range(1, 9))


def test_three_trials_that_fail_alike_stop_the_sweep_and_are_tried_again_when_it_goes_on(
    make_sweep: MakeSweep,
) -> None:
    sweep = make_sweep("alike", 6, 2, "--set", "concurrency=1")
    sweep.plan([("t0002", 1, ["raise"]), ("t0003", 2, ["raise"]), ("t0004", 1, ["raise"])])
    code, said = sweep.go_on()
    assert code == 4, said
    assert "the last 3 trials failed alike (RuntimeError): t0002, t0003, t0004" in " ".join(said.split())
    assert len(sweep.records()) == 4  # the budget of 6 is not burnt
    code, said = sweep.go_on()
    assert code == 0, said
    assert all(record["failure"] == "" for record in sweep.records().values())
    assert len(sweep.records()) == 6
    assert sweep.epochs("t0003") == [1, 2]


def test_workers_that_are_killed_for_memory_say_so_and_are_tried_again_by_the_same_command(
    make_sweep: MakeSweep,
) -> None:
    sweep = make_sweep("memory", 4, 2, "--set", "concurrency=1")
    sweep.plan([])
    code, said = sweep.go_on(RAY_memory_usage_threshold="0.001", RAY_memory_monitor_refresh_ms="100")
    assert code == 4, said
    told = " ".join(said.split())
    assert "the last 3 trials failed alike (out of memory): t0001, t0002, t0003" in told
    assert re.search(r"ran out of memory \(\S+GB used / \S+GB\) and the worker was killed: lower concurrency", told)
    code, said = sweep.go_on()
    assert code == 0, said
    assert [(record["epoch"], record["failure"]) for record in sweep.records().values()] == [(2, "")] * 4


def test_a_driver_that_gets_sigterm_ends_interrupted_and_goes_on(make_sweep: MakeSweep) -> None:
    sweep = make_sweep("notice", 2, 4, "--set", "concurrency=1")
    sweep.plan([])
    with sweep.start() as driver:
        wait_until(lambda: any(one["epoch"] for one in sweep.records().values()), 120, "an epoch")
        driver.send_signal(signal.SIGTERM)
        said, _ = driver.communicate(timeout=120)
    assert driver.returncode != 0
    assert "the same command goes on" in " ".join(said.split())
    assert sweep.shell.facts("status", sweep.run)["state"] == "INTERRUPTED"
    code, said = sweep.go_on()
    assert code == 0, said
    assert sweep.epochs("t0001") == [1, 2, 3, 4]


def test_a_run_that_was_removed_and_begun_anew_trains_anew(make_sweep: MakeSweep) -> None:
    sweep = make_sweep("anew", 1, 4, "--set", "concurrency=1")
    sweep.plan([("t0001", 3, ["kill"] * 3)])
    code, said = sweep.go_on()
    assert code == 4, said  # the only trial has failed, and its checkpoints lie on the node
    shutil.rmtree(sweep.run)
    code, said = sweep.go_on()
    assert code == 0, said
    (log,) = sweep.run.glob("trials/*/log.txt")
    assert "going on after epoch" not in log.read_text()
    assert sweep.epochs("t0001") == [1, 2, 3, 4]


@pytest.mark.parametrize(("process", "name"), [("raylet", "raylet"), ("gcs_server", "GCS")])
def test_a_driver_whose_ray_is_killed_ends_in_words_and_goes_on(make_sweep: MakeSweep, process: str, name: str) -> None:
    sweep = make_sweep(f"without-{name}", 2, 4, "--set", "concurrency=1")
    sweep.plan([])
    with sweep.start() as driver:
        wait_until(lambda: any(one["epoch"] for one in sweep.records().values()), 120, "an epoch")
        (lost,) = [one for one in psutil.Process(driver.pid).children() if one.name() == process]
        lost.kill()
        said, _ = driver.communicate(timeout=120)
    assert driver.returncode == 4, said
    assert f"Ray's {name} has died (killed, or out of memory); nothing is lost, the same command goes on" in " ".join(
        said.split()
    )
    assert "state-dump" not in said
    assert "Traceback" not in said
    assert sweep.shell.facts("status", sweep.run)["state"] == "INTERRUPTED"
    code, said = sweep.go_on()
    assert code == 0, said
    assert [record["epoch"] for record in sweep.records().values()] == [4, 4]
    assert sweep.epochs("t0001") == [1, 2, 3, 4]
