"""One fresh process of `segsweep compare`: one model with one number of threads, over all images.

`python -m segsweep.deploy.compare_run` reads an `Order` as JSON from its standard input and writes one line of JSON to
its standard output: what the model is (no images in the order), or what was measured, a `ProcessRun`. A model that
breaks a rule gives `{"problems": [...]}` and exit status 2.

An ONNX file runs through `segsweep.inference.predictor`, a checkpoint through Ultralytics with torch on the CPU. Both
get the same decoded pictures, a square letterbox of their own size, and give masks at the image's resolution.
"""

from __future__ import annotations

import itertools
import json
import pickle
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from segsweep.dataset.environment import prepare_ultralytics
from segsweep.dataset.pictures.picture import read_picture
from segsweep.deploy.agreement import Found, encode_found
from segsweep.deploy.comparison import ProcessRun
from segsweep.errors import ConfigError, Problem, SegsweepError
from segsweep.inference.decode import Thresholds
from segsweep.inference.letterbox import Image
from segsweep.inference.machine import cpu_times, load_average, others_cpus
from segsweep.inference.masks import Mask
from segsweep.inference.predictor import RUNTIME, Predictor, StageTimes

CHECKPOINT = ".pt"
WARMUP = 3  # images before the first that counts
LEAST_SAMPLES = 20  # images are taken again until there are so many

_IOU, _MAX_DET = 0.7, 300
_IMGSZ = 640
_UPSTREAM_ERRORS = (
    *(RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError, AssertionError, OSError, EOFError),
    *(ImportError, pickle.UnpicklingError),
)


@dataclass(frozen=True)
class Order:
    """What a process does.

    Attributes:
        model: The ONNX file or checkpoint.
        threads: CPU threads.
        conf: A score must be above this, 0-1.
        cache_dir: This node's cache, for Ultralytics' settings.
        images: Image files; none asks what the model is, and whether it runs.
        found: File to write the objects to, a line an image; empty where there are no images.
    """

    model: str
    threads: int
    conf: float
    cache_dir: str
    images: tuple[str, ...] = ()
    found: str = ""


class Subject(Protocol):
    """A loaded model.

    Attributes:
        names: Class names by index.
        runtime: What executes the network.
        version: Its version.
        provider: Its execution provider or device.
        canvas: Height and width of the network's input in pixels.
    """

    names: tuple[str, ...]
    runtime: str
    version: str
    provider: str
    canvas: tuple[int, int]

    def __call__(self, picture: Image) -> tuple[StageTimes, Callable[[], list[Found]]]:
        """Segment a picture, BGR uint8 [height, width, 3]; objects are given on demand, so that nobody times that."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Do what standard input orders."""
    del argv
    try:
        told = carry_out(Order(**json.load(sys.stdin)))
    except ConfigError as exc:
        sys.stdout.write(json.dumps({"problems": [asdict(problem) for problem in exc.problems]}) + "\n")
        return exc.exit_code
    except SegsweepError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


def carry_out(order: Order, clock: Callable[[], float] = time.perf_counter) -> dict[str, Any]:
    """What the process tells.

    Args:
        order: What to do.
        clock: Seconds; only differences are used.

    Raises:
        ConfigError: The model is none that runs here.
        MissingExtraError: What it needs is not installed.
        DatasetError: An image cannot be read any more.
    """
    began = clock()
    subject: Subject = _Checkpoint(order) if Path(order.model).suffix == CHECKPOINT else _Onnx(order)
    loading_ms = 1e3 * (clock() - began)
    if not order.images:
        with _told(order.model):
            subject(np.zeros((480, 640, 3), np.uint8))[1]()
        return {"names": subject.names}
    for path in itertools.islice(itertools.cycle(order.images), WARMUP):
        subject(read_picture(Path(path)))
    load_before, cpu_before = load_average(), cpu_times()
    own_before, started = time.process_time(), time.perf_counter()
    samples = _take_samples(subject, order, clock)
    own_s, wall_s = time.process_time() - own_before, time.perf_counter() - started
    return asdict(
        ProcessRun(
            samples_ms=samples,
            runtime=subject.runtime,
            runtime_version=subject.version,
            provider=subject.provider,
            canvas=subject.canvas,
            loading_ms=loading_ms,
            peak_memory_bytes=peak_memory_bytes(),
            load_before=load_before,
            load_after=load_average(),
            others_cpus=others_cpus(cpu_before, cpu_times(), own_s, wall_s),
        )
    )


