"""What is seen while a film is made: a line on stderr, and a window where there is one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

import cv2

from segsweep.errors import ConfigError, Problem
from segsweep.inference.letterbox import Image

_REDRAWN_S = 0.2  # on a terminal
_LINE_S = 30.0  # elsewhere
_TITLE = "segsweep video"
_END_KEYS = (ord("q"), 27)  # 27: Escape


class ProgressLine:
    """Pictures done and frames/s: one line that changes on a terminal, a new one now and then elsewhere; a context.

    Args:
        stream: Where to write.
        clock: Seconds, monotonic.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._began_s = self._told_s = clock()
        self._is_drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_drawn:
            self._stream.write("\n")

    def __call__(self, done: int, total: int | None, dropped: int) -> None:
        """Take note of pictures done, of how many in all where that is known, and of dropped ones."""
        now = self._clock()
        is_terminal = self._stream.isatty()
        if now - self._told_s < (_REDRAWN_S if is_terminal else _LINE_S):
            return
        self._told_s = now
        of = "" if total is None else f" of {total}"
        lost = f", {dropped} dropped" if dropped else ""
        text = f"{done}{of} pictures, {done / (now - self._began_s):.1f} frames/s{lost}"
        self._stream.write(f"\r{text}   " if is_terminal else f"{text}\n")
        self._stream.flush()
        self._is_drawn = is_terminal


class Window:
    """A window that shows pictures; to be used by the main thread.

    Raises:
        ConfigError: This OpenCV has no windows, or there is no display.
    """

    def __init__(self) -> None:
        # Without a display some builds end the process instead of raising.
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            fix = "leave --show out and open the film, or run it on a desktop"
            raise ConfigError(
                Problem("--show", "needs a display", value="neither DISPLAY nor WAYLAND_DISPLAY", fix=fix)
            )
        try:
            cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL)
        except cv2.error as exc:
            fix = "leave --show out and open the film"
            rule = "needs an OpenCV with windows, which opencv-python-headless is not"
            raise ConfigError(Problem("--show", rule, fix=fix)) from exc

    def show(self, image: Image) -> bool:
        """Show a picture. Returns whether the user wants to end."""
        cv2.imshow(_TITLE, image)
        return (cv2.waitKey(1) & 0xFF) in _END_KEYS

    def close(self) -> None:
        """Take the window away."""
        cv2.destroyWindow(_TITLE)
