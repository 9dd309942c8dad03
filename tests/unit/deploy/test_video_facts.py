from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from segsweep.deploy.durations import Spread
from segsweep.deploy.video_facts import ModelFacts, SourceFacts, VideoFacts

FILE = SourceFacts("in.mp4", "file", False, 960, 540, 221, 0, 0, 0.0)
LIVE = SourceFacts("camera 0", "camera", True, 640, 480, None, 0, 0, 0.0)
MODEL = ModelFacts("model.onnx", (160, 160), 2, 0.45, (), "onnxruntime 1", "a machine, 2 CPUs")


def facts(source: SourceFacts = FILE, **changes: object) -> VideoFacts:
    spread = Spread(10.0, 20.0)
    frames = {"read": 221, "dropped": 0, "processed": 221, "written": 221}
    stages = {"decode": spread, "predict": spread}
    whole = VideoFacts(
        *(source, MODEL, Path("out.mp4"), "mpeg4", 25.0, "end", frames, 7, 25.0, 130.0, 100.0),
        *(spread, spread, stages, "predict"),
    )
    return replace(whole, **changes)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (facts(end_to_end_fps=25.0), True),
        (facts(end_to_end_fps=24.9), False),
        (facts(source_fps=None), None),
        (facts(LIVE, frames={"read": 100, "dropped": 1}, end_to_end_fps=9.0), True),
        (facts(LIVE, frames={"read": 100, "dropped": 2}, end_to_end_fps=25.0), False),
        (facts(LIVE, source_fps=None), True),
    ],
)
def test_a_file_is_judged_by_its_rate_and_a_live_source_by_what_was_dropped(made, expected):
    assert made.is_real_time is expected


@pytest.mark.parametrize(
    ("read", "declared", "ended", "expected"),
    [
        (220, 221, "end", False),
        (150, 221, "end", True),
        (150, 221, "frames", False),
        (150, None, "end", False),
        (1, 2, "end", False),
    ],
)
def test_a_file_that_ends_well_before_its_time_is_cut_short(read, declared, ended, expected):
    made = facts(replace(FILE, declared_frames=declared), frames={"read": read, "dropped": 0}, ended=ended)
    assert made.is_cut_short is expected


def test_every_rate_has_a_name_and_every_name_a_definition():
    told = json.loads(json.dumps(facts().to_json()))
    assert told["fps"] == {"model_only": 130.0, "end_to_end": 100.0, "source": 25.0}
    assert {f"fps.{name}" for name in told["fps"]} | {"real_time", "frame_ms"} <= set(told["definitions"])
    assert (told["frame_ms"], told["real_time"]) == ({"p50": 10.0, "p95": 20.0}, True)


def test_a_terminal_is_told_the_same_figures():
    assert facts().to_text().splitlines() == [
        "out.mp4: 221 pictures of 960x540, mpeg4",
        "ended with the source: 221 pictures read, 0 dropped",
        "model only: 130.0 frames/s (160x160 px, 2 threads)",
        "end to end: 100.0 frames/s; the slowest stage is predict",
        "real time: yes, 4.00 times the source's 25 frames/s",
        "frame time: p50 10.0 ms, p95 20.0 ms; delay: p50 10.0 ms, p95 20.0 ms",
    ]
    assert "real time: not known" in facts(source_fps=None).to_text()
