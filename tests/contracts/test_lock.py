"""A run has one writer, wherever it lives: the whole life of a lock on a folder and on a real S3 server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from segsweep.errors import ConflictError, RunLockedError
from segsweep.storage import layout
from segsweep.storage.lock import RunLock, read_owner
from segsweep.storage.owner import Owner, dump_owner, this_process
from segsweep.storage.store import Store

pytestmark = [
    pytest.mark.slow(reason="starts a real S3 server, which makes contenders wait for seconds"),
    pytest.mark.timeout(60),
]


def dead_owner() -> Owner:
    """A process of this machine that has this one's pid and is not this one."""
    return replace(this_process(time.time() - 60, 10.0), process_started=1, session="dead")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def put_over(store: Store, data: bytes) -> None:
    """Write the lock as another driver does: with the version that is there, again if a refresh came between."""
    while True:
        try:
            store.replace(layout.LOCK, data, store.read_versioned(layout.LOCK)[1])
        except ConflictError:
            continue
        return


def test_a_lock_is_held_refreshed_and_released(store: Store) -> None:
    def heartbeat() -> float:
        owner = read_owner(store)
        assert owner is not None
        return owner.heartbeat

    with RunLock(store, heartbeat_s=0.05) as held:
        first = heartbeat()
        wait_until(lambda: heartbeat() > first)
        with pytest.raises(RunLockedError, match="another driver owns this run"), RunLock(store):
            pass
        assert not held.lost
    assert read_owner(store) is None
    assert list(store.list()) == []


@pytest.mark.parametrize("left", [None, dead_owner()], ids=["nobody", "a dead owner"])
def test_of_eight_drivers_exactly_one_gets_the_run(store: Store, left: Owner | None) -> None:
    if left is not None:
        store.write(layout.LOCK, dump_owner(left))
    everybody = threading.Barrier(8)

    def drive(_: int) -> bool:
        everybody.wait()
        try:
            with RunLock(store):
                everybody.wait()
        except RunLockedError:
            everybody.wait()
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(drive, range(8))) == [False] * 7 + [True]
    assert read_owner(store) is None


def test_a_driver_that_lost_its_lock_learns_it_and_leaves_the_new_owner_alone(store: Store) -> None:
    told = threading.Event()
    other = replace(this_process(time.time(), 10.0), session="other")
    with RunLock(store, heartbeat_s=0.05, on_lost=told.set) as held:
        put_over(store, dump_owner(other))
        assert told.wait(20)
        assert held.lost
    assert read_owner(store) == other


class Clock:
    """Stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_driver_that_comes_back_asks_before_it_writes_and_leaves_the_new_owners_records_alone(store: Store) -> None:
    """Its next heartbeat, which would tell it, is an hour away."""
    clock = Clock()
    with RunLock(store, clock, heartbeat_s=3600) as held:
        held.write(lambda plain: plain.write("record", b"before"))
        other = replace(this_process(clock.now, 3600), session="other")
        put_over(store, dump_owner(other))
        store.write("record", b"the new owner's")
        clock.now += 2 * 3600
        with pytest.raises(RunLockedError, match="another driver has taken the run over"):
            held.write(lambda plain: plain.write("record", b"too late"))
        assert held.lost
    assert store.read("record") == b"the new owner's"
    assert read_owner(store) == other


def test_a_driver_that_comes_back_to_a_run_that_is_still_its_own_goes_on(store: Store) -> None:
    clock = Clock()
    with RunLock(store, clock, heartbeat_s=3600) as held:
        clock.now += 2 * 3600
        held.write(lambda plain: plain.write("record", b"late"))
        owner = read_owner(store)
        assert owner is not None
        assert owner.heartbeat == clock.now, "the lock was not refreshed first"
    assert store.read("record") == b"late"


@pytest.mark.parametrize("jump_s", [6 * 3600, -6 * 3600], ids=["forwards", "backwards"])
def test_a_clock_that_jumps_by_hours_neither_loses_the_run_nor_lets_another_driver_in(
    jump_s: float, store: Store
) -> None:
    clock = Clock()

    def refreshed() -> bool:
        owner = read_owner(store)
        return owner is not None and owner.heartbeat == clock.now

    with RunLock(store, clock, heartbeat_s=0.05) as held:
        clock.now += jump_s
        held.write(lambda plain: plain.write("record", b"after the jump"))
        wait_until(refreshed)
        with pytest.raises(RunLockedError, match="another driver owns this run"), RunLock(store, Clock()):
            pass
        assert not held.lost
    assert [info.key for info in store.list()] == ["record"]
