"""Work on many chunks at once: in this process, in several, or wherever a caller's own map takes it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import cv2

from segsweep.errors import DatasetError, Problem
from segsweep.process import keep_freed_memory

T = TypeVar("T")
R = TypeVar("R")

# Applies a function to every chunk. Results are bytes and come in any order; only so many chunks are held at once.
MapChunks = Callable[[Callable[[T], bytes], Iterable[T]], Iterator[bytes]]

_PRELOAD = "segsweep.dataset.preparing.batch"  # imported once, before the workers are forked
_KEPT_BLOCK_BYTES, _KEPT_BYTES = 32 << 20, 128 << 20
_IN_FLIGHT = 2  # chunks a worker: one at work, one that waits


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_this_process(function: Callable[[T], bytes], chunks: Iterable[T]) -> Iterator[bytes]:
    """One after the other: for little work, and for one core."""
    _settle()
    return map(function, chunks)


def in_processes(workers: int) -> MapChunks[Any]:
    """Spread over processes of this machine.

    They are forked from a server that has done nothing yet: what a thread of ours holds at this moment can lock
    nothing there. They end when this process is killed.

    Args:
        workers: How many.

    Raises:
        DatasetError: While it runs: a worker was killed.
    """

    def spread(function: Callable[[Any], bytes], chunks: Iterable[Any]) -> Iterator[bytes]:
        waiting: deque[Future[bytes]] = deque()
        with _pool(workers) as pool:
            try:
                for chunk in chunks:
                    waiting.append(pool.submit(function, chunk))
                    if len(waiting) >= _IN_FLIGHT * workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            except BrokenProcessPool as exc:
                raise _killed() from exc
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    return spread


def in_another_process(function: Callable[[], R]) -> R:
    """Call a function in a process that ends with it, and takes all its memory along.

    Raises:
        DatasetError: The process was killed. What the function raises is raised here.
    """
    with _pool(1) as pool:
        try:
            return pool.submit(function).result()
        except BrokenProcessPool as exc:
            raise _killed() from exc


def _pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOAD])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)


def _killed() -> DatasetError:
    rule = "a worker process was killed, most likely for want of memory"
    return DatasetError(Problem("prepare", rule, fix="run it again with fewer --workers"))


def _settle() -> None:
    """One thread; and the memory of a picture is kept for the next."""
    cv2.setNumThreads(1)
    keep_freed_memory(_KEPT_BYTES, _KEPT_BLOCK_BYTES)


def _begin() -> None:
    """Make a worker of this process: deaf to Ctrl-C, gone with its parent."""
    _settle()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def leave_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()
