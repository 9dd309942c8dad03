"""A video through an exported model: overlay film and measured frames/s.

Decoding, the network, drawing and encoding overlap (`segsweep.deploy.pipeline`). With N threads the network looks at N
pictures at a time, one thread each: on a CPU that gives more pictures a second than N threads on one picture.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from segsweep.deploy.durations import Durations
from segsweep.deploy.film import Film, check_extension
from segsweep.deploy.frames import Capture, Frame, Frames, Origin, hush_opencv, open_capture
from segsweep.deploy.model_file import class_indices, find_model
from segsweep.deploy.overlay import OPACITY, draw
from segsweep.deploy.pipeline import Pipeline, Stage
from segsweep.deploy.video_facts import Ended, ModelFacts, SourceFacts, VideoFacts
from segsweep.deploy.watching import Window
from segsweep.errors import ConfigError, Problem
from segsweep.inference.decode import Thresholds
from segsweep.inference.machine import available_cpus, this_machine
from segsweep.inference.predictor import RUNTIME, Predictor
from segsweep.storage import layout
from segsweep.storage.files import disk_errors, folder_beside

BOUND = 4  # pictures that may wait before a stage
_UNTOLD_FPS = 30.0  # of the film, where the source does not tell its rate

Progress = Callable[[int, int | None, int], None]


@dataclass(frozen=True)
class VideoOptions:
    """How a video is looked at.

    Attributes:
        conf: Instances that score above this are drawn, 0-1.
        classes: Classes that are drawn, by name or index; all where empty.
        threads: Of the network; one a core where None.
        frames: Stop after so many pictures of the source.
        show: Show them in a window meanwhile.
        opacity: Of a mask, 0-1.
    """

    conf: float = 0.45
    classes: tuple[str, ...] = ()
    threads: int | None = None
    frames: int | None = None
    show: bool = False
    opacity: float = OPACITY

    def check(self) -> None:
        """Raise ConfigError with every value that breaks a rule."""
        problems = []
        if not 0.0 <= self.conf < 1.0:
            problems.append(Problem("--conf", "must be at least 0 and below 1", value=str(self.conf)))
        for name, count in (("--threads", self.threads), ("--frames", self.frames)):
            if count is not None and count < 1:
                problems.append(Problem(name, "must be at least 1", value=str(count)))
        if problems:
            raise ConfigError(problems)


def make_film(
    model: Path,
    source: str,
    out: Path,
    options: VideoOptions,
    progress: Progress,
    open_source: Callable[[Origin], Capture] = open_capture,
) -> VideoFacts:
    """Write the film to `out` and what was measured to `stats.json` beside it, both at the end.

    Ctrl-C ends the source early, and the film with it; a second one leaves nothing.

    Args:
        model: An ONNX file, or the folder of `segsweep export`.
        source: A file, the number of a camera, or a URL.
        out: The film; its extension says the container.
        options: How to look.
        progress: Told now and then: pictures done, in all where that is known, dropped.
        open_source: Opens the source, again after a break.

    Raises:
        ConfigError: Model, source, `out` or an option cannot be used.
        MissingExtraError: onnxruntime is not installed.
        StorageError: The film could not be written.
        KeyboardInterrupt: The second Ctrl-C, or before there was any picture.
    """
    options.check()
    check_extension(out)
    origin = Origin.parse(source)
    _check_apart(origin, out)
    window = Window() if options.show else None
    hush_opencv()
    predictor = Predictor(find_model(model), 1)
    wanted = class_indices(options.classes, predictor.session.names)
    predictor.thresholds = Thresholds(conf=options.conf, classes=wanted)
    halt = threading.Event()
    try:
        with (
            Frames(origin, halt.wait, open_source) as frames,
            disk_errors(str(out)),
            folder_beside(out) as work,
        ):
            shoot = _Shoot(frames, predictor, work / out.name, options)
            shoot.run(halt, window, progress)
            facts = shoot.facts(out)
            (work / layout.VIDEO_STATS).write_text(json.dumps(facts.to_json(), indent=1) + "\n", encoding="utf-8")
            for name in (out.name, layout.VIDEO_STATS):
                _sync(work / name)
                (work / name).replace(out.with_name(name))
    finally:
        if window is not None:
            window.close()
    return facts


class _Shoot:
    """One film on its way: its stages, and what they count."""

    def __init__(self, frames: Frames, predictor: Predictor, path: Path, options: VideoOptions) -> None:
        self._frames = frames
        self._predictor = predictor
        self._options = options
        self._threads = options.threads or available_cpus()
        self._played_fps = frames.fps or _UNTOLD_FPS
        height, width = frames.first.shape[:2]
        self._film = Film(path, self._played_fps, (width, height))
        self._between, self._delays = Durations(), Durations()
        self._done = 0
        self._instances = 0
        self._forward_s = 0.0
        self._first: Frame | None = None
        self._last: Frame | None = None
        self._written_s = 0.0
        self._is_window_closed = False

    def run(self, halt: threading.Event, window: Window | None, progress: Progress) -> None:
        """Work until the source ends; see `Pipeline.run`."""
        self._predictor(self._frames.first)  # the first run of a network is slower
        workers = [self._predict_with(self._predictor.twin()) for _ in range(self._threads)]
        stages = [Stage("predict", workers), Stage("draw", [self._draw]), Stage("write", [self._write])]
        source = itertools.islice(self._frames, self._options.frames)
        self._pipeline = pipeline = Pipeline(source, stages, BOUND, self._frames.is_live, halt)
        totals = [count for count in (self._frames.declared, self._options.frames) if count is not None]

        def tick() -> None:
            progress(self._done, min(totals, default=None), pipeline.dropped)
            if window is not None and self._last is not None and window.show(self._last.image):
                self._is_window_closed = True
                pipeline.stop()

        try:
            pipeline.run(tick)
        finally:
            self._film.release()
        if not self._done:
            raise KeyboardInterrupt  # nothing else ends a source that has a picture before that is written
        self._film.finish()

    def facts(self, out: Path) -> VideoFacts:
        """What was measured."""
        assert self._first is not None
        pipeline, times = self._pipeline, self._pipeline.times
        threads = {"predict": self._threads}
        work_s = {name: time.total_s / max(time.count, 1) / threads.get(name, 1) for name, time in times.items()}
        return VideoFacts(
            source=self._source_facts(),
            model=self._model_facts(),
            out=out,
            codec=self._film.codec,
            played_fps=self._played_fps,
            ended=self._ended(),
            frames={
                "read": self._done + pipeline.dropped,
                "dropped": pipeline.dropped,
                "processed": self._done,
                "written": self._film.frames,
            },
            instances=self._instances,
            source_fps=self._frames.fps,
            model_only_fps=round(self._threads * self._done / self._forward_s, 2),
            end_to_end_fps=round(self._done / (self._written_s - self._first.began_s), 2),
            frame_ms=self._between.spread,
            delay_ms=self._delays.spread,
            stages_ms={name: time.spread for name, time in times.items()},
            slowest_stage=max(work_s, key=work_s.__getitem__),
        )

    def _predict_with(self, predictor: Predictor) -> Callable[[Frame], Frame]:
        def predict(frame: Frame) -> Frame:
            return replace(frame, prediction=predictor(frame.image))

        return predict

    def _draw(self, frame: Frame) -> Frame:
        assert frame.prediction is not None
        names = self._predictor.session.names
        return replace(frame, image=draw(frame.image, frame.prediction, names, self._options.opacity))

    def _write(self, frame: Frame) -> Frame:
        """Write a picture; a live one as often as it stands until now, so that the film keeps the source's time."""
        assert frame.prediction is not None
        self._first = self._first or frame
        times = 1
        if self._frames.is_live:
            due = round((frame.seen_s - self._first.seen_s) * self._played_fps) + 1
            times = max(due - self._film.frames, 1)
        for _ in range(times):
            self._film.write(frame.image)
        now = time.perf_counter()
        if self._done:
            self._between.add(now - self._written_s)
        self._delays.add(now - frame.seen_s)
        self._written_s = now
        self._done += 1
        self._instances += len(frame.prediction.masks)
        self._forward_s += frame.prediction.times.forward_ms / 1e3
        self._last = frame
        return frame

    def _ended(self) -> Ended:
        if self._pipeline.is_interrupted:
            return "interrupted"
        if self._is_window_closed:
            return "window"
        if self._frames.is_lost:
            return "lost"
        return "frames" if self._done + self._pipeline.dropped == self._options.frames else "end"

    def _source_facts(self) -> SourceFacts:
        frames = self._frames
        height, width = frames.first.shape[:2]
        return SourceFacts(
            name=frames.origin.shown,
            kind=frames.origin.kind,
            is_live=frames.is_live,
            width=width,
            height=height,
            declared_frames=frames.declared,
            breaks=frames.breaks,
            attempts=frames.attempts,
            lost_s=round(frames.lost_s, 2),
        )

    def _model_facts(self) -> ModelFacts:
        session = self._predictor.session
        return ModelFacts(
            path=str(session.path),
            imgsz=session.canvas_shape,
            threads=self._threads,
            conf=self._options.conf,
            classes=tuple(session.names[index] for index in sorted(self._predictor.thresholds.classes or ())),
            runtime=f"{RUNTIME} {session.runtime_version}, {session.provider}",
            machine=str(this_machine()),
        )


def _check_apart(origin: Origin, out: Path) -> None:
    """The output must be a file that may be replaced, and not the input."""
    for path in (out, out.with_name(layout.VIDEO_STATS)):
        if path.is_dir():
            raise ConfigError(Problem("--out", "a folder is in the way of the file", value=str(path)))
        if origin.kind == "file" and path.exists() and path.samefile(str(origin.address)):
            raise ConfigError(Problem("--out", "must not be the video that is read", value=str(path)))


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
