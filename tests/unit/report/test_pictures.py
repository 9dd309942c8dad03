"""Prediction pictures, small."""

import cv2
import numpy as np
import pytest

from segsweep.report.pictures import find_pictures, shrink
from segsweep.storage import layout


def jpeg(height: int, width: int) -> bytes:
    return cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    ("shape", "expected"), [((1440, 360), (720, 180)), ((100, 80), (100, 80)), ((4000, 2), (720, 1))]
)
def test_a_picture_is_at_most_720_pixels(shape, expected):
    small = shrink(jpeg(*shape))
    assert small is not None
    assert cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape[:2] == expected


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_what_is_no_picture_is_none(data):
    assert shrink(data) is None


def test_pictures_of_a_trial_are_found_and_broken_ones_left_out(study, caplog):
    record = study.trials[8]
    study.bench.run.store.write(layout.trial_key(record.directory, layout.prediction_name("a-broken")), b"no picture")
    found = find_pictures(study.bench.run, record)
    assert [name for name, _ in found] == ["scene0", "scene1", "scene2"]
    assert "a-broken.jpg is no picture" in caplog.text
