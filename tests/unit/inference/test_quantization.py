"""Smaller precisions of a small network whose boxes and scores lie in one tensor, as YOLOv8-seg's do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from segsweep.errors import ExportError
from segsweep.inference.export import ExportedModel
from segsweep.inference.letterbox import Letterbox
from segsweep.inference.precision import weight_precision
from segsweep.inference.quantization import Calibration, calibration_images, decoding_nodes, lower_precision

SIDE = 64
ANCHORS = 64  # one every 8 pixels


def small_network(path: Path) -> ExportedModel:
    """Boxes of up to 640 and scores of 0-1 from one convolution each, joined as the head joins them."""
    draw = np.random.default_rng(0)
    tensors = {
        "box.w": draw.uniform(0.1, 1.0, (4, 3, 8, 8)) / 96,
        "box.b": np.zeros(4),
        "score.w": draw.normal(0, 1, (2, 3, 8, 8)) / 4,
        "score.b": np.zeros(2),
        "proto.w": draw.normal(0, 1, (2, 3, 4, 4)),
        "proto.b": np.zeros(2),
        "side": np.array(640.0),
    }
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()]
    weights.append(numpy_helper.from_array(np.array([1, -1, ANCHORS], np.int64), "shape"))

    def conv(part: str, source: str, stride: int) -> onnx.NodeProto:
        sides = [stride, stride]
        inputs = [source, f"{part}.w", f"{part}.b"]
        return helper.make_node("Conv", inputs, [f"{part}.map"], f"{part}_conv", kernel_shape=sides, strides=sides)

    nodes = [
        conv("box", "images", 8),
        conv("score", "images", 8),
        conv("proto", "images", 4),
        helper.make_node("Sigmoid", ["proto.map"], ["output1"], "prototypes"),
        helper.make_node("Reshape", ["box.map", "shape"], ["box.rows"], "box_rows"),
        helper.make_node("Reshape", ["score.map", "shape"], ["score.rows"], "score_rows"),
        helper.make_node("Mul", ["box.rows", "side"], ["box.px"], "pixels"),
        helper.make_node("Sigmoid", ["score.rows"], ["score"], "scores"),
        helper.make_node("Sigmoid", ["score.rows"], ["coefficients"], "coefficients"),
        helper.make_node("Concat", ["box.px", "score", "coefficients"], ["output0"], "joined", axis=1),
    ]
    images = helper.make_tensor_value_info("images", 1, [1, 3, SIDE, SIDE])
    outputs = [
        helper.make_tensor_value_info("output0", 1, [1, 8, ANCHORS]),
        helper.make_tensor_value_info("output1", 1, [1, 2, SIDE // 4, SIDE // 4]),
    ]
    graph = helper.make_graph(nodes, "small", [images], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"names": "{0: 'cat', 1: 'dog'}", "imgsz": "[64, 64]"})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return ExportedModel(path, "0" * 64, path.stat().st_size, SIDE)


@pytest.fixture
def network(tmp_path):
    return small_network(tmp_path / "model.onnx")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Noise of another shape than the network's input."""
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(1)
    for index in range(4):
        cv2.imwrite(str(folder / f"{index}.png"), draw.integers(0, 256, (48, 80, 3), np.uint8))
    return sorted(folder.iterdir())


def run(path: Path, picture: Path) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    image = cv2.imread(str(picture))
    canvas = np.empty((1, 3, SIDE, SIDE), np.float32)
    Letterbox.fit(image.shape[:2], (SIDE, SIDE)).prepare(image, canvas)
    first, second = session.run(None, {"images": canvas})
    return first, second


@pytest.mark.slow(reason="imports onnxruntime.quantization, quantises")
@pytest.mark.timeout(30)
def test_int8_keeps_scores_beside_boxes_of_hundreds_of_pixels(network, photos, tmp_path):
    made = lower_precision(network, tmp_path / "model-int8.onnx", "int8", photos)
    assert (made.precision, made.calibration_images, made.size_bytes) == ("int8", 4, made.path.stat().st_size)
    assert weight_precision(made.path) == "int8"
    (exact, prototypes), (found, other) = run(network.path, photos[0]), run(made.path, photos[0])
    assert exact[0, :4].max() > 100.0
    assert np.abs(exact[0, 4:] - found[0, 4:]).max() < 0.05  # of 0-1; 0.5 and more with one scale for all rows
    assert np.abs(exact[0, :4] - found[0, :4]).max() < 8.0  # px
    assert np.abs(prototypes - other).max() < 0.1
    assert found.dtype == np.float32


