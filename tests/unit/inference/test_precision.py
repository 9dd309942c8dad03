"""The precision of weights, beside files that the `onnx` package writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from planted_model import planted_outputs, write_planted_model
from segsweep.inference.precision import weight_precision

FP32, FP16, INT8, UINT8, INT64 = np.float32, np.float16, np.int8, np.uint8, np.int64


def write(path: Path, *weights: tuple[type, tuple[int, ...]]) -> Path:
    tensors = [numpy_helper.from_array(np.zeros(shape, kind), f"w{i}") for i, (kind, shape) in enumerate(weights)]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "g", [value], [helper.make_tensor_value_info("y", 1, [1])], tensors)
    onnx.save(helper.make_model(graph), str(path))
    return path


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([(FP32, (3, 4))], "fp32"),
        ([(FP16, (3, 4))], "fp16"),
        ([(INT8, (3, 300)), (FP32, (300,))], "int8"),
        ([(UINT8, (3, 300)), (FP32, (300,))], "int8"),
        ([(INT8, (3,)), (FP32, (4,))], "fp32"),
        ([(INT64, (100,)), (FP32, ())], "fp32"),  # shapes and indices are no weights
        ([(INT64, (100,))], "unknown"),
        ([], "unknown"),
    ],
)
def test_it_is_what_most_numbers_of_the_weights_are(tmp_path, weights, expected):
    assert weight_precision(write(tmp_path / "m.onnx", *weights)) == expected


def test_constants_are_weights_too(tmp_path):
    assert weight_precision(write_planted_model(tmp_path / "m.onnx", planted_outputs([]))) == "fp32"


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x3a\xff", b"\xff" * 20, b"\x3a\x7f" + b"a" * 5])
def test_a_file_that_is_no_model_is_unknown(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    assert weight_precision(tmp_path / "m.onnx") == "unknown"
    assert weight_precision(tmp_path / "missing.onnx") == "unknown"


def test_a_file_cut_anywhere_is_told_without_a_fault(tmp_path):
    whole = write(tmp_path / "m.onnx", (FP32, (2, 3))).read_bytes()
    for size in range(len(whole)):
        (tmp_path / "cut.onnx").write_bytes(whole[:size])
        assert weight_precision(tmp_path / "cut.onnx") in ("fp32", "unknown")
    large = write(tmp_path / "m.onnx", (FP32, (100, 100))).read_bytes()
    (tmp_path / "cut.onnx").write_bytes(large[: len(large) // 2])
    assert weight_precision(tmp_path / "cut.onnx") == "unknown"
