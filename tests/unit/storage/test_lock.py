import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from segsweep.errors import ConflictError, DamagedRunError, RunLockedError, UnreachableError
from segsweep.storage import layout
from segsweep.storage.local import LocalStore
from segsweep.storage.lock import Owner, RunLock, read_owner
from segsweep.storage.owner import dump_owner, this_process
from segsweep.storage.retrying import RetryingStore

pytestmark = [
    pytest.mark.slow(reason="waits for a thread that syncs to a disk, which takes long on a loaded machine"),
    pytest.mark.timeout(20),
]

NOW = 1_800_000_000.0
ELSEWHERE = Owner("gpu-1", "another-boot/pid:[1]", 4711, 99, "abc", NOW - 500, NOW - 4, 10.0)


class Clock:
    """Stands still unless it is told to sleep."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now
        self.slept: list[float] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.meanwhile()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "run")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lock(store: LocalStore | RetryingStore, clock: Clock) -> RunLock:
    return RunLock(store, clock, sleep=clock.sleep)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def put_over(store: LocalStore, data: bytes) -> None:
    """Write the lock as another driver does: with the version that is there, again if a refresh came between."""
    while True:
        try:
            store.replace(layout.LOCK, data, store.read_versioned(layout.LOCK)[1])
        except ConflictError:
            continue
        return


def dead_here() -> Owner:
    return replace(this_process(NOW - 60, 10.0), process_started=1, session="dead")


def test_a_lock_is_there_for_the_block_and_gone_afterwards(store: LocalStore, clock: Clock) -> None:
    with lock(store, clock) as held:
        owner = read_owner(store)
        assert owner is not None
        assert replace(owner, session="") == replace(this_process(NOW, 10.0), session="")
        assert not held.lost
    assert list(store.list()) == []


def test_a_lock_is_released_when_the_block_raises(store: LocalStore, clock: Clock) -> None:
    with pytest.raises(KeyboardInterrupt), lock(store, clock):
        raise KeyboardInterrupt
    assert list(store.list()) == []


def test_a_second_driver_is_refused_with_the_owners_name(store: LocalStore, clock: Clock) -> None:
    with lock(store, clock) as first:
        clock.now += 7
        with pytest.raises(RunLockedError) as raised, lock(store, clock):
            pass
        owner = read_owner(store)
        assert owner is not None
        assert str(raised.value) == (
            f"{store.uri}/lock.json: owner = pid {owner.pid} on {owner.host}: another driver owns this run since "
            "2027-01-15 08:00:00+00:00, last sign of life 7 s ago (wait for it or stop it with "
            f"`kill {owner.pid}` on {owner.host}, then run the same command again)"
        )
        assert not first.lost
    assert list(store.list()) == []


def test_a_live_driver_elsewhere_is_refused_with_the_time_after_which_it_counts_as_dead(
    store: LocalStore, clock: Clock
) -> None:
    store.write(layout.LOCK, dump_owner(ELSEWHERE))
    with pytest.raises(RunLockedError, match=r"pid 4711 on gpu-1.*4 s ago.*after 90 s of silence"), lock(store, clock):
        pass
    assert read_owner(store) == ELSEWHERE
    assert clock.slept == []


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over_at_once(store: LocalStore, clock: Clock) -> None:
    store.write(layout.LOCK, dump_owner(dead_here()))
    with lock(store, clock):
        owner = read_owner(store)
        assert owner is not None
        assert owner.is_alive(clock)
    assert clock.slept == []
    assert list(store.list()) == []


def test_the_lock_of_a_silent_driver_elsewhere_is_taken_over_after_watching_it(store: LocalStore, clock: Clock) -> None:
    store.write(layout.LOCK, dump_owner(ELSEWHERE))
    clock.now += 87
    with lock(store, clock):
        owner = read_owner(store)
        assert owner is not None
        assert owner.host == this_process(NOW, 10.0).host
        assert owner.heartbeat == NOW + 87 + 15
    assert clock.slept == [15.0]


def test_a_driver_elsewhere_whose_clock_is_behind_is_not_robbed(store: LocalStore, clock: Clock) -> None:
    store.write(layout.LOCK, dump_owner(ELSEWHERE))
    clock.now += 3600
    clock.meanwhile = lambda: store.write(layout.LOCK, dump_owner(replace(ELSEWHERE, heartbeat=NOW + 6)))
    with pytest.raises(RunLockedError, match="pid 4711 on gpu-1"), lock(store, clock):
        pass
    owner = read_owner(store)
    assert owner is not None
    assert owner.heartbeat == NOW + 6


@pytest.mark.parametrize("is_dead", [True, False], ids=["dead", "alive"])
def test_a_driver_elsewhere_whose_clock_is_a_day_ahead_is_judged_by_its_silence(
    is_dead: bool, store: LocalStore, clock: Clock
) -> None:
    tomorrow = replace(ELSEWHERE, heartbeat=NOW + 86_400)
    store.write(layout.LOCK, dump_owner(tomorrow))
    if is_dead:
        with lock(store, clock):
            pass
        assert read_owner(store) is None
    else:
        clock.meanwhile = lambda: store.write(layout.LOCK, dump_owner(replace(tomorrow, heartbeat=NOW + 86_410)))
        with pytest.raises(RunLockedError, match="pid 4711 on gpu-1"), lock(store, clock):
            pass
    assert clock.slept == [15.0]


@pytest.mark.parametrize("jump_s", [86_400, -86_400], ids=["forwards", "backwards"])
def test_a_clock_that_jumps_by_a_day_loses_no_lock(jump_s: float, store: LocalStore, clock: Clock) -> None:
    with RunLock(store, clock, heartbeat_s=0.02, sleep=clock.sleep) as held:
        clock.now += jump_s

        def refreshed() -> bool:
            owner = read_owner(store)
            return owner is not None and owner.heartbeat == NOW + jump_s

        wait_until(refreshed)
        with pytest.raises(RunLockedError), RunLock(store, Clock(), sleep=clock.sleep):
            pass
        assert not held.lost
    assert list(store.list()) == []


def test_of_eight_drivers_that_find_a_dead_owner_exactly_one_gets_the_run(store: LocalStore, clock: Clock) -> None:
    store.write(layout.LOCK, dump_owner(dead_here()))
    everybody = threading.Barrier(8)

    def drive(_: int) -> bool:
        everybody.wait()
        try:
            with lock(store, clock):
                everybody.wait()
                return True
        except RunLockedError:
            everybody.wait()
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(drive, range(8))) == [False] * 7 + [True]


def test_a_killed_driver_does_not_stand_in_the_way_of_the_next(store: LocalStore, clock: Clock) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from segsweep.storage.local import LocalStore\n"
        "from segsweep.storage.lock import RunLock\n"
        "RunLock(LocalStore(pathlib.Path(sys.argv[1]))).__enter__(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, store.uri], check=False).returncode == -9
    left = read_owner(store)
    assert left is not None
    assert left.is_on_this_machine
    assert not left.is_alive()
    with lock(store, clock):
        pass
    assert list(store.list()) == []


def test_the_heartbeat_is_refreshed_as_long_as_the_block_lasts(store: LocalStore, clock: Clock) -> None:
    def heartbeat() -> float:
        owner = read_owner(store)
        assert owner is not None
        return owner.heartbeat

    with RunLock(store, clock, heartbeat_s=0.005):
        assert heartbeat() == NOW
        clock.now = NOW + 1
        wait_until(lambda: heartbeat() == NOW + 1)
        clock.now = NOW + 2
        wait_until(lambda: heartbeat() == NOW + 2)
    assert [thread.name for thread in threading.enumerate() if thread.name == "segsweep-run-lock"] == []


def test_a_driver_whose_lock_was_taken_over_learns_it_once_and_leaves_the_new_owners_lock(
    store: LocalStore, clock: Clock
) -> None:
    calls: list[str] = []
    with RunLock(store, clock, heartbeat_s=0.005, on_lost=lambda: calls.append("lost")) as held:
        put_over(store, dump_owner(ELSEWHERE))
        wait_until(lambda: held.lost)
        time.sleep(0.03)
    assert calls == ["lost"]
    assert read_owner(store) == ELSEWHERE


def test_a_lock_that_was_spoilt_is_lost(store: LocalStore, clock: Clock) -> None:
    with RunLock(store, clock, heartbeat_s=0.005) as held:
        put_over(store, b"not a lock record")
        wait_until(lambda: held.lost)
    assert store.read(layout.LOCK) == b"not a lock record"


def test_a_lock_that_was_removed_is_lost(store: LocalStore, clock: Clock) -> None:
    with lock(store, clock) as held:
        store.delete(layout.LOCK)
    assert held.lost
    assert list(store.list()) == []


def test_a_lock_taken_over_just_before_the_end_is_left_to_its_new_owner(store: LocalStore, clock: Clock) -> None:
    with lock(store, clock) as held:
        store.write(layout.LOCK, dump_owner(ELSEWHERE))
    assert held.lost
    assert read_owner(store) == ELSEWHERE


class DeafStore(LocalStore):
    """While `deaf`, does what it was asked to replace, but its answer is lost."""

    deaf = False
    lost_answers = 0

    def replace(self, key: str, data: bytes, version: str) -> str:
        version = super().replace(key, data, version)
        if self.deaf:
            self.lost_answers += 1
            self.deaf = False
            raise UnreachableError("no answer")
        return version


def test_a_refresh_whose_answer_was_lost_does_not_lose_the_lock(tmp_path: Path, clock: Clock) -> None:
    store = DeafStore(tmp_path / "run")
    with RunLock(store, clock, heartbeat_s=0.005) as held:
        store.deaf = True
        wait_until(lambda: store.lost_answers == 1)
        clock.now = NOW + 5
        wait_until(lambda: (owner := read_owner(store)) is not None and owner.heartbeat == NOW + 5)
        assert not held.lost
    assert list(store.list()) == []


def test_an_end_without_an_answer_is_no_error_of_the_sweep(tmp_path: Path, clock: Clock) -> None:
    store = DeafStore(tmp_path / "run")
    with lock(store, clock):
        store.deaf = True
    assert read_owner(store) is not None  # stays behind; its process will be dead


def test_refreshing_does_not_wait_for_retries(tmp_path: Path, clock: Clock) -> None:
    store = DeafStore(tmp_path / "run")
    waits: list[float] = []
    with lock(RetryingStore(store, sleep=waits.append), clock):
        store.deaf = True
    assert waits == []


def test_a_lock_that_is_no_lock_record_refuses_the_run(store: LocalStore, clock: Clock) -> None:
    store.write(layout.LOCK, b"{}")
    with pytest.raises(DamagedRunError, match="is not a lock record"), lock(store, clock):
        pass
    assert store.read(layout.LOCK) == b"{}"
