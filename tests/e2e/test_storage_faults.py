"""Sweeps whose storage misbehaves, and whose node has lost files, end as one that nobody disturbed."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fault_proxy import FaultProxy, Kind
from seaweed import SeaweedServer
from segsweep.dataset.bundles.staging import is_staged
from segsweep.storage.layout import NODE_BUNDLES
from segsweep.storage.s3 import S3Store
from segsweep.storage.store import Store
from segsweep.training.checkpoint import Checkpoint
from shell import REPO, Shell, wait_until

pytestmark = pytest.mark.s3


@dataclass(frozen=True)
class Ended:
    """What a sweep has left behind, as far as its storage may have changed it.

    Attributes:
        records: Every trial's record, without times.
        metrics: Every trial's rows, without times.
        keys: Of the run's objects, without checkpoints: which epochs have one is a matter of time.
        logs: Every trial's log.
    """

    records: dict[str, Any]
    metrics: dict[str, list[dict[str, str]]]
    keys: list[str]
    logs: dict[str, str]


@dataclass(frozen=True)
class Place:
    """A bundle on S3, a way to S3 that can be disturbed, and a node of its own.

    Attributes:
        shell: Its commands go through the proxy.
        direct: Its commands do not.
        proxy: The way.
        server: The S3 server.
        bundle: The bundle's URI, without its digest.
        cache: The node's cache.
    """

    shell: Shell
    direct: Shell
    proxy: FaultProxy
    server: SeaweedServer
    bundle: str
    cache: Path

    def job(self, name: str) -> tuple[str, ...]:
        return (
            "jobs/demo.yaml",
            "--set", f"name={name}",
            "--set", f"dataset={self.bundle}",
            "--set", f"storage={self.server.uri('disturbed')}",
            "--set", "variants=[n]",
            "--set", "budget={max_epochs: 3, trials: 3}",
            "--set", "scheduler={grace_epochs: 1, reduction_factor: 2}",
            "--set", "train.imgsz=32",
            "--set", "concurrency=1",
            "--set", "checkpoint_minutes=0.01",
        )  # fmt: skip

    def store(self, name: str) -> Store:
        """A run, on a way of its own."""
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in self.server.environment.items():
                patch.setenv(variable, value)
            store = S3Store(
                self.server.bucket, self.server.uri("disturbed", name).removeprefix(f"s3://{self.server.bucket}/")
            )
            store.exists("run.json")  # connects
        return store


@pytest.fixture(scope="module")
def place(seaweed: SeaweedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    cwd, cache = tmp_path_factory.mktemp("user"), tmp_path_factory.mktemp("node")
    for name in ("jobs", "search_spaces"):
        shutil.copytree(REPO / name, cwd / name)
    direct = Shell(cwd, {**seaweed.environment, "SEGSWEEP_CACHE": str(cache)})
    direct.run("sample", "raw", "--format", "yolo", "--images", 24, "--imgsz", 64)
    direct.run("prepare", "raw", "--to", seaweed.uri("datasets"), "--name", "faulty", "--imgsz", 32)
    with FaultProxy.before(seaweed.endpoint, slow_s=1.0) as proxy:
        disturbed = direct.with_env(AWS_ENDPOINT_URL=proxy.endpoint)
        yield Place(disturbed, direct, proxy, seaweed, seaweed.uri("datasets", "faulty"), cache)


def ended(store: Store) -> Ended:
    keys = [info.key for info in store.list()]
    records, metrics, logs = {}, {}, {}
    for key in [key for key in keys if key.endswith("/trial.json")]:
        record = json.loads(store.read(key))
        directory, trial = key.removesuffix("trial.json"), record["trial_id"]
        records[trial] = {name: value for name, value in record.items() if "seconds" not in name}
        rows = csv.DictReader(io.StringIO(store.read(f"{directory}metrics.csv").decode()))
        metrics[trial] = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
        logs[trial] = store.read(f"{directory}log.txt").decode()
        last = store.read(f"{directory}checkpoints/epoch-{record['epoch']:04d}.pt")
        assert Checkpoint.from_bytes(last).epoch == record["epoch"]  # whole: its hash is in it
    kept = [key for key in keys if "/checkpoints/" not in key and not key.startswith("sessions/")]
    return Ended(records, metrics, kept, logs)


def assert_undisturbed(found: Ended, whole: Ended) -> None:
    assert found.records == whole.records
    assert found.metrics == whole.metrics
    assert found.keys == whole.keys


@pytest.fixture(scope="module")
def whole(place: Place) -> Ended:
    """The sweep that nobody disturbs."""
    place.direct.run("sweep", *place.job("whole"))
    found = ended(place.store("whole"))
    assert [record["status"] for record in found.records.values()] == ["COMPLETED"] * 3
    assert all(float(row["train_seg_loss"]) > 0 for rows in found.metrics.values() for row in rows)
    return found


def test_short_faults_of_every_kind_and_a_damaged_node_change_nothing(place: Place, whole: Ended) -> None:
    copy = next(path for path in (place.cache / NODE_BUNDLES).iterdir() if is_staged(path))
    image, label = (sorted(copy.glob(f"{kind}/train/*"))[0] for kind in ("images", "labels"))
    image.write_bytes(image.read_bytes()[:-100])
    label.unlink()
    checkpoint, record = r"t0001/checkpoints/", r"/trial\.json"
    faults = [
        place.proxy.inject(Kind.ERROR, "PUT POST", checkpoint + "epoch-0001", seconds=3),
        place.proxy.inject(Kind.CUT, "PUT POST", checkpoint + "epoch-0002", seconds=2),
        place.proxy.inject(Kind.SLOW, key="t0001/log.txt", seconds=3),
        place.proxy.inject(Kind.TRUNCATED, key="t0002/(best|checkpoints)", seconds=2),
        place.proxy.inject(Kind.SLOW_DOWN, "PUT", "t0002" + record, seconds=8),
        place.proxy.inject(Kind.REFUSED, "PUT", "t0003/metrics", seconds=10),
    ]
    done = place.shell.run("sweep", *place.job("short"))
    assert all(fault.hits for fault in faults), faults
    assert all(fault.is_over for fault in faults), faults
    found = ended(place.store("short"))
    assert_undisturbed(found, whole)
    for path in (image, label):
        assert path.relative_to(copy).as_posix() in found.logs["t0001"]
    assert "files of faulty-" in found.logs["t0001"]
    assert "SlowDown" in done.stderr
    for text in (done.stderr, *found.logs.values()):
        assert re.search(r"; silent for \d+ s, waiting for \d+ s more, again in", text)


def test_a_minute_without_the_server_is_waited_for_and_changes_nothing(place: Place, whole: Ended) -> None:
    log = place.direct.cwd / "minute.log"
    sweep = place.direct.start("sweep", *place.job("minute"), log=log)

    def in_the_middle() -> bool:
        assert sweep.poll() is None, log.read_text()[-3000:]
        return "t0002 n RUNNING epoch 1/3" in log.read_text()

    wait_until(in_the_middle, 120, "the second trial's first epoch")
    place.server.stop()
    time.sleep(60)
    assert sweep.poll() is None, log.read_text()[-3000:]
    place.server.start()
    assert sweep.wait(timeout=240) == 0, log.read_text()[-3000:]
    found = ended(place.store("minute"))
    assert_undisturbed(found, whole)
    silent = re.findall(r"does not answer.*; silent for (\d+) s, waiting for \d+ s more", found.logs["t0002"])
    assert max(map(int, silent)) >= 30, found.logs["t0002"]
