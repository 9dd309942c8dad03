"""Accuracy by one stated protocol, the same for every model of every report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from segsweep.core.metrics import FROM_ULTRALYTICS
from segsweep.errors import Problem, ReportError, shortened
from segsweep.inference.decode import Thresholds
from segsweep.inference.predictor import Predictor

PROTOCOL_VERSION = 1
CONF = 0.001
IOU = 0.7
MAX_DET = 300
BATCH = 4  # ground truth of a batch is held as one float mask an instance
PROTOCOL: Mapping[str, Any] = {
    "version": PROTOCOL_VERSION,
    "evaluator": "ultralytics",
    "conf": CONF,
    "nms_iou": IOU,
    "max_det": MAX_DET,
    "multi_label": True,
    "mask_resolution": "network input",
    "ground_truth": "each instance's own mask at the network's input resolution, overlaps kept",
    "input": "square letterbox, the tensor that the exported model gets",
    "precision": "fp32",
    "iou_thresholds": "0.50:0.95:0.05",
}
PROTOCOL_TEXT = (
    f"Ultralytics' evaluator on weights in fp32: confidence above {CONF}, NMS at IoU {IOU}, at most {MAX_DET} "
    "detections an image, several classes a box allowed; square letterbox input; predicted and true masks compared at "
    "the network's input resolution (not at the quarter resolution of validation during training), each instance by "
    "itself; AP by 101-point interpolation, averaged over IoU 0.50 to 0.95 in steps of 0.05 and over classes. NMS runs "
    "to its end whatever the load of the machine."
)

_UPSTREAM_ERRORS = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError, AssertionError, OSError)
_UNLIMITED_S = 1e9
_ALL = Thresholds(CONF, IOU, MAX_DET, multi_label=True)  # a file with NMS inside does not offer them


@dataclass(frozen=True)
class EvaluationPlan:
    """What is evaluated, and on what.

    Attributes:
        split: `train`, `val` or `test`.
        imgsz: Side of the square input in pixels.
        classes: The dataset's class names, in order.
        threads: Threads of torch on the CPU.
        device: As torch names it, e.g. `cpu` or `cuda:0`; `auto` is the first GPU where there is one, else the CPU.
    """

    split: str
    imgsz: int
    classes: tuple[str, ...]
    threads: int
    device: str


@dataclass(frozen=True)
class ClassAccuracy:
    """One class that has instances in the split; values 0-1, larger is better."""

    name: str
    instances: int
    box_map50_95: float
    mask_map50: float
    mask_map50_95: float


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of one model on one split; all values 0-1, larger is better.

    Precision and recall are those at the confidence with the best mean F1.

    Attributes:
        split: Evaluated split.
        images: Images in it.
        instances: Instances in it.
        box_precision: Of boxes, at IoU 0.5.
        box_recall: Of boxes, at IoU 0.5.
        box_map50: Of boxes.
        box_map50_95: Of boxes.
        mask_precision: Of masks, at IoU 0.5.
        mask_recall: Of masks, at IoU 0.5.
        mask_map50: Of masks.
        mask_map50_95: Of masks.
        classes: Each class that occurs.
        device: Where it ran.
    """

    split: str
    images: int
    instances: int
    box_precision: float
    box_recall: float
    box_map50: float
    box_map50_95: float
    mask_precision: float
    mask_recall: float
    mask_map50: float
    mask_map50_95: float
    classes: tuple[ClassAccuracy, ...]
    device: str

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready mapping."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        """Inverse of `to_json`.

        Raises:
            KeyError, TypeError: The mapping is not an evaluation.
        """
        known = {field.name: data[field.name] for field in fields(cls)}
        return cls(**{**known, "classes": tuple(ClassAccuracy(**item) for item in known["classes"])})


def evaluate(weights: Path, data_yaml: Path, plan: EvaluationPlan, progress: Callable[[str], None]) -> Evaluation:
    """Evaluate a checkpoint, or a file exported from one, on a split of a node copy by `PROTOCOL`.

    Args:
        weights: An Ultralytics YOLOv8-seg checkpoint; or an ONNX file with NMS outside, which is run by onnxruntime on
            the CPU, in its own precision.
        data_yaml: The node copy's data file.
        plan: Split, image size, threads, device.
        progress: Told every tenth of the images.

    Raises:
        ReportError: The weights are not a segmentation model of these classes, or evaluation failed.
    """
    import torch  # noqa: PLC0415  (heavy; `segsweep --help` must not pay for it)
    from ultralytics import YOLO  # noqa: PLC0415

    automatic = "cuda:0" if torch.cuda.is_available() else "cpu"
    is_exported = weights.suffix == ".onnx"
    device = "cpu" if is_exported else automatic if plan.device == "auto" else plan.device
    with _told(weights, plan.split), tempfile.TemporaryDirectory(prefix="segsweep-evaluate-") as folder:
        model: Any = str(weights)
        if is_exported:
            _check_names(weights, Predictor(weights, plan.threads, _ALL).session.names, plan)
        else:
            yolo = YOLO(weights)
            _check(weights, yolo, plan)
            model = yolo.model
        validator = _validator_class()(
            save_dir=Path(folder),
            args={
                **{"task": "segment", "mode": "val", "data": str(data_yaml), "split": plan.split, "imgsz": plan.imgsz},
                **{"conf": CONF, "iou": IOU, "max_det": MAX_DET, "batch": BATCH, "device": device},
                **{"rect": False, "plots": False, "verbose": False, "save_json": False, "workers": 0},
                # Ground truth: not shrunk by 4, and not flattened into one picture in which instances hide each other.
                **{"mask_ratio": 1, "overlap_mask": False},
            },
        )
        # Ultralytics sets its own number of threads when it selects the device, which is before this event.
        validator.add_callback("on_val_start", lambda _: torch.set_num_threads(plan.threads))
        validator.add_callback("on_val_batch_end", lambda v: _tell(v, plan.split, progress))
        validator(model=model)
    return _facts(validator, plan, device)


def _validator_class() -> Any:
    """Ultralytics' validator with masks at full resolution and NMS without its wall-clock limit."""
    from ultralytics.models.yolo.segment import SegmentationValidator  # noqa: PLC0415
    from ultralytics.utils import nms, ops  # noqa: PLC0415

    class FullResolutionValidator(SegmentationValidator):  # type: ignore[misc]
        def init_metrics(self, model: Any) -> None:
            super().init_metrics(model)
            self.process = ops.process_mask_native  # upstream only with save_json, which also wants a COCO file

        def postprocess(self, preds: Any) -> list[dict[str, Any]]:
            prototypes = preds[0][1] if isinstance(preds[0], tuple) else preds[1]
            kept = nms.non_max_suppression(
                preds[0],
                self.args.conf,
                self.args.iou,
                nc=self.nc,
                multi_label=True,
                max_det=self.args.max_det,
                max_time_img=_UNLIMITED_S,
            )
            canvas = [4 * side for side in prototypes.shape[2:]]
            return [
                {
                    "bboxes": rows[:, :4],
                    "conf": rows[:, 4],
                    "cls": rows[:, 5],
                    "masks": self.process(prototypes[i], rows[:, 6:], rows[:, :4], shape=canvas),
                }
                for i, rows in enumerate(kept)
            ]

    return FullResolutionValidator


