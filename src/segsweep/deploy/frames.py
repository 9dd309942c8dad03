"""Pictures of a video file, a camera or a network stream, in order; a live source that breaks is opened again."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, cast

import cv2
import numpy as np

from segsweep.errors import ConfigError, Problem
from segsweep.inference.letterbox import Image
from segsweep.inference.predictor import Prediction

Kind = Literal["file", "camera", "stream"]
SCHEMES = ("rtsp", "rtsps", "rtmp", "srt", "udp", "http", "https")

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)  # before each attempt to open a live source again
_SILENCE_MS = 10_000  # a stream that gives nothing for so long is broken
_HIGHEST_FPS = 1000.0  # above it is a clock's frequency, which some streams tell instead of a rate


@dataclass(frozen=True)
class Origin:
    """Where pictures come from.

    Attributes:
        kind: A file is read to its end; a camera or a stream goes on by itself, whether somebody looks or not.
        address: What OpenCV opens.
        shown: The same for people and files, without the password of a URL.
    """

    kind: Kind
    address: str | int
    shown: str

    @classmethod
    def parse(cls, text: str) -> Origin:
        """From the command line: a file, the number of a camera, or a URL.

        Raises:
            ConfigError: A file is missing, or a URL's scheme is none that is read.
        """
        if re.fullmatch(r"[0-9]{1,4}", text) and not Path(text).exists():
            return cls("camera", int(text), f"camera {int(text)}")
        scheme, separator, _ = text.partition("://")
        if separator:
            shown = re.sub(r"://[^/@]*@", "://***@", text)
            if scheme.lower() not in SCHEMES:
                raise ConfigError(Problem(shown, f"a stream's URL must begin with one of {', '.join(SCHEMES)}"))
            return cls("stream", text, shown)
        path = Path(text)
        if not path.is_file():
            rule = "must be a video file, the number of a camera, or a URL"
            raise ConfigError(Problem(text, rule, value="a folder" if path.is_dir() else "there is no such file"))
        return cls("file", str(path.absolute()), text)


@dataclass(frozen=True)
class Frame:
    """One picture on its way.

    Attributes:
        number: Its place among all that were read, from 0.
        began_s: When reading it began, by the source's clock.
        seen_s: When it had been read.
        image: BGR, uint8 [height, width, 3].
        prediction: What was found in it; None before that.
    """

    number: int
    began_s: float
    seen_s: float
    image: Image
    prediction: Prediction | None = None


class Capture(Protocol):
    """What is used of `cv2.VideoCapture`."""

    def isOpened(self) -> bool: ...  # noqa: D102, N802 - OpenCV's name

    def read(self) -> tuple[bool, Any]: ...  # noqa: D102

    def get(self, property_id: int, /) -> float: ...  # noqa: D102

    def release(self) -> None: ...  # noqa: D102


def open_capture(origin: Origin) -> Capture:
    """Ask OpenCV for the source; whether it is open, the answer tells."""
    if origin.kind == "camera":
        return cast("Capture", cv2.VideoCapture(origin.address))
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _SILENCE_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _SILENCE_MS]
    given = limits if origin.kind == "stream" else []
    return cast("Capture", cv2.VideoCapture(origin.address, cv2.CAP_FFMPEG, given))


def hush_opencv() -> None:
    """Keep OpenCV and FFmpeg from telling on stderr what we tell in words; to be called before the first video."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Frames:
    """The pictures of one source; a context that lets go of it.

    Attributes:
        origin: The source.
        first: Its first picture, which is also the first that iterating gives.
        fps: Its own rate in pictures a second; None if it does not tell.
        declared: How many pictures a file says it has; None if it does not tell.
        is_live: Whether it goes on by itself; a URL of a finished video does not.
        breaks: How often a live source stopped giving.
        attempts: How often it was opened again.
        lost_s: Seconds without it.
        is_lost: Whether it did not come back.

    Args:
        origin: The source.
        open_source: Opens it.
        pause: Waits so many seconds; tells whether the work is to end instead.
        clock: Seconds, monotonic.

    Raises:
        ConfigError: It does not open, or has no picture.
    """

    def __init__(
        self,
        origin: Origin,
        pause: Callable[[float], bool],
        open_source: Callable[[Origin], Capture] = open_capture,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.origin = origin
        self.breaks = 0
        self.attempts = 0
        self.lost_s = 0.0
        self.is_lost = False
        self._pause = pause
        self._open = open_source
        self._clock = clock
        self._capture = open_source(origin)
        if not self._capture.isOpened():
            raise ConfigError(Problem(origin.shown, *_UNOPENED[origin.kind]))
        first = self._read()
        if first is None:
            self._capture.release()
            raise ConfigError(Problem(origin.shown, "must have at least one picture", value="none can be read"))
        self.first = first
        fps, count = self._capture.get(cv2.CAP_PROP_FPS), self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.fps = fps if math.isfinite(fps) and 0.0 < fps <= _HIGHEST_FPS else None
        self.declared = int(count) if math.isfinite(count) and count > 0 and origin.kind != "camera" else None
        self.is_live = origin.kind == "camera" or (origin.kind == "stream" and self.declared is None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        began = self._clock()
        image: Image | None = self.first
        number = 0
        while image is not None:
            yield Frame(number, began, self._clock(), image)
            number += 1
            began = self._clock()
            image = self._read()
            if image is None and self.is_live:
                image = self._again()
                began = self._clock()
            if image is not None and image.shape != self.first.shape:
                image = np.asarray(cv2.resize(image, (self.first.shape[1], self.first.shape[0])), np.uint8)

    def _read(self) -> Image | None:
        is_there, image = self._capture.read()
        return np.asarray(image, np.uint8) if is_there else None

    def _again(self) -> Image | None:
        """The first picture after a break; None if the source does not come back."""
        broke = self._clock()
        self.breaks += 1
        image = None
        for pause_s in PAUSES_S:
            self._capture.release()
            if self._pause(pause_s):
                break
            self.attempts += 1
            self._capture = self._open(self.origin)
            image = self._read() if self._capture.isOpened() else None
            if image is not None:
                break
        else:
            self.is_lost = True
        self.lost_s += self._clock() - broke
        return image


# Rule, field, value and fix where a source does not open.
_UNOPENED: dict[Kind, tuple[str, str, str, str]] = {
    "file": ("must be a video that OpenCV reads", "", "", "play it elsewhere; it may be cut short or no video at all"),
    "camera": ("does not open", "", "", "is it plugged in, free, and may you read /dev/video*? Cameras count from 0"),
    "stream": ("does not open", "", "", "check address, user, password and network"),
}
