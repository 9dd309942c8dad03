"""Segmentation with an exported model, on onnxruntime, NumPy and OpenCV alone: no torch, no ultralytics.

predictor = Predictor(Path("model.onnx"), threads=2)
prediction = predictor(cv2.imread("cat.jpg"))
"""

from __future__ import annotations

import copy
import importlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segsweep.errors import ConfigError, MissingExtraError, Problem
from segsweep.inference.decode import Detections, Thresholds, decode, read_suppressed
from segsweep.inference.forms import STRIDE
from segsweep.inference.letterbox import Image, Letterbox, Tensor
from segsweep.inference.masks import Mask, assemble
from segsweep.inference.metadata import check_input, class_names, has_nms, image_size, nms_inside

RUNTIME = "onnxruntime"
CPU = ("CPUExecutionProvider",)


@dataclass(frozen=True)
class StageTimes:
    """Wall time of one image in ms: letterbox, network, and everything after it."""

    prepare_ms: float
    forward_ms: float
    postprocess_ms: float

    @property
    def total_ms(self) -> float:
        """End to end, from the decoded image to its masks."""
        return self.prepare_ms + self.forward_ms + self.postprocess_ms


@dataclass(frozen=True)
class Prediction:
    """Instances found in one image, best first.

    Attributes:
        boxes: Corners x1, y1, x2, y2 in pixels of the image, float32 [n, 4].
        scores: 0-1, float32 [n].
        classes: Class indices, int64 [n].
        masks: n masks at the resolution of the image.
        shape: Height and width of the image in pixels.
        times: How long it took.
    """

    boxes: Tensor
    scores: Tensor
    classes: NDArray[np.int64]
    masks: tuple[Mask, ...]
    shape: tuple[int, int]
    times: StageTimes


