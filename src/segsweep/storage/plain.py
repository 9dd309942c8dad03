"""Files of a dataset, opened without trust: plain ones only, and no larger than they may be.

A folder may hold a pipe named `a.jpg`, which no read ever returns from, a link to `/dev/zero`, which no read ever ends,
or a sparse file of a terabyte.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path) -> BinaryIO:
    """Open a file to read its bytes.

    Raises:
        OSError: It cannot be opened, or is a pipe, a socket or a device; `strerror` says it.
    """
    try:
        # Without O_NONBLOCK a pipe would keep us until somebody writes to it; on a plain file it means nothing.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as exc:  # a NUL, or half a surrogate pair: no file has such a name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), repr(path)) from exc
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, no plain file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_plain(path: Path, limit_bytes: int) -> bytes:
    """Read a whole file.

    Raises:
        OSError: As `open_plain`, or it is larger than `limit_bytes`.
    """
    with open_plain(path) as file:
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes > limit_bytes:
            raise OSError(errno.EFBIG, f"it has {size_bytes} bytes, it may have {limit_bytes}", str(path))
        return file.read()