def _check(weights: Path, model: Any, plan: EvaluationPlan) -> None:
    if model.task != "segment":
        raise ReportError(Problem(str(weights), "must be a segmentation model", "task", str(model.task)))
    _check_names(weights, [str(name) for _, name in sorted(model.names.items())], plan)


def _check_names(weights: Path, names: Sequence[str], plan: EvaluationPlan) -> None:
    if list(names) != list(plan.classes):
        raise ReportError(
            Problem(
                str(weights), f"must know the dataset's classes, {shortened(plan.classes)}", "names", shortened(names)
            )
        )


def _tell(validator: Any, split: str, progress: Callable[[str], None]) -> None:
    done, total = validator.batch_i + 1, len(validator.dataloader)
    if done == total or done % max(1, total // 10) == 0:
        progress(f"evaluating on {split}: {100 * done // total} %")


def _facts(validator: Any, plan: EvaluationPlan, device: str) -> Evaluation:
    metrics = validator.metrics
    found = metrics.results_dict
    values = {ours: float(found[theirs]) for theirs, ours in FROM_ULTRALYTICS.items() if theirs in found}
    counts = metrics.nt_per_class
    present = [int(index) for index in metrics.ap_class_index]
    classes = tuple(
        ClassAccuracy(
            plan.classes[index],
            int(counts[index]),
            float(metrics.box.ap[row]),
            float(metrics.seg.ap50[row]),
            float(metrics.seg.ap[row]),
        )
        for row, index in enumerate(present)
    )
    return Evaluation(plan.split, int(validator.seen), int(counts.sum()), **values, classes=classes, device=device)


@contextmanager
def _told(weights: Path, split: str) -> Iterator[None]:
    try:
        yield
    except _UPSTREAM_ERRORS as exc:
        first_line = str(exc).strip().partition("\n")[0]
        raise ReportError(
            Problem(str(weights), f"could not be evaluated on {split}", value=f"{type(exc).__name__}: {first_line}")
        ) from exc
