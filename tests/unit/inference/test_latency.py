"""Timing: turns, warm-up, fresh processes."""

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from segsweep.errors import ReportError
from segsweep.inference.latency import main, measure_interleaved, measure_round, take_samples
from segsweep.inference.predictor import StageTimes
from segsweep.inference.timings import LatencyPlan, Round

IMAGES = [Path("a.jpg")]


def test_models_take_turns_and_their_rounds_are_pooled():
    calls: list[str] = []

    def runner(model, images, plan):
        calls.append(model.name)
        return Round(((1.0, 2.0, 3.0),) * 4, (64, 64), "1.0", "CPU", 0.0, 0.0, 0.0)

    told: list[str] = []
    measured = measure_interleaved(
        {"n": Path("n.onnx"), "s": Path("s.onnx")}, IMAGES, LatencyPlan(threads=1, rounds=2), told.append, runner
    )
    assert calls == ["n.onnx", "s.onnx", "n.onnx", "s.onnx"]
    assert told[0] == "timing n, round 1 of 2"
    assert {name: latency.samples for name, latency in measured.items()} == {"n": 8, "s": 8}
    assert measured["n"].total.p50 == 6.0


def test_a_busy_machine_is_told():
    told: list[str] = []
    measure_interleaved(
        {"n": Path("n.onnx")},
        IMAGES,
        LatencyPlan(threads=1, rounds=1),
        told.append,
        lambda *_: Round(((1.0, 2.0, 3.0),), (64, 64), "1.0", "CPU", 0.0, 0.0, 1.5),
    )
    assert told[-1] == "other processes were busy while timing n by 1.5 CPUs: time again on a quiet machine"


def test_without_images_there_is_nothing_to_time():
    with pytest.raises(ReportError, match="no image"):
        measure_interleaved({}, [], LatencyPlan(threads=1), lambda _: None)


def test_the_warm_up_is_not_counted_and_images_take_turns():
    seen: list[int] = []

    def predict(image):
        seen.append(int(image[0, 0, 0]))
        return StageTimes(float(len(seen)), 0.0, 0.0)

    images = [np.full((1, 1, 3), value, np.uint8) for value in (7, 8)]
    samples = take_samples(predict, images, LatencyPlan(threads=1, samples=3, warmup=2), clock=lambda: 0.0)
    assert [row[0] for row in samples] == [3.0, 4.0, 5.0]
    assert seen == [7, 8, 7, 8, 7]


def test_a_slow_model_stops_at_the_time_limit_but_not_before_five_samples():
    clock = itertools.count(0.0, 10.0)
    samples = take_samples(
        lambda _: StageTimes(1.0, 1.0, 1.0),
        [np.zeros((1, 1, 3), np.uint8)],
        LatencyPlan(threads=1, samples=40, max_seconds=1.0),
        clock=lambda: next(clock),
    )
    assert len(samples) == 5


def test_one_process_writes_its_round_as_json(planted, tmp_path, capsys):
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((32, 32, 3), np.uint8))
    model = planted((32.0, 32.0, 32.0, 16.0, 0, 0.9, 1.0, 0.0))
    assert main([f"--model={model}", "--samples=3", "--warmup=0", "--images", str(picture)]) == 0
    measured = Round.from_json(json.loads(capsys.readouterr().out))
    assert len(measured.samples_ms) == 3
    assert measured.canvas == (64, 64)


def test_one_process_says_which_pictures_it_cannot_read(planted, tmp_path, capsys):
    model = planted((32.0, 32.0, 32.0, 16.0, 0, 0.9, 1.0, 0.0))
    assert main([f"--model={model}", "--images", str(tmp_path / "a.png"), str(tmp_path / "b.png")]) == 4
    said = capsys.readouterr().err
    assert "a.png" in said
    assert "b.png" in said


@pytest.mark.slow(reason="starts a fresh process")
@pytest.mark.timeout(60)
def test_a_fresh_process_measures(planted, tmp_path):
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((32, 32, 3), np.uint8))
    model = planted((32.0, 32.0, 32.0, 16.0, 0, 0.9, 1.0, 0.0))
    measured = measure_round(model, [picture], LatencyPlan(threads=1, samples=7, warmup=1))
    assert len(measured.samples_ms) == 7
    assert all(stage >= 0.0 for row in measured.samples_ms for stage in row)


@pytest.mark.slow(reason="starts a fresh process")
@pytest.mark.timeout(60)
def test_a_process_that_fails_is_reported_with_what_it_said(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ReportError, match=r"broken\.onnx: could not be timed|could not be timed.*") as caught:
        measure_round(broken, [tmp_path / "a.png"], LatencyPlan(threads=1))
    assert "a.png" in str(caught.value)
