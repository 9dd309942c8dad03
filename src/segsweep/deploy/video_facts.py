"""What became of a video: counts, rates and times, each with what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from segsweep.deploy.durations import Spread

Ended = Literal["end", "frames", "interrupted", "window", "lost"]

_ENDED: dict[Ended, str] = {
    "end": "with the source",
    "frames": "after --frames",
    "interrupted": "by Ctrl-C",
    "window": "with its window",
    "lost": "when the source did not come back",
}

_DROPPED_ALLOWED = 0.01  # of a live source's pictures, for a source that is kept up with

DEFINITIONS = {
    "fps.model_only": "pictures a second through the network alone, all its threads at work: no decoding, resizing, "
    "masks, drawing or encoding; measured during the run, with the other stages at work beside it",
    "fps.end_to_end": "pictures a second from decoding to the written file, all stages at work together",
    "fps.source": "the source's own rate, at which it is meant to be seen; null if it does not tell",
    "real_time": "a file: end_to_end is at least the source's rate. Live: at most 1 % of its pictures were dropped",
    "frame_ms": "between two pictures that were written one after the other",
    "delay_ms": "from a picture's being read to its being written, waiting between stages included",
    "stages_ms": "work of one stage on one picture, waiting not included",
    "frames.dropped": "pictures of a live source that came while the model was busy; a file never drops",
    "frames.written": "a live source's pictures are repeated where others are missing: the film keeps its time",
}


@dataclass(frozen=True)
class SourceFacts:
    """What was read; see `segsweep.deploy.frames.Frames` for its attributes."""

    name: str
    kind: str
    is_live: bool
    width: int
    height: int
    declared_frames: int | None
    breaks: int
    attempts: int
    lost_s: float


@dataclass(frozen=True)
class ModelFacts:
    """What looked at it; the classes asked for, none for all; the network's threads."""

    path: str
    imgsz: tuple[int, int]
    threads: int
    conf: float
    classes: tuple[str, ...]
    runtime: str
    machine: str


@dataclass(frozen=True)
class VideoFacts:
    """Everything that `stats.json` says.

    Attributes:
        source: What was read.
        model: What looked at it.
        out: The film.
        codec: What the film is written with.
        played_fps: Pictures a second when it is played.
        ended: How the source ended.
        frames: Pictures read, dropped, processed and written.
        instances: Instances drawn, over all pictures.
        source_fps: The source's own rate; None if it does not tell.
        model_only_fps: See DEFINITIONS, as for what follows.
        end_to_end_fps: Pictures processed over the seconds from the first read to the last written.
        frame_ms: Between written pictures.
        delay_ms: From read to written.
        stages_ms: Work of each stage.
        slowest_stage: The one that took longest for a picture, over its threads.
    """

    source: SourceFacts
    model: ModelFacts
    out: Path
    codec: str
    played_fps: float
    ended: Ended
    frames: Mapping[str, int]
    instances: int
    source_fps: float | None
    model_only_fps: float
    end_to_end_fps: float
    frame_ms: Spread
    delay_ms: Spread
    stages_ms: Mapping[str, Spread]
    slowest_stage: str

    @property
    def is_real_time(self) -> bool | None:
        """Whether the source is kept up with; None where its rate is not known."""
        if self.source.is_live:
            return self.frames["dropped"] <= _DROPPED_ALLOWED * self.frames["read"]
        return None if self.source_fps is None else self.end_to_end_fps >= self.source_fps

    @property
    def is_cut_short(self) -> bool:
        """Whether a file ended well before the pictures that it says it has; some containers miscount by one or so."""
        declared = self.source.declared_frames
        return self.ended == "end" and declared is not None and self.frames["read"] + 1 < 0.99 * declared

    def to_json(self) -> dict[str, Any]:
        """For `stats.json` and `segsweep video --json`."""
        return {
            "schema": 1,
            "source": asdict(self.source),
            "model": asdict(self.model),
            "output": {"path": str(self.out), "codec": self.codec, "fps": self.played_fps},
            "ended": self.ended,
            "is_cut_short": self.is_cut_short,
            "frames": dict(self.frames),
            "instances": self.instances,
            "fps": {"model_only": self.model_only_fps, "end_to_end": self.end_to_end_fps, "source": self.source_fps},
            "real_time": self.is_real_time,
            "frame_ms": asdict(self.frame_ms),
            "delay_ms": asdict(self.delay_ms),
            "stages_ms": {name: asdict(spread) for name, spread in self.stages_ms.items()},
            "slowest_stage": self.slowest_stage,
            "definitions": DEFINITIONS,
        }

    def to_text(self) -> str:
        """For a terminal."""
        frames, source = self.frames, self.source
        lines = [
            f"{self.out}: {frames['written']} pictures of {source.width}x{source.height}, {self.codec}",
            f"ended {_ENDED[self.ended]}: {frames['read']} pictures read, {frames['dropped']} dropped",
            f"model only: {self.model_only_fps:.1f} frames/s ({self.model.imgsz[1]}x{self.model.imgsz[0]} px, "
            f"{self.model.threads} threads)",
            f"end to end: {self.end_to_end_fps:.1f} frames/s; the slowest stage is {self.slowest_stage}",
            f"real time: {self._verdict()}",
            f"frame time: p50 {self.frame_ms.p50:.1f} ms, p95 {self.frame_ms.p95:.1f} ms; "
            f"delay: p50 {self.delay_ms.p50:.1f} ms, p95 {self.delay_ms.p95:.1f} ms",
        ]
        if source.breaks:
            again = f"opened again {source.attempts} times, {source.lost_s:.1f} s without it"
            lines.append(f"the source broke {source.breaks} times: {again}")
        if self.is_cut_short:
            lines.append(f"the file says it has {source.declared_frames} pictures: it is cut short or damaged")
        return "\n".join(lines)

    def _verdict(self) -> str:
        told = {True: "yes", False: "no", None: "not known"}[self.is_real_time]
        if self.source.is_live:
            return f"{told}, {self.frames['dropped']} of {self.frames['read']} live pictures were dropped"
        if self.source_fps is None:
            return f"{told}, the source does not tell its rate"
        return f"{told}, {self.end_to_end_fps / self.source_fps:.2f} times the source's {self.source_fps:g} frames/s"
