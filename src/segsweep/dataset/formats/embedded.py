"""Images that lie inside an annotation file: unpacked to files, for everything downstream opens files.

They go into one folder a process, below `$TMPDIR`, which is gone when the process ends; processes it starts meanwhile
find the images there. The folder of a process that was killed is removed by the next one that needs such a folder.
"""

from __future__ import annotations

import atexit
import base64
import fcntl
import functools
import itertools
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "segsweep-images-"
_LOCK = "lock"

# How files of each kind begin.
_MAGIC = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"BM", ".bmp"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
)

_number = itertools.count()


def unpack(text: str) -> Path:
    """Write the image of a base64 text to a file of its own.

    Args:
        text: An image file of a kind that OpenCV reads, as base64.

    Returns:
        The file; it lives as long as this process.

    Raises:
        ValueError: The text is not base64, or not of an image file.
        OSError: The disk is full.
    """
    try:
        data = base64.b64decode(text)
    except ValueError as exc:
        raise ValueError(f"must be base64: {exc}") from exc
    suffix = next((suffix for magic, suffix in _MAGIC if data.startswith(magic)), "")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        suffix = ".webp"
    if not suffix:
        raise ValueError(f"must be an image file, starts with {data[:8]!r}")
    # The process is part of the name: one that was forked has the folder and the count of its parent.
    path = _folder() / f"{os.getpid()}-{next(_number):07d}{suffix}"
    path.write_bytes(data)
    return path


@functools.cache
def _folder() -> Path:
    parent = Path(tempfile.gettempdir())
    for leftover in parent.glob(f"{_PREFIX}*"):
        _remove_if_left(leftover)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    lock = (folder / _LOCK).open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    owner = os.getpid()

    def remove() -> None:
        lock.close()
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _remove_if_left(folder: Path) -> None:
    try:
        with (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # at work, just begun, or somebody else's
