"""`cluster-onprem.yaml` for real: three hosts, `ray up` over SSH, a sweep, a worker lost, the head lost, gone on.

Left out are the installation (the hosts see this machine's) and the GPUs. Not in the gate, whose time it would
take; `make e2e-hosts` runs it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from netns import Host
from seaweed import SeaweedServer
from segsweep.cluster.token import make_token
from segsweep.storage import layout
from segsweep.storage.opening import open_store
from segsweep.storage.run_folder import RunFolder
from shell import REPO, Shell, wait_until

BIN = Path(sys.executable).parent
TRIALS, EPOCHS = 4, 8


@dataclass
class Log:
    """What happened when; shown where a test fails."""

    began: float = field(default_factory=time.monotonic)

    def __call__(self, text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self.began:6.1f} s  {text}\n")
        sys.stdout.flush()


@pytest.fixture
def user(three_hosts: list[Host], storage: SeaweedServer, real_data: Path) -> Shell:
    """The terminal of whoever has keys and token, with the job, the cluster file, and the dataset on S3."""
    shared = three_hosts[0].home.parent
    home, cwd = shared / "user", shared / "work"
    (home / ".ray").mkdir(parents=True)
    make_token(home)
    for name in ("jobs", "search_spaces"):
        shutil.copytree(REPO / name, cwd / name)
    (cwd / "cluster.yaml").write_text(yaml.safe_dump(_edited(three_hosts, shared / "key", storage)))
    own = {"HOME": str(home), "PATH": f"{BIN}:/usr/bin:/bin:/usr/sbin", "SEGSWEEP_CACHE": str(home / "cache")}
    shell = Shell(cwd, {**own, **storage.environment})
    (home / ".ssh").mkdir(mode=0o700)
    shell.run("prepare", real_data / "feralcat", "--to", storage.uri("bundles"), "--name", "cats", "--imgsz", 64)
    return shell


def _edited(hosts: Sequence[Host], key: Path, storage: SeaweedServer) -> dict[str, object]:
    file = yaml.safe_load((REPO / "cluster-onprem.yaml").read_text())
    file["provider"] |= {"head_ip": hosts[0].address, "worker_ips": [host.address for host in hosts[1:]]}
    file["auth"] = {"ssh_user": "root", "ssh_private_key": str(key)}
    file["file_mounts"]["~/segsweep"] = str(REPO)
    _, _, environment, shell = file["setup_commands"]  # without the two that install
    keys = " ".join(f"'export {name}={value}'" for name, value in storage.environment.items())
    environment = environment.replace("$HOME/segsweep-venv/bin", str(BIN)).replace(
        " > ~/ray.env", f" {keys} > ~/ray.env"
    )
    assert storage.endpoint in environment
    file["setup_commands"] = [environment, shell]
    for name in ("head_start_ray_commands", "worker_start_ray_commands"):  # a trial a host, on one thread
        file[name] = [command.replace("ray start", "ray start --num-cpus=1") for command in file[name]]
    return dict(file)


def _ray(user: Shell, *words: str, timeout: float = 400) -> str:
    done = subprocess.run(
        [str(BIN / "ray"), *words], cwd=user.cwd, env=user.env_seen(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"ray {' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _up(user: Shell) -> None:
    _ray(user, "up", "--yes", "--no-config-cache", "cluster.yaml")


def _job(storage: SeaweedServer) -> tuple[str, ...]:
    sets = {
        "name": "cats",
        "dataset": storage.uri("bundles", "cats"),
        "storage": storage.uri("runs"),
        "variants": "[n]",
        "weights": "scratch",
        "resources": "{n: {gpus: 0, cpus: 1}}",
        "concurrency": 3,
        "checkpoint_minutes": 0,  # a lost host costs an epoch
        "budget": f"{{max_epochs: {EPOCHS}, trials: {TRIALS}}}",
        "scheduler": f"{{grace_epochs: {EPOCHS}, reduction_factor: 3}}",  # nobody is stopped
        "train.imgsz": 64,
        "train.batch": 8,
    }
    return ("jobs/feralcat.yaml", *(word for name, value in sets.items() for word in ("--set", f"{name}={value}")))


def _epochs(user: Shell, run: str) -> dict[str, int]:
    if not open_store(run).exists(layout.RUN):
        return {}
    return {trial["trial_id"]: trial["epoch"] for trial in user.facts("status", run)["trials"]}


def _preemptions(user: Shell, run: str) -> dict[str, int]:
    return {
        trial["trial_id"]: trial["preemptions"] for trial in user.facts("status", run)["trials"] if trial["preemptions"]
    }


def _sessions(run: str) -> list[dict[str, Any]]:
    store = open_store(run)
    return [json.loads(store.read(info.key)) for info in sorted(store.list(layout.SESSIONS), key=lambda info: info.key)]


def _trains(host: Host) -> set[str]:
    """Trials that have left checkpoints on the host."""
    folders = (host.home / ".cache" / "segsweep" / "checkpoints").glob("*/trials/*")
    return {folder.name.rpartition("-")[2] for folder in folders}


@pytest.mark.data
def test_a_sweep_outlives_a_worker_and_the_head(three_hosts: list[Host], user: Shell, storage: SeaweedServer) -> None:
    log = Log()
    head, worker, _ = three_hosts
    shared = head.home.parent
    run = storage.uri("runs", "cats")
    job = _job(storage)
    submit = ("submit", *job, "--cluster", "cluster.yaml")

    _up(user)
    log("ray up has ended")
    wait_until(lambda: head.run(". ~/ray.env; ray status").stdout.count("1 local.cluster.node") >= 1, 180, "the head")
    wait_until(lambda: "/3.0 CPU" in head.run(". ~/ray.env; ray status").stdout, 300, "three hosts of a CPU")
    log("three hosts have joined")
    other = three_hosts[2].run(f"curl -s -m 5 -o /dev/null -w %{{http_code}} http://{head.address}:8265/")
    assert other.stdout == "000", "the dashboard answers another host"

    following = user.start(*submit, log=shared / "log")
    wait_until(lambda: len(_trains(head) | _trains(worker) | _trains(three_hosts[2])) >= 3, 400, "three trials")
    wait_until(lambda: sum(epoch >= 2 for epoch in _epochs(user, run).values()) >= 3, 400, "two epochs of three trials")
    log(f"trials: {[sorted(_trains(host)) for host in three_hosts]}, epochs {_epochs(user, run)}")
    assert sum(bool(_trains(host)) for host in three_hosts) == 3

    before = _epochs(user, run)
    worker.kill()
    log("a worker's host is lost")
    (lost,) = _trains(worker)
    wait_until(lambda: _epochs(user, run).get(lost, 0) > before[lost], 400, f"{lost} going on elsewhere")
    log(f"{lost} goes on: epochs {before} -> {_epochs(user, run)}")
    assert _preemptions(user, run) == {lost: 1}

    before = _epochs(user, run)
    head.kill()
    following.kill()  # the laptop, too
    following.wait()
    log("the head is lost")
    worker.boot()
    head.boot()
    _up(user)
    log("ray up has ended again")
    wait_until(lambda: user.facts("status", run)["state"] == "INTERRUPTED", 300, "the old driver's silence")
    log(f"the old driver is known to be gone: epochs {_epochs(user, run)}")
    done = user.run(*submit)
    log("the same submit has ended")
    assert f"completed: {TRIALS}" in done.stdout

    assert _preemptions(user, run) == {lost: 1}  # the head's loss is nobody's

    for one in _sessions(run):
        log(f"session {one['started']}, ended {one['ended']} ({one['reason']}): {one.get('occupancy')}")
    assert _sessions(run)[-1]["occupancy"]["places"] == 3

    status = user.facts("status", run)
    assert status["state"] == "COMPLETED"
    for trial in status["trials"]:
        assert trial["epoch"] == EPOCHS
    for host in three_hosts:
        copies = [path for path in (host.home / ".cache" / "segsweep" / "bundles").glob("cats-*") if path.is_dir()]
        assert len(copies) == 1, f"{host.name} holds {copies}"

    _ray(user, "down", "--yes", "cluster.yaml")
    for host in three_hosts:
        wait_until(lambda host=host: not _left(host), 300, f"{host.name} without a process of Ray")
    log("ray down has left no process")

    user.run("sweep", *job, "--set", "name=undisturbed", "--set", "concurrency=1")
    log("an undisturbed sweep has ended")
    assert _ended(run) == _ended(storage.uri("runs", "undisturbed"))


def _left(host: Host) -> str:
    return host.run("ps -eo args | grep -E '[r]aylet|[g]cs_server|[r]ay::|[s]egsweep sweep'").stdout


def _ended(run: str) -> list[tuple[object, ...]]:
    """Every trial, and every epoch of it in all but its seconds."""
    folder = RunFolder(open_store(run))
    trials = []
    for record in folder.read_trials():
        rows = folder.read_metrics(record)
        assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1)), record.trial_id
        curve = [tuple(repr(value) for name, value in row.items() if name != "seconds") for row in rows]
        trials.append((record.trial_id, record.variant, record.status, record.params, curve))
    return trials
