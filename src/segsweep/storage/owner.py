"""The driver that holds a run: who it is, how `lock.json` names it, and whether it still lives."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segsweep.errors import DamagedRunError, NotFoundError, Problem
from segsweep.storage import layout
from segsweep.storage.store import Store

# A driver on another machine is given up after nine heartbeats of ten seconds: longer than a garbage collection or a
# minute of S3's absence takes, shorter than a person who lost the head node wants to wait. In a longer outage of its
# own network a driver may be taken for dead; it learns so when it can write again, and stops.
MISSED_HEARTBEATS = 9


@dataclass(frozen=True)
class Owner:
    """The driver that holds a run, as `lock.json` names it.

    Attributes:
        host: Host name, for people.
        machine: Which process ids may be looked up here: boot id and process namespace; empty where there is no /proc.
        pid: Process id.
        process_started: Start of that process in clock ticks since boot: a pid that was given out again differs in it.
        session: Random, one for each time the lock was taken.
        since: When it was taken, seconds since the epoch by the owner's clock.
        heartbeat: When it was refreshed last, likewise.
        heartbeat_s: Seconds between refreshes.
    """

    host: str
    machine: str
    pid: int
    process_started: int
    session: str
    since: float
    heartbeat: float
    heartbeat_s: float

    def is_alive(self, clock: Callable[[], float] = time.time) -> bool:
        """Whether the driver still runs.

        On its own machine the process is looked up: it is dead at once when it is gone, and alive however long it has
        been suspended. From anywhere else only its heartbeat can be seen.

        Args:
            clock: Seconds since the epoch; compared with the owner's clock.
        """
        if self.is_on_this_machine:
            return _process_started(self.pid) == self.process_started
        return clock() - self.heartbeat <= MISSED_HEARTBEATS * self.heartbeat_s

    def is_ahead(self, clock: Callable[[], float] = time.time) -> bool:
        """Whether its heartbeat lies so far in our future that it proves nothing: one of the clocks is wrong.

        Args:
            clock: Seconds since the epoch; compared with the owner's clock.
        """
        return self.heartbeat - clock() > MISSED_HEARTBEATS * self.heartbeat_s

    @property
    def is_on_this_machine(self) -> bool:
        """Whether its process id means something here."""
        return bool(self.machine) and self.machine == _this_machine()


def read_owner(store: Store) -> Owner | None:
    """Who holds the run, alive or dead; None if nobody does.

    Args:
        store: The run's folder.

    Raises:
        DamagedRunError: `lock.json` is not a lock record.
        StorageError: It cannot be read.
    """
    found = read_owner_versioned(store)
    return found[0] if found else None


def read_owner_versioned(store: Store) -> tuple[Owner, str] | None:
    """As `read_owner`, with the version to pass to `replace`."""
    try:
        data, version = store.read_versioned(layout.LOCK)
    except NotFoundError:
        return None
    try:
        return _owner_from(json.loads(data)), version
    except (KeyError, TypeError, ValueError) as exc:
        fix = "if no sweep of this run goes on, remove it"
        raise DamagedRunError(Problem(f"{store.uri}/{layout.LOCK}", f"is not a lock record: {exc!r}", fix=fix)) from exc


def dump_owner(owner: Owner) -> bytes:
    """The bytes of `lock.json`."""
    return (json.dumps(asdict(owner), indent=1) + "\n").encode()


def this_process(now: float, heartbeat_s: float) -> Owner:
    """This process as an owner, with a session of its own."""
    pid = os.getpid()
    return Owner(
        host=socket.gethostname(),
        machine=_this_machine(),
        pid=pid,
        process_started=_process_started(pid) or 0,
        session=uuid.uuid4().hex,
        since=now,
        heartbeat=now,
        heartbeat_s=heartbeat_s,
    )


def _owner_from(data: Mapping[str, Any]) -> Owner:
    """Inverse of `dump_owner`; unknown keys of a newer version are ignored."""
    return Owner(
        host=str(data["host"]),
        machine=str(data["machine"]),
        pid=int(data["pid"]),
        process_started=int(data["process_started"]),
        session=str(data["session"]),
        since=float(data["since"]),
        heartbeat=float(data["heartbeat"]),
        heartbeat_s=float(data["heartbeat_s"]),
    )


def _this_machine() -> str:
    """Boot id and process namespace; a host name alone is shared by containers and outlives a reboot."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _process_started(pid: int) -> int | None:
    """Start of a process in clock ticks since boot; None if it has ended, even if its parent has not noticed yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # Field 2 is the program's name in parentheses and may hold anything: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])