def _take_samples(
    subject: Subject, order: Order, clock: Callable[[], float]
) -> tuple[tuple[float, float, float, float, float], ...]:
    """Every image once, its objects written, and then again until there are enough; ms by `comparison.COLUMNS`."""
    samples: list[tuple[float, float, float, float, float]] = []
    with Path(order.found).open("w", encoding="ascii") as file:
        for number in range(max(len(order.images), LEAST_SAMPLES)):
            path = Path(order.images[number % len(order.images)])
            started = clock()
            picture = read_picture(path)
            read = clock()
            times, objects = subject(picture)
            done = clock()
            stages = (times.prepare_ms, times.forward_ms, times.postprocess_ms)
            samples.append((1e3 * (read - started), *stages, 1e3 * (done - started)))
            if number < len(order.images):
                file.write(encode_found(objects()) + "\n")
    return tuple(samples)


class _Onnx:
    def __init__(self, order: Order) -> None:
        self._predictor = Predictor(Path(order.model), order.threads, Thresholds(order.conf, _IOU, _MAX_DET))
        session = self._predictor.session
        self.names = session.names
        self.runtime = RUNTIME
        self.version = session.runtime_version
        self.provider = session.provider
        self.canvas = session.canvas_shape

    def __call__(self, picture: Image) -> tuple[StageTimes, Callable[[], list[Found]]]:
        done = self._predictor(picture)
        return done.times, lambda: [Found(int(kind), mask) for kind, mask in zip(done.classes, done.masks, strict=True)]


class _Checkpoint:
    def __init__(self, order: Order) -> None:
        prepare_ultralytics(Path(order.cache_dir))
        import torch  # noqa: PLC0415  (an ONNX file must not pay for it)
        import ultralytics  # noqa: PLC0415

        torch.set_num_interop_threads(1)
        with _told(order.model):
            self._yolo = ultralytics.YOLO(order.model)
            task, names = self._yolo.task, self._yolo.names
        if task != "segment":
            raise ConfigError(Problem(order.model, "must be a segmentation model", "task", str(task)))
        cv2.setNumThreads(order.threads)
        # Ultralytics sets its own number of threads when it selects the device, which is before this event.
        self._yolo.add_callback("on_predict_start", lambda _: torch.set_num_threads(order.threads))
        size = self._yolo.overrides.get("imgsz", _IMGSZ)
        height, width = (size, size) if isinstance(size, int) else size
        self.names = tuple(str(name) for _, name in sorted(names.items()))
        self.runtime = "torch"
        self.version = f"{torch.__version__}, ultralytics {ultralytics.__version__}"
        self.provider = "cpu"
        self.canvas = (int(height), int(width))
        self._options = {
            **{"imgsz": self.canvas, "conf": order.conf, "iou": _IOU, "max_det": _MAX_DET, "device": "cpu"},
            # The square that an exported model gets, and masks at the image's resolution.
            **{"rect": False, "retina_masks": True, "verbose": False, "save": False},
        }

    def __call__(self, picture: Image) -> tuple[StageTimes, Callable[[], list[Found]]]:
        (result,) = self._yolo.predict(picture, **self._options)
        speed: Mapping[str, float] = result.speed
        times = StageTimes(speed["preprocess"], speed["inference"], speed["postprocess"])
        return times, lambda: _objects(result)


def _objects(result: Any) -> list[Found]:
    """Of Ultralytics' results; empty masks are dropped, as the predictor does."""
    if result.masks is None:
        return []
    found: list[Found] = []
    for kind, plane in zip(result.boxes.cls.tolist(), result.masks.data, strict=True):
        pixels = plane.numpy().astype(np.bool_)
        rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        if rows.size:
            crop = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            found.append(Found(int(kind), Mask(int(columns[0]), int(rows[0]), crop)))
    return found


def peak_memory_bytes(status: Path = Path("/proc/self/status")) -> int:
    """Largest resident memory of this process so far.

    Args:
        status: See proc(5). Not `getrusage` where it exists: its peak may be the one of the process that started us.
    """
    try:
        lines = status.read_text().splitlines()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


@contextmanager
def _told(model: str) -> Iterator[None]:
    """What a runtime says about a model that it cannot load or run, as a problem of that model."""
    try:
        yield
    except _UPSTREAM_ERRORS as exc:
        lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
        said = f"{type(exc).__name__}: {lines[0] if lines else ''}"
        raise ConfigError(Problem(model, "must be a YOLOv8-seg model that loads and runs", value=said)) from exc


if __name__ == "__main__":
    sys.exit(main())
