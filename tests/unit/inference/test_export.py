"""Export and parity: slow parts on a network of random weights, the verdict on made-up figures."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from segsweep.dataset.environment import prepare_ultralytics
from segsweep.errors import ExportError
from segsweep.inference.export import Parity, export_onnx, measure_parity
from segsweep.inference.forms import Form
from segsweep.inference.likeness import measure_likeness
from segsweep.inference.predictor import Predictor, Session

PARITY = Parity(
    images=4,
    instances=9,
    unpaired=0,
    raw_max_abs_difference=4e-3,
    score_max_abs_difference=1e-5,
    box_max_abs_difference_px=4e-3,
    prototype_max_abs_difference=1e-5,
    mask_iou_min=0.99,
    mask_iou_mean=0.999,
)


@pytest.mark.parametrize(
    ("parity", "holds"),
    [
        pytest.param(PARITY, True, id="as measured"),
        pytest.param(replace(PARITY, score_max_abs_difference=1e-2), False, id="scores differ"),
        pytest.param(replace(PARITY, mask_iou_mean=0.985), False, id="masks differ"),
        pytest.param(replace(PARITY, unpaired=1), False, id="an object is found by one alone"),
        pytest.param(replace(PARITY, instances=80, unpaired=1), True, id="one of many lies on a threshold"),
        pytest.param(replace(PARITY, mask_iou_mean=None, mask_iou_min=None, instances=0), True, id="nothing found"),
    ],
)
def test_parity_holds_within_its_tolerances(parity, holds):
    assert parity.holds is holds


@pytest.fixture(scope="module")
def scratch_weights(tmp_path_factory):
    """yolov8n-seg of random weights."""
    folder = tmp_path_factory.mktemp("scratch")
    prepare_ultralytics(folder / "cache")
    from ultralytics import YOLO

    model = YOLO("yolov8n-seg.yaml")
    model.save(folder / "scratch.pt")
    return folder / "scratch.pt"


@pytest.mark.slow(reason="traces a real network")
@pytest.mark.timeout(120)
def test_the_same_weights_give_the_same_bytes_and_the_same_outputs(scratch_weights, tmp_path):
    first = export_onnx(scratch_weights, tmp_path / "one.onnx", 64)
    second = export_onnx(scratch_weights, tmp_path / "two.onnx", 64)
    assert first.sha256 == second.sha256
    assert (first.opset, first.precision, first.size_bytes) == (17, "fp32", (tmp_path / "one.onnx").stat().st_size)
    assert Session(first.path, threads=1).canvas_shape == (64, 64)
    assert not list(tmp_path.glob(".*"))

    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 256, (48, 80, 3), np.uint8))
    parity = measure_parity(scratch_weights, first.path, [picture], threads=1)
    assert parity.holds
    assert 0.0 < parity.raw_max_abs_difference < 1e-2
    assert parity.images == 1


@pytest.mark.slow(reason="imports torch")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut short"])
def test_weights_that_are_no_checkpoint_are_named(tmp_path, content):
    prepare_ultralytics(tmp_path / "cache")
    weights = tmp_path / "best.pt"
    weights.write_bytes(content)
    with pytest.raises(ExportError, match=r"best\.pt.*must be a YOLOv8-seg checkpoint"):
        export_onnx(weights, tmp_path / "model.onnx", 64)
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.slow(reason="imports torch")
@pytest.mark.timeout(60)
def test_code_in_a_checkpoint_is_not_run(tmp_path):
    import torch

    class Payload:
        def __reduce__(self):
            return open, (str(tmp_path / "written-by-the-checkpoint"), "w")

    prepare_ultralytics(tmp_path / "cache")
    torch.save({"model": Payload()}, tmp_path / "best.pt")
    with pytest.raises(ExportError):
        export_onnx(tmp_path / "best.pt", tmp_path / "model.onnx", 64)
    assert not (tmp_path / "written-by-the-checkpoint").exists()


@pytest.mark.slow(reason="imports torch and builds a detector")
@pytest.mark.timeout(60)
def test_a_detector_is_refused(tmp_path):
    prepare_ultralytics(tmp_path / "cache")
    from ultralytics import YOLO

    YOLO("yolov8n.yaml").save(tmp_path / "best.pt")
    with pytest.raises(ExportError, match="task = detect: must be a segmentation model"):
        export_onnx(tmp_path / "best.pt", tmp_path / "model.onnx", 64)


@pytest.mark.parametrize("imgsz", [0, 100, -32])
def test_a_size_that_the_network_does_not_take_is_refused(tmp_path, imgsz):
    with pytest.raises(ExportError, match=rf"imgsz = {imgsz}: must be a multiple of 32 pixels"):
        export_onnx(tmp_path / "best.pt", tmp_path / "model.onnx", imgsz)


@pytest.mark.data
@pytest.mark.slow(reason="exports a real network with NMS inside")
@pytest.mark.timeout(300)
def test_with_nms_inside_and_dynamic_shapes_the_same_objects_are_found(
    data_folder, exported_yolov8n, feralcat_images, tmp_path
):
    weights, form = data_folder / "weights" / "yolov8n-seg.pt", Form(dynamic=True, nms=True)
    made = export_onnx(weights, tmp_path / form.file_name, 256, form, {"trial": "t0007"})
    assert (made.form, Session(made.path, 1).canvas_shape) == (form, (256, 256))
    like = measure_likeness(exported_yolov8n, made.path, feralcat_images[:8], threads=2)
    assert (like.shared, like.added) == (like.objects, 0)
    assert like.objects >= 4
    assert like.mask_iou_min is not None
    assert like.mask_iou_min > 0.99
    other = Predictor(made.path, 2, canvas_shape=(192, 320))
    assert any(len(other(cv2.imread(str(path))).masks) for path in feralcat_images[:8])


@pytest.mark.data
@pytest.mark.slow(reason="runs a real network under both runtimes")
@pytest.mark.timeout(120)
def test_real_weights_find_the_same_instances_under_both_runtimes(data_folder, exported_yolov8n, feralcat_images):
    parity = measure_parity(
        data_folder / "weights" / "yolov8n-seg.pt", exported_yolov8n, feralcat_images[:4], threads=2
    )
    assert parity.holds
    assert parity.unpaired == 0
    assert parity.instances >= 4
    assert parity.mask_iou_min is not None
    assert parity.mask_iou_min > 0.99
