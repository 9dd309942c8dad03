"""A visitor's film through a model: bounded, in a format that browsers play, and ended when the page ends."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segsweep.deploy.app_limits import MAX_FILM_PICTURES, check_film
from segsweep.deploy.frames import Capture, Origin, hush_opencv, open_capture
from segsweep.deploy.video import Progress, VideoOptions, make_film
from segsweep.deploy.video_facts import VideoFacts
from segsweep.errors import ConfigError, Problem, SegsweepError
from segsweep.storage import layout


@dataclass(frozen=True)
class Wishes:
    """How a visitor wants it: a score above `conf`, classes by name or index (all where empty), masks' opacity 0-1."""

    conf: float
    classes: Sequence[str]
    opacity: float


class Films:
    """Makes overlay films in a folder, one at a time, until it is told to end.

    Args:
        folder: Each film gets a folder of its own in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ending = threading.Event()
        self._at_work = threading.Lock()

    def segment(self, upload: Path, model: Path, wishes: Wishes, progress: Progress) -> tuple[Path, str]:
        """Make the overlay film, H.264 in MP4, which browsers play.

        Args:
            upload: The visitor's file.
            model: An ONNX file.
            wishes: How.
            progress: See `segsweep.deploy.video.make_film`.

        Returns:
            The film, and its figures in words.

        Raises:
            ConfigError: The upload is no film that is read, or the page ends.
            StorageError: The film cannot be written.
        """
        hush_opencv()
        check_film(upload)
        options = VideoOptions(wishes.conf, tuple(wishes.classes), frames=MAX_FILM_PICTURES, opacity=wishes.opacity)
        with self._at_work:
            if self._ending.is_set():
                raise ConfigError(_interrupted(upload))
            out = Path(tempfile.mkdtemp(prefix="film-", dir=self._folder)) / "segmented.mp4"
            try:
                facts = make_film(model, str(upload), out, options, progress, self._open)
            except KeyboardInterrupt:
                raise ConfigError(_interrupted(upload)) from None
            except SegsweepError as exc:
                raise type(exc)(str(exc).replace(str(upload), upload.name)) from exc
            out.with_name(layout.VIDEO_STATS).unlink()
        return out, _told(facts)

    def end(self, timeout_s: float) -> None:
        """End the film that is being made, and wait until nothing is written any more; none is begun afterwards."""
        self._ending.set()
        if self._at_work.acquire(timeout=timeout_s):
            self._at_work.release()

    def _open(self, origin: Origin) -> Capture:
        return _Ending(open_capture(origin), self._ending)


def _interrupted(upload: Path) -> Problem:
    return Problem(upload.name, "was not looked at to its end: the page has ended")


def _told(facts: VideoFacts) -> str:
    done = facts.frames["processed"]
    declared = facts.source.declared_frames
    cut = f", the first of {declared}" if declared is not None and declared > done and facts.ended == "frames" else ""
    rate = "unknown" if facts.source_fps is None else f"{facts.source_fps:.1f} FPS"
    verdict = {None: "", True: ": kept up with", False: ": not kept up with"}[facts.is_real_time]
    return (
        f"{facts.end_to_end_fps:.1f} FPS end to end, {facts.model_only_fps:.1f} FPS model only; the film's own rate "
        f"is {rate}{verdict}. {done} pictures{cut}, {facts.instances} objects, frame time p50 {facts.frame_ms.p50:.0f} "
        f"ms, p95 {facts.frame_ms.p95:.0f} ms."
    )


class _Ending:
    """A source that has no more pictures once the event is set."""

    def __init__(self, capture: Capture, ending: threading.Event) -> None:
        self._capture = capture
        self._ending = ending

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self._capture.isOpened()

    def read(self) -> tuple[bool, Any]:
        return (False, None) if self._ending.is_set() else self._capture.read()

    def get(self, property_id: int, /) -> float:
        return self._capture.get(property_id)

    def release(self) -> None:
        self._capture.release()
