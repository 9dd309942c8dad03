"""Image codecs without their chatter: what is wrong with a file is told by us, once, with its name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    with _silence(), suppress(cv2.error):
        decoded: npt.NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        return decoded
    return None


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing that C code writes to stderr is seen; Python's own is, for nothing of ours runs in between."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # this process has no stderr
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(nowhere)
        os.close(kept)
