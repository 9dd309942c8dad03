"""Smaller precisions of an exported model: fp16, and int8 by static quantisation.

fp16 is the converter that onnxruntime keeps (`onnxruntime.transformers.float16`, which Ultralytics uses, too), inputs
and outputs left in float32. Nothing is kept in fp32 on purpose: with the head's decoding in fp32 the accuracy was the
same in the third digit.

int8 is onnxruntime's `quantize_static` as its documentation recommends it for CPUs: QDQ, uint8 activations with ranges
from calibration images (smallest and largest value), int8 weights with a scale a channel. Weights take 7 bits of the 8
(`reduce_range`), for a CPU without VNNI instructions adds products of 8 bits with saturation. What follows the last
convolutions stays in float: there, boxes of up to 640 and scores of up to 1 come to lie in one tensor, and with one
scale for both the scores are rounded away. Measurements: `docs/decisions/0012-precisions-and-forms-of-an-export.md`.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from segsweep.errors import ExportError, MissingExtraError, Problem
from segsweep.inference.export import ExportedModel, told
from segsweep.inference.forms import FP16, INT8
from segsweep.inference.letterbox import Letterbox, Tensor
from segsweep.inference.likeness import read_image
from segsweep.inference.metadata import entries
from segsweep.storage.files import disk_errors, write_whole

CALIBRATION_IMAGES = 64

_DETECTIONS = "output0"


def calibration_images(train: Sequence[Path], count: int = CALIBRATION_IMAGES) -> list[Path]:
    """The train images that ranges are taken from: evenly spread over all, the same ones every time.

    Args:
        train: All of them, in any order.
        count: How many at most.
    """
    ordered = sorted(train)
    kept = min(count, len(ordered))
    return [ordered[index * len(ordered) // kept] for index in range(kept)]


def lower_precision(
    model: ExportedModel, out: Path, precision: str, train: Sequence[Path], about: Mapping[str, Any] | None = None
) -> ExportedModel:
    """Make the same model in a smaller precision.

    Args:
        model: An export in fp32.
        out: The file to write, whole or not at all.
        precision: `fp16` or `int8`.
        train: Images to calibrate int8 on, see `calibration_images`; not read for fp16.
        about: What else the file tells of itself, see `segsweep.inference.metadata.entries`.

    Raises:
        ExportError: There is no image to calibrate on, one cannot be read, or the conversion failed.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    onnx = _onnx()
    form = replace(model.form, precision=precision)
    facts: dict[str, Any] = dict(about or {})
    with told(model.path, f"could not be converted to {precision}"), disk_errors(str(out)):
        if precision == FP16:
            images: list[Path] = []
            lowered = _half(onnx.load(str(model.path)))
        elif precision == INT8:
            images = calibration_images(train)
            facts["calibration"] = {"images": len(images), "split": "train", "ranges": "smallest and largest value"}
            lowered = _quantized(model, images)
        else:
            raise ValueError(f"{precision} is no smaller precision")
        kept = {item.key: item.value for item in onnx.load(str(model.path)).metadata_props}
        del lowered.metadata_props[:]
        onnx.helper.set_model_props(lowered, {**kept, **entries(form, facts)})
        onnx.checker.check_model(lowered, full_check=True)
        data: bytes = lowered.SerializeToString(deterministic=True)
    write_whole(out, data)
    return replace(
        model,
        path=out,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        precision=precision,
        calibration_images=len(images),
    )


def decoding_nodes(graph: Any) -> list[str]:
    """Names of the nodes between the last convolutions and the detections, in the graph's order.

    The convolution that weighs the bins of a side (`DFL`, a constant) belongs to them. It is the one without a bias.
    """
    makers = {name: node for node in graph.node for name in node.output}
    found: set[str] = set()
    to_visit = [_DETECTIONS]
    while to_visit:
        node = makers.get(to_visit.pop())
        if node is None or node.name in found or (node.op_type == "Conv" and len(node.input) == 3):
            continue
        found.add(node.name)
        to_visit += list(node.input)
    return [node.name for node in graph.node if node.name in found]


def _half(model: Any) -> Any:
    from onnxruntime.quantization.onnx_model import ONNXModel  # noqa: PLC0415  (extra `train`)
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    # The converter puts its casts at the end; ONNX wants nodes after what they read.
    sorted_model = ONNXModel(convert_float_to_float16(model, keep_io_types=True))
    sorted_model.topological_sort()
    return sorted_model.model


def _quantized(model: ExportedModel, images: Sequence[Path]) -> Any:
    if not images:
        rule, fix = "int8 needs train images to calibrate on", "prepare the bundle with a train split, or export fp16"
        raise ExportError(Problem("--precision int8", rule, value="the dataset's train split has none", fix=fix))
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static  # noqa: PLC0415  (extra `train`)
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    onnx = _onnx()
    with tempfile.TemporaryDirectory(prefix="segsweep-quantize-") as folder, _quiet():
        prepared, made = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(str(model.path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(made),
            Calibration(images, model.imgsz),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=decoding_nodes(onnx.load(str(prepared)).graph),
        )
        return onnx.load(str(made))


class Calibration:
    """A `CalibrationDataReader` of onnxruntime by its one method: a letterboxed image each time, None at the end.

    Args:
        images: Image files.
        imgsz: Side of the square input in pixels.
    """

    def __init__(self, images: Sequence[Path], imgsz: int) -> None:
        self._images = iter(images)
        self._imgsz = imgsz

    def get_next(self) -> dict[str, Tensor] | None:
        """The next image as the network's input, float32 [1, 3, imgsz, imgsz].

        Raises:
            ExportError: It cannot be read.
        """
        path = next(self._images, None)
        if path is None:
            return None
        image = read_image(path)
        canvas = np.empty((1, 3, self._imgsz, self._imgsz), np.float32)
        letterbox = Letterbox.fit((image.shape[0], image.shape[1]), (self._imgsz, self._imgsz))
        letterbox.prepare(image, canvas)
        return {"images": canvas}


def _onnx() -> Any:
    try:
        import onnx  # noqa: PLC0415  (extra `train`)
        import onnxruntime  # noqa: F401, PLC0415
    except ImportError as exc:
        fix = "pip install 'segsweep[train]'"
        raise MissingExtraError(Problem("onnx and onnxruntime", "are needed", fix=fix)) from exc
    return onnx


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back hints on quantisation, which go to the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
