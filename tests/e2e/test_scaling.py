"""A cluster that grows and shrinks: Ray's own autoscaler, machines that are processes here, GPUs that are numbers.

The sweep is real but for its training, which only waits: nobody here has a GPU to train on.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

RAY = Path(sys.executable).with_name("ray")
TYPES = {
    "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
    "large": {"resources": {"CPU": 8, "GPU": 4}, "node_config": {}, "min_workers": 0, "max_workers": 2},
    "small": {"resources": {"CPU": 2, "GPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 1},
}
AUTH = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
SHARES = {"n": 0.5, "x": 2}
CONCURRENCY, TRIALS, EPOCHS = 8, 16, 140

JOB = {
    "name": "grows", "dataset": "unused", "storage": "unused", "search_space": "unused", "variants": ["n", "x"],
    "budget": {"max_epochs": EPOCHS, "trials": TRIALS}, "scheduler": {"grace_epochs": 10, "reduction_factor": 8},
    "resources": {size: {"gpus": share, "cpus": 1} for size, share in SHARES.items()}, "concurrency": CONCURRENCY,
}  # fmt: skip

# argv: where to write what happened, a line each; the job.
SCRIPT = """
import json, sys, threading, time
import ray
from ray import tune
from rich.console import Console
from segsweep.config.job import from_run
from segsweep.core.allowance import Allowance
from segsweep.core.ledger import Ledger
from segsweep.core.metrics import OBJECTIVE
from segsweep.sweep import tuning
from segsweep.sweep.ray_session import ray_session
from segsweep.training.task import SweepContext

log = sys.argv[1]

class Waits(tune.Trainable):
    def setup(self, config):
        self.record = config["record"]

    def step(self):
        epoch = self.iteration + 1
        time.sleep(0.5)
        held = dict(trial=self.record["trial_id"], size=self.record["variant"], epoch=epoch, at=time.time(),
                    node=ray.get_runtime_context().get_node_id(), gpus=ray.get_gpu_ids())
        with open(log, "a") as file:
            file.write(json.dumps(held) + chr(10))
        value = 0.5 if self.record["is_default"] else float("nan")  # the others are stopped where they may be
        return {"epoch": epoch, "seconds": 0.5, OBJECTIVE: value}

    def reset_config(self, config):
        self.record = config["record"]
        return True

tuning.trainable = lambda context, resources: tune.with_resources(Waits, resources)
job = from_run(json.loads(sys.argv[2]), dict(lr0=dict(uniform=[0.001, 0.1])))
ledger = Ledger(job.job.horizon)

def watch():
    while True:
        alive = [[node["NodeID"], node["Resources"].get("GPU", 0)] for node in ray.nodes() if node["Alive"]]
        with open(log, "a") as file:
            file.write(json.dumps(dict(at=time.time(), alive=alive)) + chr(10))
        time.sleep(0.25)

with ray_session(job.job) as concurrency:
    threading.Thread(target=watch, daemon=True).start()
    noted = {}
    context = SweepContext("unused", "unused", None, job.job, {})
    session = tuning.Session(job, context, ledger, Allowance(job.job.budget.trials, None), concurrency,
                             threading.Event(), noted)
    tuning.run_trials(session, Console())
    print(json.dumps([record.to_json() for record in ledger.records]))
    print(json.dumps(noted))
