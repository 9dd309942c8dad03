"""A run has one writer: the driver whose name is in the run's `lock.json`, refreshed as long as it lives.

The lock is taken, refreshed and taken over by conditional writes, so of any number of drivers one wins. It is advisory:
a driver that was cut off or suspended for longer than others wait must ask (`confirm`) before it writes again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

from segsweep.errors import ConflictError, DamagedRunError, Problem, RunLockedError, StorageError
from segsweep.storage import layout
from segsweep.storage.owner import (
    MISSED_HEARTBEATS,
    Owner,
    dump_owner,
    read_owner,
    read_owner_versioned,
    this_process,
)
from segsweep.storage.retrying import persistently, without_retries
from segsweep.storage.store import Store

__all__ = ["HEARTBEAT_S", "Owner", "RunLock", "read_owner"]

HEARTBEAT_S = 10.0
_WATCHED_HEARTBEATS = 1.5  # of a silent owner elsewhere, before the run is taken over

_log = logging.getLogger(__name__)


class RunLock:
    """Hold a run for the length of a `with` block.

    Args:
        store: The run's folder.
        clock: Seconds since the epoch.
        heartbeat_s: Seconds between refreshes.
        on_lost: Called once, from the refreshing thread, when another driver has taken the lock over.
        sleep: Waits so many seconds.

    Raises:
        RunLockedError: On entry: another driver owns the run and lives.
        DamagedRunError: On entry: `lock.json` is not a lock record.
        StorageError: On entry: the lock cannot be read or written.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float] = time.time,
        heartbeat_s: float = HEARTBEAT_S,
        on_lost: Callable[[], object] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._place = store
        self._store = store
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._on_lost = on_lost
        self._sleep = sleep
        self._version = ""
        self._lost = threading.Event()
        self._released = threading.Event()
        self._refreshing = threading.Lock()
        self._confirmed = (0.0, 0.0)  # when the lock was surely ours, by both clocks
        self._thread = threading.Thread(target=self._refresh_until_released, name="segsweep-run-lock", daemon=True)
        self._owner = this_process(clock(), heartbeat_s)

    @property
    def lost(self) -> bool:
        """Whether another driver has taken the lock over; this one must stop writing."""
        return self._lost.is_set()

    def write(self, call: Callable[[Store], None]) -> None:
        """Write to the run only while it is ours: a driver that has lost it must not touch the new owner's records.

        Args:
            call: Gets the run's store, again and again while that does not answer. The attempt that succeeds may come
                after an outage in which the run was lost, so each is preceded by a look at the lock.

        Raises:
            RunLockedError: Another driver has taken the run over.
            StorageError: The run cannot be written.
        """

        def attempt(plain: Store) -> None:
            self.confirm()
            call(plain)

        persistently(self._place, attempt)

    def confirm(self) -> None:
        """Come back only if the run is ours; the storage is asked unless it said so a moment ago.

        Raises:
            RunLockedError: Another driver has taken it over.
            StorageError: The lock cannot be read or written.
        """
        wall, steady = self._confirmed
        # The monotonic clock stands still while the machine sleeps, the other one is set by hand: either may tell.
        silent_s = max(abs(self._clock() - wall), time.monotonic() - steady)
        if silent_s > _WATCHED_HEARTBEATS * self._heartbeat_s:
            self._refresh()
        if self.lost:
            raise RunLockedError(f"{self._store.uri}: another driver has taken the run over; this one has stopped")

    def __enter__(self) -> Self:
        began = self._clock(), time.monotonic()
        self._version = self._taken()
        self._confirmed = began
        # A refresh that fails is followed by the next one: it needs no retries, and the end of the block waits for it.
        self._store = without_retries(self._store)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._thread.join()
        try:
            # The refresh proves that the lock is ours and keeps it so for long enough to delete it.
            if self._refresh():
                self._store.delete(layout.LOCK)
        except StorageError as exc:
            _log.warning("the run's lock stays behind, the next driver will find its owner dead: %s", exc)

    def _taken(self) -> str:
        """Take the lock, from nobody or from a dead owner; its version."""
        try:
            return self._store.create(layout.LOCK, dump_owner(self._owner))
        except ConflictError:
            found = read_owner_versioned(self._store)
        if found is None:  # released since we tried
            return self._taken()
        owner, version = found
        is_ahead = not owner.is_on_this_machine and owner.is_ahead(self._clock)
        if owner.is_alive(self._clock) and not is_ahead:
            raise RunLockedError(self._refusal(owner))
        if not owner.is_on_this_machine:
            # Its heartbeat was told by another clock. Nothing but silence proves that the owner is dead.
            _log.info("the owner of the run, pid %d on %s, gave no sign of life: watching", owner.pid, owner.host)
            self._sleep(_WATCHED_HEARTBEATS * owner.heartbeat_s)
        self._owner = replace(self._owner, heartbeat=self._clock())
        try:
            version = self._store.replace(layout.LOCK, dump_owner(self._owner), version)
        except ConflictError as exc:
            raise RunLockedError(self._refusal(read_owner(self._store) or owner)) from exc
        _log.warning("took the run over from pid %d on %s, which is dead", owner.pid, owner.host)
        return version

    def _refusal(self, owner: Owner) -> Problem:
        age_s = max(0.0, self._clock() - owner.heartbeat)
        since = datetime.fromtimestamp(owner.since, UTC).isoformat(sep=" ", timespec="seconds")
        fix = f"wait for it or stop it with `kill {owner.pid}` on {owner.host}, then run the same command again"
        if not owner.is_on_this_machine:
            limit_s = MISSED_HEARTBEATS * owner.heartbeat_s
            fix += f"; if that machine is gone, its lock can be taken over after {limit_s:.0f} s of silence"
        return Problem(
            f"{self._store.uri}/{layout.LOCK}",
            f"another driver owns this run since {since}, last sign of life {age_s:.0f} s ago",
            field="owner",
            value=f"pid {owner.pid} on {owner.host}",
            fix=fix,
        )

    def _refresh_until_released(self) -> None:
        while not self._released.wait(self._heartbeat_s):
            try:
                if not self._refresh():
                    return
            except StorageError as exc:
                _log.warning("the run's lock could not be refreshed, again in %.0f s: %s", self._heartbeat_s, exc)

    def _refresh(self) -> bool:
        """Write a new heartbeat; False if the lock is not ours any more."""
        with self._refreshing:
            if self.lost:
                return False
            began = self._clock(), time.monotonic()
            self._owner = replace(self._owner, heartbeat=began[0])
            try:
                self._version = self._store.replace(layout.LOCK, dump_owner(self._owner), self._version)
            except ConflictError:
                # A refresh that got no answer may have arrived all the same: then the record is still ours.
                found = self._own_record()
                if found is None:
                    self._lost.set()
                    _log.error("%s/%s is not ours any more: another driver owns the run", self._store.uri, layout.LOCK)
                    self._on_lost()
                    return False
                self._version = found
            self._confirmed = began
            return True

    def _own_record(self) -> str | None:
        """Version of the lock if it names this session."""
        try:
            found = read_owner_versioned(self._store)
        except DamagedRunError:  # not even a lock record
            return None
        return found[1] if found and found[0].session == self._owner.session else None