@pytest.mark.slow(reason="imports onnxruntime.quantization, quantises twice")
@pytest.mark.timeout(30)
def test_the_same_images_give_the_same_bytes_and_other_images_do_not(network, photos, tmp_path):
    first = lower_precision(network, tmp_path / "one.onnx", "int8", photos)
    second = lower_precision(network, tmp_path / "two.onnx", "int8", list(reversed(photos)))
    assert first.sha256 == second.sha256
    cv2.imwrite(str(tmp_path / "dark.png"), np.full((48, 80, 3), 3, np.uint8))
    assert lower_precision(network, tmp_path / "three.onnx", "int8", [tmp_path / "dark.png"]).sha256 != first.sha256


@pytest.mark.slow(reason="imports onnxruntime.transformers")
@pytest.mark.timeout(30)
def test_half_precision_halves_the_weights_and_keeps_float32_at_both_ends(network, photos, tmp_path):
    made = lower_precision(network, tmp_path / "model-fp16.onnx", "fp16", [])
    assert (made.precision, made.calibration_images) == ("fp16", 0)
    assert weight_precision(made.path) == "fp16"
    assert made.size_bytes < 0.75 * network.size_bytes
    (exact, _), (found, _) = run(network.path, photos[0]), run(made.path, photos[0])
    assert found.dtype == np.float32
    assert 0.0 < np.abs(exact - found).max() < 1.0  # px
    assert np.abs(exact[0, 4:] - found[0, 4:]).max() < 2e-3


@pytest.mark.slow(reason="imports onnxruntime.quantization, quantises")
@pytest.mark.timeout(30)
def test_a_file_says_what_it_is(network, photos, tmp_path):
    made = lower_precision(network, tmp_path / "m.onnx", "int8", photos, {"trial": "t0007"})
    told = {item.key: item.value for item in onnx.load(str(made.path)).metadata_props}
    assert told["names"] == "{0: 'cat', 1: 'dog'}"
    assert json.loads(told["segsweep.precision"]) == "int8"
    assert json.loads(told["segsweep.trial"]) == "t0007"
    calibration = json.loads(told["segsweep.calibration"])
    assert (calibration["images"], calibration["split"]) == (4, "train")


def test_what_follows_the_last_convolutions_is_left_alone(network):
    graph = onnx.load(str(network.path)).graph
    left_alone = ["box_rows", "score_rows", "pixels", "scores", "coefficients", "joined"]
    assert decoding_nodes(graph) == left_alone


def test_a_convolution_without_a_bias_belongs_to_the_decoding(network):
    graph = onnx.load(str(network.path)).graph
    del graph.node[0].input[2]
    assert decoding_nodes(graph)[0] == "box_conv"


def test_int8_without_a_train_image_is_refused(network, tmp_path):
    with pytest.raises(ExportError, match=r"--precision int8.*train images to calibrate on.*export fp16") as caught:
        lower_precision(network, tmp_path / "m.onnx", "int8", [])
    assert caught.value.exit_code == 4
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.slow(reason="imports onnxruntime.quantization")
@pytest.mark.timeout(30)
def test_a_train_image_that_cannot_be_read_is_named(network, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(ExportError, match=r"broken\.jpg: must be an image"):
        lower_precision(network, tmp_path / "m.onnx", "int8", [tmp_path / "broken.jpg"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.jpg", "model.onnx"]


@pytest.mark.slow(reason="imports onnxruntime.quantization")
@pytest.mark.timeout(30)
def test_a_quantisation_that_fails_is_told_in_a_line(network, photos, tmp_path):
    wrong = replace(network, imgsz=96)  # images of another size than the network takes
    with pytest.raises(ExportError, match=r"model\.onnx: InvalidArgument: .*could not be converted to int8"):
        lower_precision(wrong, tmp_path / "m.onnx", "int8", photos)
    assert not (tmp_path / "m.onnx").exists()


def test_calibration_sees_the_pixels_that_the_predictor_prepares(photos):
    reader = Calibration(photos[:2], SIDE)
    for photo in photos[:2]:
        expected = np.empty((1, 3, SIDE, SIDE), np.float32)
        Letterbox.fit((48, 80), (SIDE, SIDE)).prepare(cv2.imread(str(photo)), expected)
        assert np.array_equal(reader.get_next()["images"], expected)
    assert reader.get_next() is None


@given(count=st.integers(0, 60), most=st.integers(1, 30))
def test_calibration_images_are_spread_over_all_and_always_the_same(count, most):
    train = [Path(f"{index:04d}.jpg") for index in range(count)]
    chosen = calibration_images(list(reversed(train)), most)
    assert chosen == sorted(set(chosen)) == calibration_images(train, most)
    assert len(chosen) == min(count, most)
    if len(chosen) > 1:
        places = np.diff([train.index(path) for path in chosen])
        assert places.max() - places.min() <= 1
        assert chosen[0] == train[0]