"""


@dataclass(frozen=True)
class Happened:
    """What a sweep on the growing cluster did.

    Attributes:
        trials: Its records.
        steps: Where each epoch was trained, in order.
        machines: Which machines were there, several times a second.
        idle_share: As the session's record has it.
    """

    trials: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    machines: list[dict[str, Any]]
    idle_share: float


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A head without CPUs, and the autoscaler that starts machines for it."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="grow-", dir="/tmp") as temporary:  # Ray's sockets want a short path
        ip = ray.util.get_node_ip_address()
        file = Path(temporary, "cluster.yaml")
        file.write_text(
            json.dumps({
                "cluster_name": "grows", "max_workers": 3, "upscaling_speed": 100, "idle_timeout_minutes": 0.4,
                "provider": {
                    "type": "fake_multinode", "gcs_address": f"{ip}:{port}", "use_node_id_as_ip": True,
                    "disable_node_updaters": True, "disable_launch_config_check": True,
                },
                "head_node_type": "ray.head.default", "available_node_types": TYPES,
                "auth": {}, "docker": {}, "file_mounts": {}, "cluster_synced_files": [],
                "initialization_commands": [], "setup_commands": [], "head_setup_commands": [],
                "worker_setup_commands": [], "head_start_ray_commands": [], "worker_start_ray_commands": [],
            })
        )  # fmt: skip
        environment = {
            **os.environ, **AUTH, "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_enable_autoscaler_v2": "0",
        }  # fmt: skip
        try:
            subprocess.run(
                [
                    RAY, "start", "--head", f"--port={port}", "--num-cpus=0", "--num-gpus=0",
                    "--include-dashboard=false", "--object-store-memory=80000000",
                    f"--temp-dir={temporary}/ray", f"--autoscaling-config={file}",
                    "--disable-usage-stats",
                ],
                check=True, capture_output=True, env=environment,
            )  # fmt: skip
            yield f"{ip}:{port}"
        finally:
            _end(temporary)


def _end(temporary: str) -> None:
    """`ray stop` would end every Ray on this machine."""
    ours = [
        one for one in psutil.process_iter(["cmdline"]) if any(temporary in word for word in one.info["cmdline"] or [])
    ]
    for process in {
        child for one in ours for child in [one, *one.children(recursive=True)]
    }:  # agents change their names
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture(scope="module")
def happened(address: str, tmp_path_factory: pytest.TempPathFactory) -> Happened:
    log = tmp_path_factory.mktemp("grows") / "log.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, log, json.dumps(JOB)],
        env={**os.environ, **AUTH, "RAY_ADDRESS": address},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    lines = sorted(map(json.loads, log.read_text().splitlines()), key=lambda line: line["at"])
    trials, noted = map(json.loads, [line for line in done.stdout.splitlines() if line.startswith(("[{", '{"occ'))])
    steps, machines = [line for line in lines if "trial" in line], [line for line in lines if "alive" in line]
    return Happened(trials, steps, machines, noted["occupancy"]["idle_share"])


def test_every_trial_ends_and_no_epoch_is_trained_twice(happened: Happened) -> None:
    assert len(happened.trials) == TRIALS
    assert {trial["status"] for trial in happened.trials} == {"COMPLETED", "STOPPED"}
    epochs = defaultdict(list)
    for step in happened.steps:
        epochs[step["trial"]].append(step["epoch"])
    for trial in happened.trials:
        assert epochs[trial["trial_id"]] == list(range(1, trial["epoch"] + 1))
        assert trial["preemptions"] == 0


def test_no_trial_runs_on_the_head_and_each_where_it_fits(happened: Happened) -> None:
    gpus = {node: count for line in happened.machines for node, count in line["alive"]}
    assert {gpus[step["node"]] for step in happened.steps} == {1.0, 4.0}  # machines of both kinds, and not the head
    for step in happened.steps:
        assert len(step["gpus"]) == max(1, SHARES[step["size"]])
        assert gpus[step["node"]] >= SHARES[step["size"]]


def test_gpus_are_shared_by_parts_and_never_given_twice(happened: Happened) -> None:
    gpus = {node: count for line in happened.machines for node, count in line["alive"]}
    spans: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(dict)
    size = {}
    for step in happened.steps:
        size[step["trial"]] = step["size"]
        for gpu in step["gpus"]:
            spans[step["node"], gpu].setdefault(step["trial"], [step["at"], step["at"]])[1] = step["at"]
    most_shared, used = 0, set()
    for (node, gpu), trials in spans.items():
        assert gpu < gpus[node]
        used.add((gpus[node], gpu))
        for moment, _ in trials.values():
            there = [trial for trial, (begin, end) in trials.items() if begin <= moment <= end]
            assert sum(min(SHARES[size[trial]], 1) for trial in there) <= 1
            most_shared = max(most_shared, len(there))
    assert most_shared == 2
    assert len(used) >= 4  # of a large machine several


def test_machines_are_asked_for_together_not_one_after_another(happened: Happened) -> None:
    """Were one trial at a time asked for, the second machine would come when the first was full."""
    there = [len(line["alive"]) - 1 for line in happened.machines]
    second = next(line["at"] for line, count in zip(happened.machines, there, strict=True) if count >= 2)
    running = {step["trial"] for step in happened.steps if step["at"] < second}
    assert len(running) < 2  # four GPUs hold up to eight


def test_machines_without_work_go_while_trials_on_others_end_in_peace(happened: Happened) -> None:
    last = max(step["at"] for step in happened.steps)
    most = max(len(line["alive"]) for line in happened.machines)
    assert most == 4
    assert min(len(line["alive"]) for line in happened.machines if last - 5 < line["at"] < last) < most
