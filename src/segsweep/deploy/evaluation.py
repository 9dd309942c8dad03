"""What an evaluation says: the protocol, the figures of every model, and how they are written down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from segsweep.core import confusion
from segsweep.core.average_precision import RECALLS, OperatingPoint
from segsweep.deploy.cityscapes import CityscapesFigures
from segsweep.deploy.second_evaluator import NAME, SecondOpinion
from segsweep.inference.decode import Thresholds

THRESHOLDS = Thresholds(conf=0.001, iou=0.7, max_det=300, multi_label=True)
PROTOCOL: Mapping[str, Any] = {
    "version": 2,
    "conf": THRESHOLDS.conf,
    "nms_iou": THRESHOLDS.iou,
    "max_det": THRESHOLDS.max_det,
    "multi_label": THRESHOLDS.multi_label,
    "mask_resolution": "the image's own, as it lies in the bundle",
    "true_box": "the rectangle around the true mask",
    "input": "square letterbox",
    "classes": "matched by name; what is found of others is dropped before suppression",
    "average_precision": "COCO's: 101 recalls, IoU 0.50:0.95:0.05, mean over the classes that occur",
    "operating_point": "the score with the best F1 of mean precision and mean recall, IoU 0.5",
    "interval": "percentile bootstrap over images, 95 %",
    "second_judge": NAME,
    "precision_curves": "COCO's: precision at 101 recalls, made to fall, so that the mean of a curve is the AP; at IoU "
    "0.5, and the mean of the curves at IoU 0.50:0.95:0.05; the mean over the classes that occur",
    "confusion": "Ultralytics': detections above the score, best first, take the free object they overlap most, "
    "whatever its class, above the IoU; rows are predicted, columns true, the last of each is the background",
    "confusion_conf": confusion.CONF,
    "confusion_iou": confusion.IOU,
    "image_score": "F1 of the image's objects at the operating point of masks, mean over IoU 0.50:0.95:0.05",
}


@dataclass(frozen=True)
class EvaluateOptions:
    """How to evaluate.

    Attributes:
        split: `train`, `val` or `test`.
        threads: CPU threads, at least 1.
        resamples: Draws of the bootstrap; 0 leaves the interval out.
        seed: Of the draws.
        classes: Names of the bundle's classes by those of models, where the two differ; see `match_classes`.
        cityscapes: Folder of Cityscapes' original labels, to judge by its own metric too.
        command: The command line that asks for this, told to the reader; may be empty.
    """

    split: str = "test"
    threads: int = 1
    resamples: int = 1000
    seed: int = 0
    classes: Mapping[str, str] = field(default_factory=dict)
    cityscapes: Path | None = None
    command: str = ""


@dataclass(frozen=True)
class Curves:
    """Precision at each of `RECALLS`, 0-1, to six digits; NaN where the split holds no object.

    Attributes:
        iou50: At IoU 0.5; its mean is the mAP50.
        iou50_95: Mean of the curves at IoU 0.50:0.95:0.05; its mean is the mAP50-95.
    """

    iou50: tuple[float, ...]
    iou50_95: tuple[float, ...]


@dataclass(frozen=True)
class ClassFigures:
    """One class that occurs; APs, precision and recall 0-1.

    Attributes:
        name: Of the bundle.
        objects: In the split.
        box_map50: Of boxes.
        box_map50_95: Of boxes.
        mask_map50: Of masks.
        mask_map50_95: Of masks.
        box_precision: At the model's operating point of boxes.
        box_recall: Likewise.
        mask_precision: At the model's operating point of masks.
        mask_recall: Likewise.
        box_curves: Precision by recall.
        mask_curves: Likewise.
    """

    name: str
    objects: int
    box_map50: float
    box_map50_95: float
    mask_map50: float
    mask_map50_95: float
    box_precision: float
    box_recall: float
    mask_precision: float
    mask_recall: float
    box_curves: Curves
    mask_curves: Curves


@dataclass(frozen=True)
class ImageScore:
    """One image as a model understands it.

    Attributes:
        file: Its path in the bundle.
        f1: 0-1, see `PROTOCOL`.
    """

    file: str
    f1: float


@dataclass(frozen=True)
class Figures:
    """One model on the split.

    Attributes:
        label: The model's name here.
        path: The ONNX file.
        sha256: Of that file.
        imgsz: Sides of its input, pixels, height and width.
        remarks: What is to be known of its classes, in sentences without the model's name; often none.
        renamed: Its classes that are called otherwise in the bundle, and how.
        dropped: Its classes that the bundle lacks; what it finds of them is left out.
        missed: Classes of the bundle that it does not know; their objects count as missed.
        box_map50: Of boxes, 0-1; like all mAPs NaN, in JSON null, where the split holds no object.
        box_map50_95: Of boxes.
        mask_map50: Of masks.
        mask_map50_95: Of masks.
        mask_map50_95_interval: Ends of its 95 % interval; None where left out.
        operating_point: Best F1 of masks.
        box_operating_point: Best F1 of boxes.
        box_curves: Mean over the classes that occur.
        mask_curves: Likewise.
        box_confusion: Objects by predicted class (rows) and true class (columns), background last.
        mask_confusion: Likewise, by overlap of masks.
        classes: Each that occurs.
        worst: Images with the lowest scores, the lowest first.
        best: Images with the highest scores, the highest first; none of `worst`.
        second: The second judge's figures.
        largest_gap: Largest difference between its mAP50 and mAP50-95 and ours.
        cityscapes: Cityscapes' own metric; None where it was not asked for.
    """

    label: str
    path: Path
    sha256: str
    imgsz: tuple[int, int]
    remarks: tuple[str, ...]
    renamed: Mapping[str, str]
    dropped: tuple[str, ...]
    missed: tuple[str, ...]
    box_map50: float
    box_map50_95: float
    mask_map50: float
    mask_map50_95: float
    mask_map50_95_interval: tuple[float, float] | None
    operating_point: OperatingPoint
    box_operating_point: OperatingPoint
    box_curves: Curves
    mask_curves: Curves
    box_confusion: tuple[tuple[int, ...], ...]
    mask_confusion: tuple[tuple[int, ...], ...]
    classes: tuple[ClassFigures, ...]
    worst: tuple[ImageScore, ...]
    best: tuple[ImageScore, ...]
    second: SecondOpinion
    largest_gap: float
    cityscapes: CityscapesFigures | None = None


@dataclass(frozen=True)
class Evaluated:
    """All models on the split.

    Attributes:
        dataset: The bundle's directory name.
        digest: Its digest.
        names: Its classes.
        options: How.
        images: Images of the split.
        objects: Objects in them.
        models: In the order given.
    """

    dataset: str
    digest: str
    names: tuple[str, ...]
    options: EvaluateOptions
    images: int
    objects: int
    models: tuple[Figures, ...]

    def to_json(self) -> dict[str, Any]:
        """For `--json` and `evaluation.json`."""
        facts = {"schema": 2, "protocol": dict(PROTOCOL), "recalls": RECALLS, **asdict(self)}
        return dict(_without_nan(facts))

    def to_text(self) -> str:
        """For a terminal."""
        head = ("model", "px", "box mAP50-95", "mask mAP50", "mask mAP50-95", "95 % interval", NAME)
        rows = [head, *(_row(one) for one in self.models)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        title = f"{self.options.split} of {self.dataset}: {self.images} images, {self.objects} objects"
        remarks = [f"{one.label}: {remark}" for one in self.models for remark in one.remarks]
        own = [
            f"{one.label}: Cityscapes' own AP {_digits(one.cityscapes.ap)}, AP50% {_digits(one.cityscapes.ap50)}"
            for one in self.models
            if one.cityscapes is not None
        ]
        return "\n".join([title, *lines, *own, *remarks])


def one_list_a_line(json_text: str) -> str:
    """JSON with every list of numbers on one line, for those who look into it."""
    return re.sub(r"\[[\s\d.,eE+-]*\]", lambda found: " ".join(found[0].split()), json_text)


def _row(one: Figures) -> tuple[str, ...]:
    ends = one.mask_map50_95_interval
    interval = "-" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"
    second = one.second.mask["map50_95"]
    ours = (f"{value:.4f}" for value in (one.box_map50_95, one.mask_map50, one.mask_map50_95))
    return (one.label, "x".join(map(str, one.imgsz)), *ours, interval, _digits(second))


def _digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and np.isnan(value) else value
