"""What a retried store on a real S3 server promises while the server, or the way to it, misbehaves."""

from __future__ import annotations

import re
import socket
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fault_proxy import FaultProxy, Kind
from seaweed import SeaweedServer
from segsweep.errors import ConflictError, NotFoundError, RunLockedError, UnreachableError
from segsweep.storage.lock import RunLock, read_owner
from segsweep.storage.owner import Owner, dump_owner, this_process
from segsweep.storage.retrying import Patience, RetryingStore
from segsweep.storage.s3 import S3Store

pytestmark = [
    pytest.mark.s3,
    pytest.mark.slow(reason="starts a real S3 server and lets it misbehave"),
    pytest.mark.timeout(120),
]

DATA = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def proxy(seaweed_environment: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    with FaultProxy.before(seaweed_environment.endpoint, slow_s=0.5) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


@pytest.fixture
def inside(proxy: FaultProxy, seaweed_environment: SeaweedServer) -> S3Store:
    return S3Store(seaweed_environment.bucket, f"faults/{uuid.uuid4().hex}")


@pytest.fixture
def store(inside: S3Store) -> RetryingStore:
    return RetryingStore(inside, first_delay_s=0.1)


def status_of(proxy: FaultProxy, path: str) -> int:
    try:
        with urllib.request.urlopen(proxy.endpoint + path, timeout=10) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code


# --- the proxy itself ------------------------------------------------------------------------------------------------


def test_a_healthy_proxy_changes_nothing(proxy: FaultProxy, inside: S3Store, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(DATA * 20)  # in parts, with trailing checksums
    inside.upload(tmp_path / "large", "large")
    inside.download("large", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA * 20
    version = inside.create("a key+1", b"one")
    assert inside.replace("a key+1", b"two", version)
    with pytest.raises(ConflictError):
        inside.create("a key+1", b"three")
    assert inside.stream("a key+1", lambda file: file.read()) == b"two"
    assert [info.key for info in inside.list()] == ["a key+1", "large"]
    inside.delete("large")
    assert not inside.exists("large")
    assert proxy.seen("PUT", r"/a key\+1$") == 3
    assert proxy.seen("PUT", "partNumber=") == 2


def test_a_fault_meets_so_many_requests_of_its_kind_and_no_other(proxy: FaultProxy) -> None:
    fault = proxy.inject(Kind.ERROR, methods="GET", key=r"/b\b", count=2)
    assert status_of(proxy, "/a") != 500
    assert [status_of(proxy, "/b") for _ in range(3)] == [500, 500, status_of(proxy, "/a")]
    assert (fault.hits, fault.is_over) == (2, True)


def test_a_fault_lasts_so_long_from_its_first_request_on(proxy: FaultProxy) -> None:
    fault = proxy.inject(Kind.SLOW_DOWN, seconds=0.4)
    time.sleep(0.5)
    assert not fault.is_over, "it waits for its first request"
    assert status_of(proxy, "/a") == 503
    time.sleep(0.5)
    assert fault.is_over
    assert status_of(proxy, "/a") != 503


def test_a_fault_without_an_end_is_healed(proxy: FaultProxy) -> None:
    proxy.inject(Kind.ERROR)
    assert [status_of(proxy, "/a") for _ in range(3)] == [500] * 3
    proxy.heal()
    assert status_of(proxy, "/a") != 500


def test_refusing_ends_connections_and_accepts_none(proxy: FaultProxy) -> None:
    port = int(proxy.endpoint.rpartition(":")[2])
    idle = socket.create_connection(("127.0.0.1", port), timeout=5)
    proxy.inject(Kind.REFUSED, seconds=0.5)
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        status_of(proxy, "/a")
    time.sleep(0.1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    with idle:
        assert idle.recv(1) == b""
    time.sleep(0.6)
    assert status_of(proxy, "/a") < 500


def test_a_slow_answer_is_slow_and_whole(proxy: FaultProxy, inside: S3Store) -> None:
    inside.write("key", DATA)
    proxy.inject(Kind.SLOW, count=1)
    began = time.monotonic()
    assert inside.read("key") == DATA
    assert time.monotonic() - began >= 0.45


@pytest.mark.parametrize("kind", [Kind.TRUNCATED, Kind.CUT], ids=["truncated", "cut"])
def test_half_an_answer_and_half_a_request_are_none(kind: Kind, proxy: FaultProxy, inside: S3Store) -> None:
    inside.write("key", DATA)
    fault = proxy.inject(kind, methods="GET")
    with pytest.raises(UnreachableError):
        inside.read("key")
    assert fault.hits >= 1
    proxy.heal()
    assert inside.read("key") == DATA


def test_half_a_request_leaves_the_old_bytes(proxy: FaultProxy, inside: S3Store) -> None:
    inside.write("key", b"old")
    proxy.inject(Kind.CUT, methods="PUT")
    with pytest.raises(UnreachableError):
        inside.write("key", DATA)
    assert inside.read("key") == b"old"


# --- every kind of fault, met by every kind of call ------------------------------------------------------------------


def _write(store: RetryingStore, folder: Path) -> None:
    store.write("key", DATA)
    assert store.read("key") == DATA


def _create(store: RetryingStore, folder: Path) -> None:
    version = store.create("key", DATA)
    assert store.read_versioned("key") == (DATA, version)


def _replace(store: RetryingStore, folder: Path) -> None:
    version = store.replace("there", b"new", store.read_versioned("there")[1])
    assert store.read_versioned("there") == (b"new", version)


def _upload(store: RetryingStore, folder: Path) -> None:
    (folder / "file").write_bytes(DATA * 20)
    store.upload(folder / "file", "key")
    store.download("key", folder / "copy")
    assert (folder / "copy").read_bytes() == DATA * 20


def _stream(store: RetryingStore, folder: Path) -> None:
    assert store.stream("there", lambda file: file.read()) == DATA


def _list(store: RetryingStore, folder: Path) -> None:
    assert [info.key for info in store.list()] == ["there"]
    assert store.exists("there")
    assert not store.exists("nowhere")
    with pytest.raises(NotFoundError):
        store.read("nowhere")


def _delete(store: RetryingStore, folder: Path) -> None:
    store.delete("there")
    assert [*store.list()] == []


@pytest.mark.parametrize("kind", list(Kind), ids=[kind.name.lower() for kind in Kind])
@pytest.mark.parametrize("call", [_write, _create, _replace, _upload, _stream, _list, _delete])
def test_a_fault_of_a_second_costs_no_byte(
    call: Callable[[RetryingStore, Path], None], kind: Kind, proxy: FaultProxy, store: RetryingStore, tmp_path: Path
) -> None:
    store.write("there", DATA)
    fault = proxy.inject(kind, seconds=0.3)
    call(store, tmp_path)
    assert fault.hits >= 1
    assert not list(tmp_path.glob(".segsweep-*")), "half a file was left"


def test_an_outage_is_sat_out_where_the_server_has_answered_before(proxy: FaultProxy, inside: S3Store) -> None:
    store = RetryingStore(inside, first_delay_s=0.1, patience=Patience(60))
    store.write("key", b"old")
    fault = proxy.inject(Kind.REFUSED, seconds=3.2)  # botocore's own three attempts take at most three seconds
    began = time.monotonic()
    store.write("key", b"new")
    assert time.monotonic() - began >= 3.2
    assert fault.hits == 1
    assert store.read("key") == b"new"


def test_an_outage_that_outlasts_the_patience_is_told_once(proxy: FaultProxy, inside: S3Store) -> None:
    store = RetryingStore(inside, first_delay_s=0.1, patience=Patience(3))
    store.write("key", b"old")
    proxy.inject(Kind.REFUSED)
    with pytest.raises(UnreachableError, match=r"silent for [3-9] s .*SEGSWEEP_PATIENCE_S"):
        store.write("key", b"new")
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        store.write("last words", b"")
    assert time.monotonic() - began < 4, "it was waited for a second time"
    proxy.heal()
    time.sleep(0.1)
    assert store.read("key") == b"old"


class Hours:
    """A clock for an outage: each wait passes in a tenth of a second, and something happens when it is time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.events: list[tuple[float, Callable[[], object]]] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        while self.events and self.events[0][0] <= self.now:
            self.events.pop(0)[1]()
            time.sleep(0.1)  # until the proxy listens again


def test_five_minutes_of_refusal_are_sat_out_by_the_default_patience(
    proxy: FaultProxy, inside: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Hours()
    store = RetryingStore(inside, sleep=clock.sleep, patience=Patience(clock=clock))
    store.write("key", b"old")
    proxy.inject(Kind.REFUSED)
    clock.events.append((300.0, proxy.heal))
    store.write("key", b"new")
    assert 300 <= clock.now < 300 + 30
    assert store.read("key") == b"new"
    assert re.search(r"silent for 2\d\d s, waiting for [67]\d\d s more, again in", caplog.text)


def test_twenty_minutes_of_refusal_are_not(proxy: FaultProxy, inside: S3Store) -> None:
    clock = Hours()
    store = RetryingStore(inside, sleep=clock.sleep, patience=Patience(clock=clock))
    store.write("key", b"old")
    proxy.inject(Kind.REFUSED)
    clock.events.append((1200.0, proxy.heal))
    with pytest.raises(UnreachableError, match=r"silent for 900 s .*run the same command again"):
        store.write("key", b"new")
    assert clock.now == 900


def test_a_driver_that_was_cut_off_while_another_took_the_run_over_writes_nothing_late(
    proxy: FaultProxy, inside: S3Store, seaweed_environment: SeaweedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Hours()
    store = RetryingStore(inside, sleep=clock.sleep, patience=Patience(clock=clock))
    store.write("trial.json", b"ours")  # connected before the other's endpoint is set
    monkeypatch.setenv("AWS_ENDPOINT_URL", seaweed_environment.endpoint)
    elsewhere = S3Store(inside.bucket, inside.prefix)  # not cut off
    with RunLock(store, clock, heartbeat_s=100) as held:
        held.write(lambda plain: plain.write("trial.json", b"ours"))
        proxy.inject(Kind.REFUSED)

        def taken_over() -> None:
            elsewhere.replace("lock.json", dump_owner(other), elsewhere.read_versioned("lock.json")[1])
            elsewhere.write("trial.json", b"the new owner's")

        other: Owner = replace(this_process(clock(), 10.0), session="other")
        clock.events += [(200.0, taken_over), (300.0, proxy.heal)]
        with pytest.raises(RunLockedError, match="another driver has taken the run over"):
            held.write(lambda plain: plain.write("trial.json", b"ours, late"))
        assert clock.now >= 300
    assert elsewhere.read("trial.json") == b"the new owner's"
    assert read_owner(elsewhere) == other
