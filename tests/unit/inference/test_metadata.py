"""What a file says about itself, and what becomes of files that say nothing or nonsense."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsweep.errors import ConfigError
from segsweep.inference.decode import Thresholds
from segsweep.inference.forms import PLAIN, Form
from segsweep.inference.metadata import INSIDE, check_input, class_names, entries, has_nms, image_size, nms_inside

ULTRALYTICS = {"names": "{0: 'cat', 1: 'dog'}", "imgsz": "[320, 416]", "args": "{'nms': None, 'dynamic': True}"}


def test_what_is_written_is_read_again():
    written = entries(Form("int8", nms=True), {"trial": "t0007"})
    assert nms_inside(written) == INSIDE
    assert has_nms(written)
    check_input(written, "model.onnx")
    assert json.loads(written["segsweep.trial"]) == "t0007"
    assert json.loads(written["segsweep.precision"]) == "int8"
    assert json.loads(written["segsweep.thresholds"]) == {"conf": 0.25, "iou": 0.7, "max_det": 300}
    assert json.loads(written["segsweep.input"]) == {"channels": "RGB", "divided_by": 255, "letterbox_colour": 114}


def test_nms_outside_is_told_too():
    assert not has_nms(entries(PLAIN, {}))
    assert nms_inside(entries(PLAIN, {})) is None


def test_a_file_of_ultralytics_is_read_by_its_own_entries():
    assert class_names(ULTRALYTICS) == {0: "cat", 1: "dog"}
    assert image_size(ULTRALYTICS) == (320, 416)
    assert not has_nms(ULTRALYTICS)
    with_nms = {**ULTRALYTICS, "args": "{'nms': True}"}
    assert has_nms(with_nms)
    assert nms_inside(with_nms) is None  # it does not tell its thresholds


def test_pixels_prepared_in_another_way_are_refused():
    other = {"segsweep.input": json.dumps({"channels": "BGR", "divided_by": 255, "letterbox_colour": 114})}
    with pytest.raises(ConfigError, match=r"m\.onnx: segsweep\.input = .*BGR.*must take what this version prepares"):
        check_input(other, "m.onnx")


@given(
    st.dictionaries(
        st.sampled_from(["names", "imgsz", "args", "segsweep.nms"]), st.text("{}[]:,'0123nmsTrue ", max_size=20)
    )
)
def test_nonsense_is_no_fact(metadata):
    assert all(isinstance(name, str) for name in class_names(metadata).values())
    assert all(side > 0 for side in image_size(metadata))
    assert nms_inside(metadata) is None or isinstance(nms_inside(metadata), Thresholds)
    assert has_nms(metadata) in (True, False)


@pytest.mark.parametrize("told", ["[320]", "[0, 32]", "['a', 'b']", "320", "[", ""])
def test_an_image_size_that_is_none_is_640(told):
    assert image_size({"imgsz": told}) == (640, 640)
