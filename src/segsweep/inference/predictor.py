"""Segmentation with an exported model, on onnxruntime, NumPy and OpenCV alone: no torch, no ultralytics.

predictor = Predictor(Path("model.onnx"), threads=2)
prediction = predictor(cv2.imread("cat.jpg"))
"""

from __future__ import annotations

import ast
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
from segsweep.inference.decode import Thresholds, decode
from segsweep.inference.letterbox import Image, Letterbox, Tensor
from segsweep.inference.masks import Mask, assemble

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
        runtime_version: Version of onnxruntime.
        provider: What executes the network.

    Args:
        path: A YOLOv8-seg ONNX file with a fixed batch of 1, as `segsweep export` writes it.
        threads: Threads of one operator; operators run one after another.
        providers: What may execute the network, in order of preference, by onnxruntime's names.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ConfigError: The file is not such a model, or this onnxruntime lacks a provider.
    """

    def __init__(self, path: Path, threads: int, providers: Sequence[str] = CPU) -> None:
        runtime, failures = _onnxruntime()
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
        inputs = [tuple(node.shape) for node in self._session.get_inputs()]
        outputs = [tuple(node.shape) for node in self._session.get_outputs()]
        if not _is_segmentation(inputs, outputs):
            raise ConfigError(
                Problem(
                    str(path),
                    "must be a YOLOv8-seg model: images [1, 3, H, W] to [1, 4 + classes + P, A] and [1, P, H/4, W/4]",
                    "inputs and outputs",
                    f"{inputs} to {outputs}",
                )
            )
        self.path = path
        self.canvas_shape: tuple[int, int] = (int(inputs[0][2]), int(inputs[0][3]))
        self.names = _names(self._session.get_modelmeta().custom_metadata_map, outputs)
        self.runtime_version: str = runtime.__version__
        self.provider: str = self._session.get_providers()[0]
        self._input = self._session.get_inputs()[0].name
        self._is_half = self._session.get_inputs()[0].type == "tensor(float16)"

    def __call__(self, canvas: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network on float32 [1, 3, H, W]: raw detections [1, 4 + c + p, A], prototypes [1, p, H/4, W/4].

        A network that takes and gives float16 is converted for; what it gives is float32 all the same.
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

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ConfigError: The file is not a YOLOv8-seg model.
    """

    def __init__(
        self,
        path: Path,
        threads: int = 1,
        thresholds: Thresholds | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.session = Session(path, threads)
        self.thresholds = thresholds or Thresholds()
        self._clock = clock
        self._canvas = np.empty((1, 3, *self.session.canvas_shape), np.float32)
        cv2.setNumThreads(threads)

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
        boxes, scores, classes, masks = postprocess(raw, prototypes, letterbox, self.thresholds)
        times = (prepared - started, forwarded - prepared, self._clock() - forwarded)
        return Prediction(boxes, scores, classes, masks, shape, StageTimes(*(1e3 * seconds for seconds in times)))


def postprocess(
    raw: Tensor, prototypes: Tensor, letterbox: Letterbox, thresholds: Thresholds
) -> tuple[Tensor, Tensor, NDArray[np.int64], tuple[Mask, ...]]:
    """Raw outputs to boxes [n, 4] in image pixels, scores [n], classes [n] and masks; empty masks are dropped."""
    found = decode(raw, prototypes.shape[1], thresholds)
    boxes = letterbox.to_image(found.boxes)
    masks = assemble(found.coefficients, prototypes, boxes, letterbox)
    kept = np.flatnonzero([mask.area > 0 for mask in masks])
    return boxes[kept], found.scores[kept], found.classes[kept], tuple(masks[i] for i in kept)


def _onnxruntime() -> tuple[Any, tuple[type[Exception], ...]]:
    """The module, and every exception it raises for a file that it cannot load."""
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


def _is_segmentation(inputs: list[tuple[Any, ...]], outputs: list[tuple[Any, ...]]) -> bool:
    if [len(shape) for shape in inputs] != [4] or [len(shape) for shape in outputs] != [3, 4]:
        return False
    if not all(isinstance(side, int) for shape in (*inputs, *outputs) for side in shape):
        return False
    (batch, channels, height, width), (detections, prototypes) = inputs[0], outputs
    return (batch, channels, detections[0]) == (1, 3, 1) and (
        prototypes[2:] == (height // 4, width // 4) and detections[1] > 4 + prototypes[1]
    )


def _names(metadata: dict[str, str], outputs: list[tuple[Any, ...]]) -> tuple[str, ...]:
    """Class names from the file's metadata, `class0` and so on where it has none that fit."""
    count = outputs[0][1] - 4 - outputs[1][1]
    try:
        names = ast.literal_eval(metadata.get("names", ""))
        return tuple(str(names[index]) for index in range(count))
    except (ValueError, SyntaxError, LookupError, TypeError):
        return tuple(f"class{index}" for index in range(count))
