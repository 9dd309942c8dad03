"""A trial's weights to ONNX in fp32, and the proof that both say the same.

The plain file has a batch of 1, a fixed square input and NMS outside; `segsweep.inference.predictor` runs the other
forms, too. Smaller precisions are made of this file: `segsweep.inference.quantization`.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segsweep.errors import ExportError, MissingExtraError, Problem
from segsweep.inference.decode import Thresholds
from segsweep.inference.forms import FP32, PLAIN, STRIDE, Form
from segsweep.inference.letterbox import Letterbox, Tensor
from segsweep.inference.likeness import paired_ious, read_image
from segsweep.inference.metadata import INSIDE, entries
from segsweep.inference.predictor import Session, load_runtime, postprocess
from segsweep.storage.files import disk_errors, write_whole

logger = logging.getLogger(__name__)

OPSET = 17  # every onnxruntime since 1.12; newer opsets have no CUDA kernel for Resize
PARITY_THRESHOLDS = Thresholds(conf=0.05, iou=0.7, max_det=100)

# What fp32 arithmetic in another order may cost. Measured on yolov8n-seg: scores 1e-5, boxes 1e-2 px.
SCORE_TOLERANCE = 1e-3
MASK_IOU_TOLERANCE = 0.99
# An object whose score lies on the threshold, or whose box on NMS's, may fall on either side.
UNPAIRED_TOLERANCE = 0.02

# What torch, ultralytics and onnx raise for a file or a graph that they cannot use, beside errors of their own.
_UPSTREAM_ERRORS = (
    *(RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError, OSError, ArithmeticError),
    EOFError,
)


@dataclass(frozen=True)
class ExportedModel:
    """An ONNX file that `onnx.checker` accepts.

    Attributes:
        path: Where it is.
        sha256: Of its bytes; the same weights give the same bytes.
        size_bytes: Its length.
        imgsz: Side of its square input in pixels.
        opset: Of its operators.
        precision: Of its weights and arithmetic.
        dynamic: Whether batch, height and width are the caller's.
        nms: Whether NMS is inside.
        calibration_images: Train images that its ranges of int8 were taken from; 0 for other precisions.
    """

    path: Path
    sha256: str
    size_bytes: int
    imgsz: int
    opset: int = OPSET
    precision: str = FP32
    dynamic: bool = False
    nms: bool = False
    calibration_images: int = 0

    @property
    def form(self) -> Form:
        """How it is made."""
        return Form(self.precision, self.dynamic, self.nms)


@dataclass(frozen=True)
class Parity:
    """How far torch and ONNX Runtime are apart on the same pixels.

    Attributes:
        images: Images compared.
        instances: Instances that both found, paired by mask.
        unpaired: Instances that only one of them found.
        raw_max_abs_difference: Largest difference over all raw outputs of all images, in the output's own unit.
        score_max_abs_difference: The same of class scores alone, 0-1.
        box_max_abs_difference_px: The same of boxes alone, in canvas pixels.
        prototype_max_abs_difference: The same of mask prototypes alone.
        mask_iou_min: Smallest IoU of a pair; None when there is none.
        mask_iou_mean: Mean IoU of the pairs; None when there is none.
        conf: Score above which an instance was compared.
    """

    images: int
    instances: int
    unpaired: int
    raw_max_abs_difference: float
    score_max_abs_difference: float
    box_max_abs_difference_px: float
    prototype_max_abs_difference: float
    mask_iou_min: float | None
    mask_iou_mean: float | None
    conf: float = PARITY_THRESHOLDS.conf

    @property
    def holds(self) -> bool:
        """Whether the difference is what a change of arithmetic order explains."""
        iou_holds = self.mask_iou_mean is None or self.mask_iou_mean >= MASK_IOU_TOLERANCE
        objects = 2 * self.instances + self.unpaired
        same_objects = self.unpaired <= UNPAIRED_TOLERANCE * objects
        return self.score_max_abs_difference <= SCORE_TOLERANCE and iou_holds and same_objects


def export_onnx(
    weights: Path, out: Path, imgsz: int, form: Form = PLAIN, about: Mapping[str, Any] | None = None
) -> ExportedModel:
    """Export weights to an ONNX file in fp32.

    Args:
        weights: An Ultralytics YOLOv8-seg checkpoint.
        out: The file to write, whole or not at all.
        imgsz: Side of the square input in pixels, a multiple of 32; of dynamic shapes the side it is made for.
        form: Shapes and NMS; its precision must be fp32. With NMS inside the batch is 1 in any case, for Ultralytics
            unrolls its loop over images.
        about: What else the file tells of itself, see `segsweep.inference.metadata.entries`.

    Raises:
        ExportError: The weights are not a segmentation model, the size does not fit, or the graph is not valid.
        MissingExtraError: ultralytics, onnx or onnxslim is not installed.
    """
    if imgsz < STRIDE or imgsz % STRIDE:
        raise ExportError(Problem(str(weights), f"must be a multiple of {STRIDE} pixels", "imgsz", str(imgsz)))
    options: dict[str, Any] = {"imgsz": imgsz, "batch": 1, "opset": OPSET, "simplify": True, "dynamic": form.dynamic}
    if form.nms:
        options |= {"nms": True, "conf": INSIDE.conf, "iou": INSIDE.iou, "max_det": INSIDE.max_det}
    with disk_errors(str(out)), tempfile.TemporaryDirectory(prefix="segsweep-export-") as folder:
        # Ultralytics writes beside the weights, under their name.
        copy = Path(folder) / "model.pt"
        shutil.copyfile(weights, copy)
        with told(weights, "must be a YOLOv8-seg checkpoint that exports to ONNX"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer's own notes about constants in Ultralytics' code
            _segmentation_model(copy).export(format="onnx", device="cpu", verbose=False, **options)
        data = _checked(copy.with_suffix(".onnx"), weights, entries(form, about or {}))
    write_whole(out, data)
    digest = hashlib.sha256(data).hexdigest()
    return ExportedModel(out, digest, len(data), imgsz, dynamic=form.dynamic, nms=form.nms)


def measure_parity(weights: Path, onnx: Path, images: Sequence[Path], threads: int) -> Parity:
    """Compare raw outputs and masks of the two on the same letterboxed images.

    Args:
        weights: The checkpoint that was exported.
        onnx: The export.
        images: Image files, at least one.
        threads: Threads of either runtime.

    Raises:
        ExportError: A file cannot be read.
        MissingExtraError: A runtime is not installed.
    """
    import torch  # noqa: PLC0415  (heavy, and only this function needs it)

    session = Session(onnx, threads)
    torch.set_num_threads(threads)
    with told(weights, "must be a YOLOv8-seg checkpoint"):
        network = _segmentation_model(weights).model.float().eval()
    canvas = np.empty((1, 3, *session.canvas_shape), np.float32)
    gaps: list[tuple[float, float, float, float]] = []
    ious: list[float] = []
    unpaired = 0
    for path in images:
        image = read_image(path)
        letterbox = Letterbox.fit((image.shape[0], image.shape[1]), session.canvas_shape)
        letterbox.prepare(image, canvas)
        with torch.inference_mode():
            # A copy: the head of the network works in place, and `canvas` is ours.
            (expected, prototypes), _ = network(torch.from_numpy(canvas.copy()))
        torch_outputs = (expected.numpy(), prototypes.numpy())
        onnx_outputs = session(canvas)
        gaps.append(_gaps(torch_outputs, onnx_outputs))
        found, alone = _compare(torch_outputs, onnx_outputs, letterbox)
        ious += found
        unpaired += alone
    raw, box, score, prototype = np.max(gaps, axis=0)
    return Parity(
        images=len(gaps),
        instances=len(ious),
        unpaired=unpaired,
        raw_max_abs_difference=float(raw),
        score_max_abs_difference=float(score),
        box_max_abs_difference_px=float(box),
        prototype_max_abs_difference=float(prototype),
        mask_iou_min=min(ious) if ious else None,
        mask_iou_mean=float(np.mean(ious)) if ious else None,
    )


def _segmentation_model(weights: Path) -> Any:
    try:
        from ultralytics import YOLO  # noqa: PLC0415  (heavy; reads its environment at import)
    except ImportError as exc:
        raise MissingExtraError(Problem("ultralytics", "is needed", fix="pip install 'segsweep[train]'")) from exc
    model = YOLO(weights)
    if model.task != "segment":
        raise ExportError(Problem(str(weights), "must be a segmentation model", "task", str(model.task)))
    return model


def _checked(path: Path, weights: Path, facts: Mapping[str, str]) -> bytes:
    """The exported file's bytes, checked, without the clock and the training machine's paths in its metadata.

    Args:
        path: As Ultralytics wrote it.
        weights: What it was exported from.
        facts: Metadata to add.
    """
    import onnx  # noqa: PLC0415  (extra `train`)

    with told(weights, "must export to a valid ONNX graph"):
        model = onnx.load(str(path))
        onnx.checker.check_model(model, full_check=True)
    if facts["segsweep.nms"] != "null":
        for tensor in (*model.graph.input, *model.graph.output):
            tensor.type.tensor_type.shape.dim[0].dim_value = 1
    kept = {item.key: item.value for item in model.metadata_props if item.key not in ("date", "args", "description")}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {**kept, "description": "YOLOv8-seg, exported by segsweep", **facts})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _gaps(
    torch_outputs: tuple[Tensor, Tensor], onnx_outputs: tuple[Tensor, Tensor]
) -> tuple[float, float, float, float]:
    """Largest absolute differences: anywhere, in boxes, in scores, in prototypes."""
    rows = np.abs(torch_outputs[0][0] - onnx_outputs[0][0]).max(axis=1)
    prototypes = float(np.abs(torch_outputs[1] - onnx_outputs[1]).max())
    scores = rows[4 : len(rows) - torch_outputs[1].shape[1]]
    return max(float(rows.max()), prototypes), float(rows[:4].max()), float(scores.max()), prototypes


def _compare(
    torch_outputs: tuple[Tensor, Tensor], onnx_outputs: tuple[Tensor, Tensor], letterbox: Letterbox
) -> tuple[list[float], int]:
    """IoUs of paired instances, and how many had no partner."""
    _, _, classes, masks = postprocess(*torch_outputs, letterbox, PARITY_THRESHOLDS)
    _, _, other_classes, other_masks = postprocess(*onnx_outputs, letterbox, PARITY_THRESHOLDS)
    ious = paired_ious(classes, masks, other_classes, other_masks)
    return ious, len(masks) + len(other_masks) - 2 * len(ious)


@contextmanager
def told(where: Path, rule: str) -> Iterator[None]:
    """Turn what upstream raises in the block into an `ExportError` about a file.

    Args:
        where: The file.
        rule: What must hold of it.

    Raises:
        ExportError: Upstream raised.
    """
    try:
        yield
    except _upstream_errors() as exc:
        first_line = str(exc).strip().partition("\n")[0]
        raise ExportError(Problem(str(where), rule, value=f"{type(exc).__name__}: {first_line}")) from exc


def _upstream_errors() -> tuple[type[Exception], ...]:
    """Asked for only when something was raised: those of onnx and onnxruntime have no common base."""
    own: list[type[Exception]] = []
    with suppress(ImportError):
        import onnx  # noqa: PLC0415  (extra `train`)

        own += [onnx.checker.ValidationError, onnx.shape_inference.InferenceError]
    with suppress(MissingExtraError):
        own += load_runtime()[1]
    return (*_UPSTREAM_ERRORS, *own)
