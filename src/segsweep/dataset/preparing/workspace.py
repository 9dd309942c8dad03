"""Where a bundle is being made: a folder that is found again by whoever goes on after a kill."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segsweep.errors import NoSpaceError, Problem, StorageError

logger = logging.getLogger(__name__)

_PREFIX = "segsweep-prepare-"
_LOCK = "lock"
_KEEP_DAYS = 3


@contextmanager
def workspace(key: str) -> Iterator[Path]:
    """A folder below `$TMPDIR` of this user and this work alone; what an interrupted run finished is in it.

    The folder holds a locked file while its process lives; a second process with the same work waits. It is gone when
    the block ends, and when the disk is full. When anything else ends the block it stays, so that the same work
    goes on from there; what nobody came back to for three days is removed here.

    Args:
        key: Names the work: letters and digits.

    Raises:
        StorageError: Somebody else owns the folder.
        OSError: As the operating system gives it.
    """
    parent = Path(tempfile.gettempdir())
    own = f"{_PREFIX}{os.getuid()}-"
    for leftover in parent.glob(f"{own}*"):
        if leftover.name != own + key:
            _remove_if_forgotten(leftover)
    folder = parent / (own + key)
    with _taken(folder):
        try:
            yield folder
        except (NoSpaceError, OSError):
            shutil.rmtree(folder, ignore_errors=True)  # whoever frees space for the next run needs this too
            raise
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _taken(folder: Path) -> Iterator[None]:
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise StorageError(Problem(str(folder), "belongs to somebody else", fix="set TMPDIR to a folder of yours"))
        try:
            lock = (folder / _LOCK).open("a")
        except FileNotFoundError:
            continue  # whoever had it has just removed it
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("waiting for another process that prepares the same dataset")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_at(folder / _LOCK, lock.fileno()):
                continue
            os.utime(folder / _LOCK)
            yield
            return


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove_if_forgotten(folder: Path) -> None:
    try:
        with (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(lock.fileno()).st_mtime > _KEEP_DAYS * 86400:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # at work, or just begun
