"""A video file, written with the best codec that is there and looked at again when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2

from segsweep.deploy.h264 import open_h264
from segsweep.errors import ConfigError, Problem, StorageError
from segsweep.inference.letterbox import Image

# By extension, in order of preference: what OpenCV calls a codec, and what people do. H.264 is missing from
# OpenCV's own wheels, whose FFmpeg has no encoder for it; PyAV, other builds and some boards have one.
CODECS: dict[str, tuple[tuple[str, str], ...]] = {
    ".mp4": (("avc1", "h264"), ("mp4v", "mpeg4")),
    ".mov": (("avc1", "h264"), ("mp4v", "mpeg4")),
    ".mkv": (("H264", "h264"), ("mp4v", "mpeg4")),
    ".avi": (("H264", "h264"), ("mp4v", "mpeg4")),
    ".webm": (("VP80", "vp8"),),
}


def check_extension(out: Path) -> None:
    """Raise ConfigError unless `out` ends like a video that can be written."""
    if out.suffix.lower() not in CODECS:
        raise ConfigError(Problem("--out", f"must end in one of {', '.join(CODECS)}", value=str(out)))


class Film:
    """A video that is being written.

    Attributes:
        codec: What it is written with.
        frames: Pictures written.

    Args:
        path: The file.
        fps: Pictures a second when it is played.
        size: Width and height in pixels.

    Raises:
        ConfigError: None of the codecs for this extension can write such pictures here.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        self.frames = 0
        self._path = path
        self._writer, self.codec = _open(path, fps, size)

    def write(self, image: Image) -> None:
        """Add a picture of the film's size."""
        self._writer.write(image)
        self.frames += 1

    def release(self) -> None:
        """Stop writing; harmless a second time."""
        self._writer.release()

    def finish(self) -> None:
        """End the file, and read it again: OpenCV does not tell when it could not write, to a full disk, say.

        Raises:
            StorageError: What was written does not open, or has fewer pictures than were written.
        """
        self.release()
        film = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        try:
            is_there, _ = film.read()
            told = round(film.get(cv2.CAP_PROP_FRAME_COUNT))
        finally:
            film.release()
        # Matroska tells how long it plays, not how many pictures there are: the last one is a matter of rounding.
        if not is_there or told < self.frames - 1:
            found = f"{told if is_there else 0} of {self.frames} pictures are there"
            fix = "is the disk full? Free space there, then run the same command again"
            raise StorageError(Problem(str(self._path.parent), "the video was not written whole", "", found, fix))


def _open(path: Path, fps: float, size: tuple[int, int]) -> tuple[Any, str]:
    for fourcc, codec in CODECS[path.suffix.lower()]:
        if codec == "h264" and (better := open_h264(path, fps, size)) is not None:
            return better, codec
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), fps, size)
        if writer.isOpened():
            return writer, codec
        writer.release()
    tried = ", ".join(codec for _, codec in CODECS[path.suffix.lower()])
    value = f"{size[0]}x{size[1]} pixels, {fps:g} a second"
    fix = f"another extension has other codecs: {', '.join(CODECS)}"
    raise ConfigError(Problem("--out", f"none of {tried} can write this as {path.suffix} here", value=value, fix=fix))
