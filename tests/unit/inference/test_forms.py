"""The forms of an export and their file names."""

from __future__ import annotations

import pytest

from segsweep.errors import ConfigError
from segsweep.inference.forms import PLAIN, Form, all_file_names, wanted_forms


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (PLAIN, "model.onnx"),
        (Form("fp16"), "model-fp16.onnx"),
        (Form("int8"), "model-int8.onnx"),
        (Form("fp32", dynamic=True), "model-dynamic.onnx"),
        (Form("int8", dynamic=True, nms=True), "model-int8-dynamic-nms.onnx"),
    ],
)
def test_a_file_is_named_by_what_tells_it_from_the_plain_one(form, name):
    assert form.file_name == name


def test_no_two_forms_share_a_name():
    assert len(all_file_names()) == 3 * 2 * 2


@pytest.mark.parametrize(
    ("precisions", "flags", "expected"),
    [
        (["fp32"], {}, [PLAIN]),
        (["int8", "fp16", "int8"], {}, [PLAIN, Form("int8"), Form("fp16")]),
        (["fp32"], {"nms": True}, [PLAIN, Form(nms=True)]),
        (["fp32", "int8"], {"dynamic": True}, [PLAIN, Form(dynamic=True), Form("int8", dynamic=True)]),
    ],
)
def test_the_plain_form_comes_first_and_every_form_once(precisions, flags, expected):
    assert list(wanted_forms(precisions, **flags)) == expected


def test_every_unknown_precision_is_told():
    with pytest.raises(ConfigError, match="--precision") as caught:
        wanted_forms(["fp8", "int8", ""])
    assert [problem.value for problem in caught.value.problems] == ["fp8", "''"]
    assert "fp32, fp16, int8" in str(caught.value)
    assert caught.value.exit_code == 2
