"""The predictor on planted networks, and beside Ultralytics' own on a real one."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from planted_model import planted_outputs, planted_survivors, write_planted_model
from segsweep.errors import ConfigError
from segsweep.inference.decode import Thresholds
from segsweep.inference.forms import Form
from segsweep.inference.metadata import entries
from segsweep.inference.predictor import Predictor, Session

CAT = (32.0, 32.0, 32.0, 16.0, 0, 0.9, 1.0, 0.0)
LEFT_HALF_OF_A_DOG = (32.0, 10.0, 20.0, 10.0, 1, 0.5, 0.0, 1.0)


def picture(height: int = 64, width: int = 64) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def test_a_prediction_holds_boxes_scores_classes_and_masks_best_first(planted):
    found = Predictor(planted(LEFT_HALF_OF_A_DOG, CAT))(picture())
    assert found.boxes.tolist() == [[16.0, 24.0, 48.0, 40.0], [22.0, 5.0, 42.0, 15.0]]
    assert found.scores.tolist() == [np.float32(0.9), np.float32(0.5)]
    assert found.classes.tolist() == [0, 1]
    assert [mask.area for mask in found.masks] == [32 * 16, 10 * 10]
    assert found.shape == (64, 64)


def test_a_network_in_half_precision_takes_the_same_pictures_and_finds_the_same(tmp_path):
    path = write_planted_model(tmp_path / "half.onnx", planted_outputs([CAT, LEFT_HALF_OF_A_DOG]), kind=np.float16)
    found = Predictor(path)(picture())
    assert found.boxes.tolist() == [[16.0, 24.0, 48.0, 40.0], [22.0, 5.0, 42.0, 15.0]]
    assert (found.boxes.dtype, found.scores.dtype) == (np.float32, np.float32)
    assert found.scores.tolist() == [np.float16(0.9), np.float16(0.5)]
    assert [mask.area for mask in found.masks] == [32 * 16, 10 * 10]


SURVIVORS = [(16.0, 24.0, 48.0, 40.0, 0.9, 0.0, 1.0, 0.0), (22.0, 5.0, 42.0, 15.0, 0.5, 1.0, 0.0, 1.0)]


@pytest.fixture
def with_nms(tmp_path):
    """A network with NMS inside that finds `CAT` and `LEFT_HALF_OF_A_DOG`."""
    told = entries(Form(nms=True), {})
    return write_planted_model(tmp_path / "nms.onnx", planted_survivors(SURVIVORS), metadata=told)


def test_a_network_with_nms_inside_finds_the_same_as_one_without(planted, with_nms):
    found = Predictor(with_nms)(picture(128, 128))
    expected = Predictor(planted(CAT, LEFT_HALF_OF_A_DOG))(picture(128, 128))
    assert found.boxes.tolist() == expected.boxes.tolist()
    assert found.scores.tolist() == expected.scores.tolist()
    assert found.classes.tolist() == expected.classes.tolist() == [0, 1]
    assert [mask.area for mask in found.masks] == [mask.area for mask in expected.masks]
    assert Session(with_nms, threads=1).names == ("cat", "dog")


def test_nms_inside_as_ultralytics_writes_it_is_recognised(tmp_path):
    told = {"args": "{'batch': 1, 'nms': True, 'dynamic': False}"}
    path = write_planted_model(tmp_path / "nms.onnx", planted_survivors(SURVIVORS), metadata=told)
    assert Predictor(path, thresholds=Thresholds(conf=0.01))(picture()).classes.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("thresholds", "classes"),
    [
        (Thresholds(conf=0.6), [0]),
        (Thresholds(classes=frozenset({1})), [1]),
        (Thresholds(max_det=1), [0]),
        (Thresholds(conf=0.95), []),
    ],
)
def test_what_nms_inside_has_left_can_be_narrowed(with_nms, thresholds, classes):
    assert Predictor(with_nms, thresholds=thresholds)(picture()).classes.tolist() == classes


def test_what_nms_inside_has_dropped_is_not_promised(with_nms):
    asked = Thresholds(conf=0.01, iou=0.5, max_det=301, multi_label=True)
    with pytest.raises(ConfigError, match="NMS is inside this file") as caught:
        Predictor(with_nms, thresholds=asked)
    assert [problem.field for problem in caught.value.problems] == ["conf", "iou", "max_det", "multi_label"]
    predictor = Predictor(with_nms)
    with pytest.raises(ConfigError, match=r"conf = 0\.01: must be at least 0\.05"):
        predictor.thresholds = Thresholds(conf=0.01)
    assert predictor.thresholds == Thresholds()


def test_nms_inside_without_class_names_is_refused(tmp_path):
    told = entries(Form(nms=True), {})
    path = write_planted_model(tmp_path / "nms.onnx", planted_survivors(SURVIVORS), names="", metadata=told)
    with pytest.raises(ConfigError, match=r"nms\.onnx: names: must name its classes"):
        Session(path, threads=1)


def test_a_network_with_dynamic_shapes_takes_the_size_it_was_made_for(tmp_path):
    outputs = planted_outputs([CAT])
    path = write_planted_model(tmp_path / "d.onnx", outputs, metadata={"imgsz": "[64, 64]"}, dynamic=True)
    found = Predictor(path)(picture())
    assert found.boxes.tolist() == [[16.0, 24.0, 48.0, 40.0]]
    assert Session(path, threads=1, canvas_shape=(96, 128)).canvas_shape == (96, 128)
    with pytest.raises(ConfigError, match=r"imgsz = \(96, 100\): sides must be multiples of 32"):
        Session(path, threads=1, canvas_shape=(96, 100))


def test_a_network_with_a_fixed_size_takes_no_other(planted):
    with pytest.raises(ConfigError, match=r"imgsz = \(96, 96\): takes images of 64x64 pixels only"):
        Predictor(planted(CAT), canvas_shape=(96, 96))


def test_coordinates_are_those_of_the_image_not_of_the_canvas(planted):
    found = Predictor(planted(CAT))(picture(128, 256))  # gain 1/4, 16 rows of padding above
    assert found.boxes.tolist() == [[64.0, 32.0, 192.0, 96.0]]
    assert found.masks[0].area == 128 * 64


def test_a_detection_whose_mask_is_empty_is_dropped(planted):
    nothing = (32.0, 32.0, 32.0, 16.0, 0, 0.9, -1.0, 0.0)
    found = Predictor(planted(nothing))(picture())
    assert (len(found.boxes), len(found.scores), len(found.masks)) == (0, 0, 0)


def test_in_an_image_without_objects_nothing_is_found(planted):
    found = Predictor(planted())(picture())
    assert (found.boxes.shape, found.scores.shape, found.masks) == ((0, 4), (0,), ())


def test_thresholds_are_the_callers(planted):
    assert Predictor(planted(CAT, LEFT_HALF_OF_A_DOG), thresholds=Thresholds(conf=0.6))(picture()).classes.tolist() == [
        0
    ]


def test_a_class_that_is_not_looked_for_is_dropped_before_it_takes_a_place(planted):
    looking_for_dogs = Thresholds(max_det=1, classes=frozenset({1}))
    assert Predictor(planted(CAT, LEFT_HALF_OF_A_DOG), thresholds=looking_for_dogs)(picture()).classes.tolist() == [1]


def test_what_executes_the_network_is_chosen_and_told(planted):
    assert Session(planted(CAT), threads=1).provider == "CPUExecutionProvider"
    with pytest.raises(ConfigError, match=r"NoSuchProvider: must be among .*CPUExecutionProvider"):
        Session(planted(CAT), threads=1, providers=["NoSuchProvider", "CPUExecutionProvider"])


def test_stages_are_timed_by_the_given_clock(planted):
    ticks = iter([0.0, 0.001, 0.003, 0.007])
    times = Predictor(planted(CAT), clock=lambda: next(ticks))(picture()).times
    assert (times.prepare_ms, times.forward_ms, times.postprocess_ms) == pytest.approx((1.0, 2.0, 4.0))
    assert times.total_ms == pytest.approx(7.0)


def test_a_twin_has_the_same_network_and_a_canvas_of_its_own(planted):
    one = Predictor(planted(CAT))
    other = one.twin()
    assert other.session is one.session
    assert not np.shares_memory(one._canvas, other._canvas)
    other(picture(128, 256))
    assert other(picture()).boxes.tolist() == one(picture()).boxes.tolist()


def test_class_names_come_from_the_file(planted):
    assert Predictor(planted(CAT)).session.names == ("cat", "dog")


@pytest.mark.parametrize("names", ["", "not python", "{0: 'cat'}", "__import__('os')"])
def test_names_that_do_not_fit_are_numbered_instead(planted, names):
    assert Predictor(planted(CAT, names=names)).session.names == ("class0", "class1")


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_an_array_that_is_no_picture_is_refused(planted, image):
    with pytest.raises(ValueError, match="uint8"):
        Predictor(planted(CAT))(image)


def test_a_file_that_is_no_model_is_named(tmp_path):
    path = tmp_path / "cat.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ConfigError, match=r"cat\.onnx: must be an ONNX model") as caught:
        Predictor(path)
    assert caught.value.exit_code == 2
    with pytest.raises(ConfigError, match="gone"):
        Predictor(tmp_path / "gone.onnx")


def test_a_file_whose_name_is_no_utf_8_is_loaded_too(planted, tmp_path):
    strange = tmp_path / os.fsdecode(b"k\xe4tze.onnx")
    planted(CAT).rename(strange)
    assert len(Predictor(strange)(picture()).masks) == 1


@pytest.mark.parametrize(
    "shapes",
    [
        pytest.param([(1, 84, 8)], id="a detector has no prototypes"),
        pytest.param([(1, 8, 8), (1, 2, 8, 8)], id="prototypes of another canvas"),
        pytest.param([(1, 6, 8), (1, 2, 16, 16)], id="no class is left"),
    ],
)
def test_another_kind_of_network_is_refused_with_its_shapes(constant_model, shapes):
    path = constant_model(*(np.zeros(shape, np.float32) for shape in shapes))
    with pytest.raises(ConfigError, match=r"\(1, .*must be a YOLOv8-seg model") as caught:
        Predictor(path)
    assert caught.value.problems[0].field == "inputs and outputs"


def test_the_edge_side_imports_neither_torch_nor_ultralytics():
    script = "import sys, segsweep.inference.latency; print(sorted({'torch', 'ultralytics', 'ray'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.data
@pytest.mark.slow(reason="runs Ultralytics beside ours on real photographs")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("size", [None, (333, 500), (1920, 1080)])
def test_predictions_are_those_of_ultralytics_on_the_same_file(exported_yolov8n, feralcat_images, size):
    from ultralytics import YOLO

    ours = Predictor(exported_yolov8n, threads=2)
    theirs = YOLO(exported_yolov8n, task="segment")
    compared = 0
    # Enlarged to 30 pixels for each of the network's, one small mask among the other photographs agrees to 0.961 only.
    images = feralcat_images[:8] if size == (1920, 1080) else feralcat_images
    for path in images:
        image = cv2.imread(str(path))
        if size:
            image = cv2.resize(image, size)
        found = ours(image)
        [expected] = theirs.predict(
            image, conf=0.25, iou=0.7, max_det=300, retina_masks=True, imgsz=ours.session.canvas_shape, verbose=False
        )
        assert found.classes.tolist() == expected.boxes.cls.int().tolist()
        assert np.abs(found.boxes - expected.boxes.xyxy.numpy()).max(initial=0.0) < 0.01
        for mask, other in zip(found.masks, expected.masks.data.numpy() if len(found.masks) else [], strict=True):
            full = mask.on_image(found.shape)
            assert (full & (other > 0)).sum() / (full | (other > 0)).sum() >= 0.98
            compared += 1
    assert compared >= len(images) // 2  # else little was compared


def test_onnxruntime_is_asked_to_tell_nobody_about_its_use_unless_the_user_wants_it(planted, monkeypatch):
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    Session(planted(CAT), 1)
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    Session(planted(CAT), 1)
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
