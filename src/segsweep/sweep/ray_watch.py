"""Ray's own processes on this machine, watched, for Ray ends a driver that has lost them without asking it.

A driver whose raylet or GCS is gone is ended by Ray in C++, a quarter of a minute or a minute later, where no Python
runs any more: no message of ours, no lock released. So the driver looks after them itself and ends first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psutil
from ray._private import worker

logger = logging.getLogger(__name__)

WATCHED = {"raylet": "raylet", "gcs_server": "GCS"}
_EVERY_S = 0.5
_OUT_OF_MEMORY = "memory pressure"  # Ray's memory monitor kills a worker before the kernel kills anything


@contextmanager
def watching(
    find: Callable[[], Mapping[str, psutil.Process]], on_death: Callable[[str], None], every_s: float = _EVERY_S
) -> Iterator[None]:
    """Notice that a process is gone, from the time it is first found.

    Args:
        find: What they are called -> the process; asked until all of `WATCHED` are there.
        on_death: Called once, from the watching thread, with the name of the first that is gone.
        every_s: Seconds between two looks.
    """
    over = threading.Event()

    def watch() -> None:
        processes: dict[str, psutil.Process] = {}
        while not over.wait(every_s):
            if len(processes) < len(WATCHED):
                processes = {**find(), **processes}
            for name, process in processes.items():
                if not _lives(process):
                    on_death(name)
                    return

    thread = threading.Thread(target=watch, name="ray-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def rays_processes() -> dict[str, psutil.Process]:
    """Raylet and GCS of the session that this process has started; none where it has joined a cluster."""
    found = {}
    for process in psutil.Process().children():
        name = WATCHED.get(_name(process))
        if name is not None:
            found[name] = process
    return found


@contextmanager
def ray_kept_quiet() -> Iterator[None]:
    """What Ray prints about workers and nodes that die is logged for debugging; only memory that ran out is told."""
    plain = worker.print_to_stdstream
    worker.print_to_stdstream = _note
    try:
        yield
    finally:
        worker.print_to_stdstream = plain


def _note(data: dict[str, Any], *args: Any, **kwargs: Any) -> None:
    lines: Iterable[str] = data.get("lines", ())
    for line in lines:
        level = logging.WARNING if _OUT_OF_MEMORY in line else logging.DEBUG
        logger.log(level, "Ray says: %s", line.strip().split("\n", 1)[0])


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