class Session:
    """An ONNX segmentation model, loaded, with its number of threads pinned.

    Attributes:
        path: The file.
        canvas_shape: Height and width of the network's input in pixels.
        names: Class names by index.
        has_nms: Whether non-maximum suppression is part of the network.
        nms: What that was made with; None where there is none, or where the file does not say.
        runtime_version: Version of onnxruntime.
        provider: What executes the network.

    Args:
        path: A YOLOv8-seg ONNX file as `segsweep export` writes it, or Ultralytics' export: with a batch of 1, or with
            dynamic shapes; with or without NMS inside.
        threads: Threads of one operator; operators run one after another.
        providers: What may execute the network, in order of preference, by onnxruntime's names.
        canvas_shape: Height and width of the input of a file with dynamic shapes; what the file was made for where
            absent.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ConfigError: The file is not such a model or does not take that input, or this onnxruntime lacks a provider.
    """

    def __init__(
        self,
        path: Path,
        threads: int,
        providers: Sequence[str] = CPU,
        canvas_shape: tuple[int, int] | None = None,
    ) -> None:
        runtime, failures = load_runtime()
        available = runtime.get_available_providers()
        if lacking := [name for name in providers if name not in available]:
            rule = f"must be among those of this onnxruntime: {', '.join(available)}"
            raise ConfigError(Problem("providers", rule, value=", ".join(lacking)))
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(_named(path), options, providers=list(providers))
        except failures as exc:
            fix = "export it with `segsweep export`"
            raise ConfigError(Problem(str(path), "must be an ONNX model that onnxruntime loads", fix=fix)) from exc
        metadata = self._session.get_modelmeta().custom_metadata_map
        inputs = [tuple(node.shape) for node in self._session.get_inputs()]
        outputs = [tuple(node.shape) for node in self._session.get_outputs()]
        self.has_nms = has_nms(metadata)
        if not _is_segmentation(inputs, outputs, self.has_nms):
            raise ConfigError(
                Problem(
                    str(path),
                    "must be a YOLOv8-seg model: images [1, 3, H, W] to [1, 4 + classes + P, A] and [1, P, H/4, W/4]",
                    "inputs and outputs",
                    f"{inputs} to {outputs}",
                )
            )
        check_input(metadata, str(path))
        self.path = path
        self.nms = nms_inside(metadata)
        self.canvas_shape = _canvas_shape(path, inputs[0][2:], image_size(metadata), canvas_shape)
        self.names = _names(class_names(metadata), None if self.has_nms else outputs[0][1] - 4 - outputs[1][1])
        if not self.names:
            raise ConfigError(Problem(str(path), "must name its classes: NMS is inside, its outputs do not", "names"))
        self.runtime_version: str = runtime.__version__
        self.provider: str = self._session.get_providers()[0]
        self._input = self._session.get_inputs()[0].name
        self._is_half = self._session.get_inputs()[0].type == "tensor(float16)"

    def __call__(self, canvas: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network on float32 [1, 3, H, W]: raw detections [1, 4 + c + p, A], prototypes [1, p, H/4, W/4].

        A network with NMS inside gives [1, N, 6 + p] in place of raw detections, see `decode.read_suppressed`. One that
        takes and gives float16 is converted for; what it gives is float32 all the same.
        """
        given = canvas.astype(np.float16) if self._is_half else canvas
        first, second = self._session.run(None, {self._input: given})
        return first.astype(np.float32, copy=False), second.astype(np.float32, copy=False)


class Predictor:
    """Image in, instances out.

    Args:
        path: See `Session`.
        threads: Threads for the network and for OpenCV; NumPy's are set by the environment before it is imported.
        thresholds: What becomes a detection.
        clock: Seconds; only differences are used.
        canvas_shape: See `Session`.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ConfigError: The file is not a YOLOv8-seg model, or has NMS inside that was made with other thresholds.
    """

    def __init__(
        self,
        path: Path,
        threads: int = 1,
        thresholds: Thresholds | None = None,
        clock: Callable[[], float] = time.perf_counter,
        canvas_shape: tuple[int, int] | None = None,
    ) -> None:
        self.session = Session(path, threads, canvas_shape=canvas_shape)
        self.thresholds = thresholds or Thresholds()
        self._clock = clock
        self._canvas = np.empty((1, 3, *self.session.canvas_shape), np.float32)
        cv2.setNumThreads(threads)

    @property
    def thresholds(self) -> Thresholds:
        """What becomes a detection."""
        return self._thresholds

    @thresholds.setter
    def thresholds(self, asked: Thresholds) -> None:
        _check_thresholds(self.session, asked)
        self._thresholds = asked

    def twin(self) -> Predictor:
        """Another predictor on the same loaded network, for a thread of its own: the two may work at the same time."""
        other = copy.copy(self)
        other._canvas = np.empty_like(self._canvas)
        return other

    def __call__(self, image: Image) -> Prediction:
        """Segment one image.

        Args:
            image: BGR as OpenCV reads it, uint8 [height, width, 3], any size.

        Raises:
            ValueError: The array is not such an image.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise ValueError(f"an image is uint8 [height, width, 3], not {image.dtype} {list(image.shape)}")
        started = self._clock()
        shape = (int(image.shape[0]), int(image.shape[1]))
        letterbox = Letterbox.fit(shape, self.session.canvas_shape)
        letterbox.prepare(image, self._canvas)
        prepared = self._clock()
        raw, prototypes = self.session(self._canvas)
        forwarded = self._clock()
        if self.session.has_nms:
            detections = read_suppressed(raw, self.thresholds)
        else:
            detections = decode(raw, prototypes.shape[1], self.thresholds)
        boxes, scores, classes, masks = finish(detections, prototypes, letterbox)
        times = (prepared - started, forwarded - prepared, self._clock() - forwarded)
        return Prediction(boxes, scores, classes, masks, shape, StageTimes(*(1e3 * seconds for seconds in times)))


def postprocess(
    raw: Tensor, prototypes: Tensor, letterbox: Letterbox, thresholds: Thresholds
) -> tuple[Tensor, Tensor, NDArray[np.int64], tuple[Mask, ...]]:
    """Raw outputs to boxes [n, 4] in image pixels, scores [n], classes [n] and masks; empty masks are dropped."""
    return finish(decode(raw, prototypes.shape[1], thresholds), prototypes, letterbox)


def finish(
    found: Detections, prototypes: Tensor, letterbox: Letterbox
) -> tuple[Tensor, Tensor, NDArray[np.int64], tuple[Mask, ...]]:
    """Detections to boxes [n, 4] in image pixels, scores [n], classes [n] and masks; empty masks are dropped."""
    boxes = letterbox.to_image(found.boxes)
    masks = assemble(found.coefficients, prototypes, boxes, letterbox)
    kept = np.flatnonzero([mask.area > 0 for mask in masks])
    return boxes[kept], found.scores[kept], found.classes[kept], tuple(masks[i] for i in kept)


def load_runtime() -> tuple[Any, tuple[type[Exception], ...]]:
    """The module onnxruntime, and every exception it raises for a file that it cannot load or run.

    Raises:
        MissingExtraError: It is not installed.
    """
    # Since 1.31 it tells its maker about its use on Linux, too, unless this is set before it is imported; its own
    # `disable_telemetry_events` comes too late for the identifier that it leaves in the temporary folder.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        runtime = importlib.import_module("onnxruntime")
        raised = vars(importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")).values()
    except ImportError as exc:
        raise MissingExtraError(
            Problem(RUNTIME, "is needed to run exported models", fix="pip install 'segsweep[edge]'")
        ) from exc
    return runtime, tuple(kind for kind in raised if isinstance(kind, type) and issubclass(kind, Exception))


def _named(path: Path) -> str | bytes:
    """The file as onnxruntime takes it: by name, or by content where its name is no UTF-8."""
    name = str(path)
    return path.read_bytes() if name != name.encode(errors="replace").decode() else name


def _is_segmentation(inputs: list[tuple[Any, ...]], outputs: list[tuple[Any, ...]], has_nms: bool) -> bool:
    if [len(shape) for shape in inputs] != [4] or [len(shape) for shape in outputs] != [3, 4]:
        return False
    (batch, channels, *sides), (detections, prototypes) = inputs[0], outputs
    if channels != 3 or not isinstance(prototypes[1], int):
        return False
    if any(isinstance(one, int) and one != 1 for one in (batch, detections[0], prototypes[0])):
        return False
    if all(isinstance(side, int) for side in sides) and prototypes[2:] != tuple(side // 4 for side in sides):
        return False
    if has_nms:
        return bool(detections[2] == 6 + prototypes[1])
    return isinstance(detections[1], int) and detections[1] > 4 + prototypes[1]


def _canvas_shape(
    path: Path, sides: tuple[Any, ...], made_for: tuple[int, int], asked: tuple[int, int] | None
) -> tuple[int, int]:
    """Height and width of the input: the file's, and of one with dynamic shapes what is asked for.

    Raises:
        ConfigError: The file has another size, or the network does not take the size.
    """
    fixed = all(isinstance(side, int) for side in sides)
    own = (int(sides[0]), int(sides[1])) if fixed else made_for
    shape = asked or own
    if fixed and shape != own:
        fix = "export it with `--dynamic`"
        told = "x".join(map(str, own))
        raise ConfigError(Problem(str(path), f"takes images of {told} pixels only", "imgsz", f"{shape}", fix))
    if not fixed and any(side < STRIDE or side % STRIDE for side in shape):
        raise ConfigError(Problem(str(path), f"sides must be multiples of {STRIDE} pixels", "imgsz", f"{shape}"))
    return shape


def _check_thresholds(session: Session, asked: Thresholds) -> None:
    """Raise when NMS inside the file cannot give what is asked for.

    Raises:
        ConfigError: It has dropped already what would have to be found; everything that does not fit is told.
    """
    if not session.has_nms:
        return
    inside = session.nms or asked
    rules = (
        ("conf", f"must be at least {inside.conf:g}", asked.conf, asked.conf >= inside.conf),
        ("iou", f"must be {inside.iou:g}", asked.iou, asked.iou == inside.iou),
        ("max_det", f"must be at most {inside.max_det}", asked.max_det, asked.max_det <= inside.max_det),
        ("multi_label", "must be off: a box is of its best class", asked.multi_label, not asked.multi_label),
    )
    fix = "NMS is inside this file; take the one without"
    problems = [
        Problem(str(session.path), rule, name, f"{value}", fix) for name, rule, value, holds in rules if not holds
    ]
    if problems:
        raise ConfigError(problems)


def _names(told: dict[int, str], count: int | None) -> tuple[str, ...]:
    """Class names from the file's metadata, `class0` and so on where it has none that fit.

    Args:
        told: Names by index.
        count: Number of classes; None where the network does not tell.
    """
    indices = range(len(told) if count is None else count)
    if all(index in told for index in indices):
        return tuple(told[index] for index in indices)
    return tuple(f"class{index}" for index in indices)
