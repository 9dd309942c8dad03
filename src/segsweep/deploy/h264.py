"""H.264, which browsers and telephones play, by PyAV where it is installed: OpenCV's own wheels cannot write it."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from segsweep.inference.letterbox import Image

_CONTAINERS = frozenset({".mp4", ".mov", ".mkv"})
_OPTIONS = {"preset": "veryfast", "crf": "23"}  # x264's own quality, at a speed that does not hold up the network
_TIME_BASE = 65_535  # the largest denominator of a rate: 30000/1001 is one


class H264Writer:
    """Writes like `cv2.VideoWriter`. An odd last row or column is left out: half of its colour would be missing.

    Args:
        container: PyAV's, open for writing.
        stream: Its video stream.
        library: PyAV.
    """

    def __init__(self, container: Any, stream: Any, library: Any) -> None:
        self._container = container
        self._stream = stream
        self._library = library
        self._is_open = True

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Whether pictures are taken."""
        return self._is_open

    def write(self, image: Image) -> None:
        """Add a picture, BGR, uint8 [height, width, 3].

        Raises:
            OSError: It cannot be written.
        """
        even = image[: self._stream.height, : self._stream.width]
        self._encode(self._library.VideoFrame.from_ndarray(even, format="bgr24"))

    def release(self) -> None:
        """End the file; harmless a second time. What could not be written is for the reader to notice."""
        if self._is_open:
            self._is_open = False
            with suppress(self._library.FFmpegError):
                self._encode(None)
            with suppress(self._library.FFmpegError):
                self._container.close()

    def _encode(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


def open_h264(path: Path, fps: float, size: tuple[int, int]) -> H264Writer | None:
    """A writer for a file of such pictures; None where PyAV or its encoder is missing, or does not take them.

    Args:
        path: The file.
        fps: Pictures a second when it is played.
        size: Width and height in pixels.
    """
    width, height = (side - side % 2 for side in size)
    if path.suffix.lower() not in _CONTAINERS or not width or not height:
        return None
    try:
        import av  # noqa: PLC0415  (extra `app`)
    except ImportError:
        return None
    try:
        container = av.open(str(path), "w")
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(_TIME_BASE), options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        container.start_encoding()
    except (av.FFmpegError, ValueError):
        return None
    return H264Writer(container, stream, av)
