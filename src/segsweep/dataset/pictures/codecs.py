"""Image codecs without their chatter: what is wrong with a file is told by us, once, with its name."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

_STDERR = 2

# OpenCV's own lines; those of libpng and libjpeg go past it.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode(data: bytes, flags: int) -> npt.NDArray[Any] | None:
    """Decode an image file.

    Args:
        data: The file.
        flags: OpenCV's `IMREAD_*`.

    Returns:
        As `cv2.imdecode`: (height, width) or (height, width, channels), blue first; None if it cannot be decoded.
    """
    if not data:
        return None
    with _silence, suppress(cv2.error):
        decoded: npt.NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        return decoded
    return None


class _Silence:
    """Nothing that C code writes to stderr is seen while anybody is inside: the first in turns it off, the last on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._kept = _redirected()

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._kept is not None:
                os.dup2(self._kept, _STDERR)
                os.close(self._kept)


def _redirected() -> int | None:
    """Send stderr nowhere; a descriptor of where it went before, None if this process has no stderr."""
    try:
        kept = os.dup(_STDERR)
    except OSError:
        return None
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    return kept


_silence = _Silence()
