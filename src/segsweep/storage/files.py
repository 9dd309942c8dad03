"""Local files written whole or not at all, and what the operating system's refusals mean to a user."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from segsweep.errors import AccessError, NoSpaceError, NotFoundError, Problem, StorageError, UnreachableError
from segsweep.storage.store import RESERVED_PREFIX

_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# A network file system whose server went away.
_UNREACHABLE = {errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EREMOTEIO}


@contextmanager
def written_whole(path: Path, commit: Callable[[Path, Path], object] = Path.replace) -> Iterator[BinaryIO]:
    """Open a temporary file that becomes `path` when the block ends, and vanishes when the block raises.

    The temporary file lies in the folder of `path`, so that the rename stays within one file system; folders that
    are missing are made. It is on the disk before it gets its name.

    Args:
        path: The file to write or overwrite.
        commit: Gives the temporary file (first argument) its name (second); by default it replaces what is there.

    Raises:
        OSError: As the operating system gives it; see `disk_errors`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{RESERVED_PREFIX}tmp-{uuid.uuid4().hex}")
    try:
        # Not the `tempfile` module: its files are readable by their owner only, and a shared folder has other readers.
        with temporary.open("xb") as file:
            yield file
            file.flush()
            # The kernel's own timestamps tick every few milliseconds and inode numbers are used again: only an
            # explicit time in nanoseconds makes (time, size, inode) a version that no later write repeats.
            now_ns = time.time_ns()
            os.utime(file.fileno(), ns=(now_ns, now_ns))
            os.fsync(file.fileno())
        commit(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; see `written_whole`.

    Raises:
        StorageError: It cannot be written.
    """
    with disk_errors(str(path)), written_whole(path) as file:
        file.write(data)


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """A folder beside `target` to make it in, gone when the block ends.

    What a killed process left beside the same target is removed first: whoever works in such a folder holds a lock on
    it, which the kernel releases with the process.

    Args:
        target: To be renamed to, from inside the folder; its own folder is made if it is missing.

    Raises:
        OSError: As the operating system gives it; see `disk_errors`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}.work-"
    for leftover in [path for path in target.parent.iterdir() if path.name.startswith(prefix)]:
        with suppress(OSError), _locked(leftover):  # locked by somebody who is at work, or just removed
            shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as work, _locked(Path(work)):
        yield Path(work)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def disk_errors(where: str, needed_bytes: int | None = None) -> Iterator[None]:
    """Turn an `OSError` of the block into the `StorageError` that tells it to the user.

    Args:
        where: The file or URI the block works on.
        needed_bytes: What the block writes there, where it is known; told where the disk is full.

    Raises:
        NotFoundError, AccessError, NoSpaceError, UnreachableError, StorageError: By the error's number.
    """
    try:
        yield
    except OSError as exc:
        raise _told(exc, where, needed_bytes) from exc


def node_error(exc: OSError, folder: Path) -> StorageError:
    """What an `OSError` in the middle of training means: a fault of the node, a full disk say, and not of the trial.

    Args:
        exc: It need not say on which file it met it.
        folder: Where the work was done.
    """
    told = _told(exc, str(folder), None)
    return told if isinstance(told, NoSpaceError) else StorageError(f"{folder}: this node's disk failed: {exc}")


def _told(exc: OSError, where: str, needed_bytes: int | None) -> StorageError:
    reason = exc.strerror or str(exc)
    if isinstance(exc, FileNotFoundError):
        return NotFoundError(Problem(where, "does not exist"))
    if exc.errno in _NO_ACCESS:
        return AccessError(Problem(where, f"may not be accessed: {reason}", fix="check its owner, mode and mount"))
    if exc.errno in _NO_SPACE:
        fix = "free space there, then run the same command again"
        return NoSpaceError(Problem(where, f"no room to write: {reason}{_room(where, needed_bytes)}", fix=fix))
    if exc.errno in _UNREACHABLE:
        return UnreachableError(Problem(where, f"the file system does not answer: {reason}", fix="check the mount"))
    if isinstance(exc, IsADirectoryError):
        return StorageError(Problem(where, "a folder is in the way of the file", fix="move the folder away"))
    if isinstance(exc, NotADirectoryError | FileExistsError):
        return StorageError(Problem(where, "a file is in the way of a folder", fix="move the file away"))
    return StorageError(Problem(where, f"cannot be used: {reason}"))


def _room(where: str, needed_bytes: int | None) -> str:
    """How much is needed, and free on which machine's disk, where that can be found out."""
    folder = next((one for one in (Path(where), *Path(where).parents) if one.is_dir()), None)
    if folder is None:
        return ""
    usage = shutil.disk_usage(folder)
    needed = "" if needed_bytes is None else f"{needed_bytes / 1e6:.3f} MB are needed, "
    return f"; {needed}{usage.free / 1e6:.3f} of {usage.total / 1e6:.0f} MB are free in {folder} on {platform.node()}"
