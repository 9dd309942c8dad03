"""A temporary folder for shards that are being built, and the removal of those that killed processes left."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "segsweep-prepare-"
_LOCK = "lock"


@contextmanager
def workspace() -> Iterator[Path]:
    """An empty folder below `$TMPDIR`, gone when the block ends.

    Each folder holds a locked file while its process lives; a folder whose lock is free was left by one that was
    killed, and is removed here.

    Raises:
        OSError: As the operating system gives it.
    """
    parent = Path(tempfile.gettempdir())
    for leftover in parent.glob(f"{_PREFIX}*"):
        _remove_if_left(leftover)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent) as folder, Path(folder, _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)


def _remove_if_left(folder: Path) -> None:
    try:
        with (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # at work, just begun, or somebody else's
