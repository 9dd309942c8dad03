"""The main job: a sweep that is killed in the middle, resumed, reported and exported."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest

from segsweep.storage import layout
from shell import Shell, kill_tree, wait_until

JOB = (
    "jobs/demo.yaml",
    "--set", "storage=runs",
    "--set", "budget={max_epochs: 4, trials: 8}",
    "--set", "scheduler={grace_epochs: 1, reduction_factor: 2}",
    "--set", "train.imgsz=64",
)  # fmt: skip


@dataclass(frozen=True)
class Killed:
    """What was seen of a sweep before and after its driver was killed.

    Attributes:
        at_rest: `status --json` after the kill.
        kept: Bytes of metrics.csv, log and weights of every trial that had ended before the kill.
        refused: The second driver, started while the first was running.
        owner_pid: The first driver.
        resumed: The same command again.
        run: The run's folder.
    """

    at_rest: Any
    kept: dict[Path, bytes]
    refused: subprocess.CompletedProcess[str]
    owner_pid: int
    resumed: subprocess.CompletedProcess[str]
    run: Path


def _job(bundles: Path) -> tuple[str, ...]:
    return (*JOB, "--set", f"dataset={bundles / 'demo'}")


def _ended(run: Path) -> list[Path]:
    records = [(path, json.loads(path.read_text())) for path in run.glob("trials/*/trial.json")]
    return [path.parent for path, record in records if record["status"] in ("COMPLETED", "STOPPED")]


def _running_past_first_epoch(run: Path) -> bool:
    records = [json.loads(path.read_text()) for path in run.glob("trials/*/trial.json")]
    return any(record["status"] == "RUNNING" and record["epoch"] >= 1 for record in records)


@pytest.fixture(scope="module")
def killed(shell: Shell, sample_bundles: Path) -> Killed:
    run = shell.cwd / "runs" / "demo"
    log = shell.cwd / "first.log"
    first = shell.start("sweep", *_job(sample_bundles), log=log)

    def in_the_middle() -> bool:
        assert first.poll() is None, log.read_text()[-3000:]
        return len(_ended(run)) >= 2 and _running_past_first_epoch(run)

    wait_until((run / "lock.json").exists, 120, "the first driver taking the run")
    refused = shell.run("sweep", *_job(sample_bundles), code=4)
    wait_until(in_the_middle, 600, "two trials ending and another running")
    kill_tree(first)
    kept = {
        path: path.read_bytes()
        for trial in _ended(run)
        for path in (trial / "metrics.csv", trial / "log.txt", trial / "best.pt")
        if path.exists()
    }
    at_rest = shell.facts("status", run)
    resumed = shell.run("sweep", *_job(sample_bundles))
    return Killed(at_rest, kept, refused, first.pid, resumed, run)


@pytest.fixture(scope="module")
def report(killed: Killed, shell: Shell) -> Any:
    return shell.facts("report", killed.run, "--out", "report")


def test_a_second_driver_is_refused_with_the_owners_pid(killed: Killed) -> None:
    assert str(killed.owner_pid) in killed.refused.stderr


def test_a_killed_run_is_interrupted_and_nothing_in_it_runs(killed: Killed) -> None:
    assert killed.at_rest["state"] == "INTERRUPTED"
    assert {trial["status"] for trial in killed.at_rest["trials"]} <= {"PENDING", "COMPLETED", "STOPPED"}


def test_nothing_that_had_ended_runs_twice(killed: Killed) -> None:
    assert len(killed.kept) >= 4
    assert {path: path.read_bytes() for path in killed.kept} == killed.kept


def test_the_resumed_sweep_spends_exactly_the_budget(killed: Killed, shell: Shell) -> None:
    status = shell.facts("status", killed.run)
    assert status["state"] == "COMPLETED"
    assert [trial["trial_id"] for trial in status["trials"]] == [f"t{number:04d}" for number in range(1, 9)]
    assert status["budget"]["trials_left"] == 0


def test_every_size_is_fully_trained_and_some_trials_are_stopped(killed: Killed, shell: Shell) -> None:
    trials = shell.facts("status", killed.run)["trials"]
    completed = {trial["variant"] for trial in trials if trial["status"] == "COMPLETED"}
    assert completed == {"n", "s"}
    assert all(trial["epoch"] == 4 for trial in trials if trial["status"] == "COMPLETED")
    assert all(trial["epoch"] in (1, 2) for trial in trials if trial["status"] == "STOPPED")


def test_every_epoch_stands_once_in_every_trials_metrics(killed: Killed) -> None:
    for path in killed.run.glob("trials/*/trial.json"):
        record = json.loads(path.read_text())
        with (path.parent / "metrics.csv").open() as file:
            epochs = [int(float(row["epoch"])) for row in csv.DictReader(file)]
        assert epochs == list(range(1, record["epoch"] + 1)), path


def test_the_unfinished_trial_went_on_from_its_checkpoint(killed: Killed) -> None:
    unfinished = {
        trial["trial_id"] for trial in killed.at_rest["trials"] if trial["status"] == "PENDING" and trial["epoch"]
    }
    logs = {path.parent.name: path.read_text() for path in killed.run.glob("trials/*/log.txt")}
    assert unfinished
    for trial_id in unfinished:
        text = next(text for name, text in logs.items() if name.endswith(trial_id))
        assert "going on after epoch" in text


def test_a_trials_directory_holds_all_that_belongs_to_it(killed: Killed) -> None:
    for trial in _ended(killed.run):
        names = {path.name for path in trial.iterdir()}
        events = "events.out.tfevents.segsweep"
        assert {"trial.json", "arguments.yaml", "metrics.csv", events, "log.txt", "checkpoints"} <= names


def test_the_same_command_on_a_complete_run_starts_nothing(killed: Killed, shell: Shell, sample_bundles: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in killed.run.glob("trials/*/*")}
    shell.run("sweep", *_job(sample_bundles))
    assert {path: path.stat().st_mtime_ns for path in killed.run.glob("trials/*/*")} == before


def test_a_larger_budget_goes_on_and_another_horizon_is_refused(
    killed: Killed, shell: Shell, sample_bundles: Path
) -> None:
    refused = shell.run("sweep", *_job(sample_bundles), "--set", "budget={max_epochs: 6, trials: 8}", code=4)
    assert "budget.max_epochs" in refused.stderr


def test_the_report_has_one_finalist_a_size_and_the_fixed_schema(report: Any) -> None:
    assert report["schema"] == 1
    assert [finalist["variant"] for finalist in report["finalists"]] == ["n", "s"]
    for finalist in report["finalists"]:
        assert {
            "trial_id", "variant", "imgsz", "runtime", "precision", "test_mask_map50", "test_mask_map50_95",
            "latency_ms", "gain_over_default", "on_front",
        } <= finalist.keys()  # fmt: skip
        latency = finalist["latency_ms"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
        assert 0 <= finalist["test_mask_map50_95"] <= finalist["test_mask_map50"] <= 1
    assert report["knee"] in report["front"]
    assert len(report["trials"]) == 8


def test_the_report_writes_its_files_and_a_page_that_needs_no_network(report: Any, shell: Shell) -> None:
    out = shell.cwd / "report"
    assert {"index.html", "facts.json", "front.csv", "trials.csv", "front.png"} <= {p.name for p in out.iterdir()}
    page = (out / "index.html").read_text()
    assert "<script src=" not in page
    assert json.loads((out / "facts.json").read_text()) == report


def test_the_export_is_an_onnx_model_that_agrees_with_torch(report: Any, killed: Killed, shell: Shell) -> None:
    shell.run("export", killed.run, "--out", "model", "--max-latency-ms", 10_000)
    out = shell.cwd / "model"
    assert {"model.onnx", "model.pt", "README.md", "parity.json"} <= {path.name for path in out.iterdir()}
    onnx.checker.check_model(str(out / "model.onnx"))


def test_an_impossible_latency_exits_4_and_names_what_comes_nearest(report: Any, killed: Killed, shell: Shell) -> None:
    refused = shell.run("export", killed.run, "--out", "none", "--max-latency-ms", 0.001, code=4)
    assert any(finalist["trial_id"] in refused.stderr for finalist in report["finalists"])
    assert not (shell.cwd / "none").exists()


def test_all_trials_of_both_sessions_share_one_download(killed: Killed, node_cache: Path) -> None:
    fetched = (node_cache / layout.NODE_BUNDLES / layout.NODE_DOWNLOADS).read_text().splitlines()
    bundle = json.loads((killed.run / layout.RUN).read_text())["dataset"]
    assert sum(bundle in line for line in fetched) == 1, fetched


def test_a_trial_that_was_killed_and_went_on_reproduces_alone(killed: Killed, shell: Shell) -> None:
    trial = next(t for t in killed.at_rest["trials"] if t["status"] == "PENDING" and t["epoch"])["trial_id"]
    before = {path: path.stat().st_mtime_ns for path in killed.run.rglob("*")}
    facts = shell.facts("replay", killed.run, "--trial", trial)
    assert facts["reproduced"]
    assert facts["epochs"] == facts["epochs_compared"] >= 1
    assert {path: path.stat().st_mtime_ns for path in killed.run.rglob("*")} == before


def test_a_trial_that_was_something_else_does_not_reproduce(killed: Killed, shell: Shell) -> None:
    run = shell.cwd / "runs" / "altered"
    shutil.copytree(killed.run, run)
    metrics = next(run.glob("trials/n-*t0001/metrics.csv"))
    header, first, *rest = metrics.read_text().splitlines()
    column = header.split(",").index("train_seg_loss")
    values = first.split(",")
    values[column] = f"{float(values[column]) * (1 + 1e-6):.9g}"  # the seventh digit
    metrics.write_text("\n".join([header, ",".join(values), *rest, ""]))
    refused = shell.run("replay", run, "--trial", "t0001", code=4)
    assert "t0001 does not reproduce: train_seg_loss of epoch 1 was" in refused.stdout
    assert "there are: t0001, t0002" in shell.run("replay", run, "--trial", "t99", code=4).stderr
