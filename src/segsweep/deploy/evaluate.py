"""`segsweep evaluate`: models on a split of a bundle by one protocol, checked by a second judge.

```
OUT/evaluation.json              the figures of every model, and how they came about
OUT/ground_truth.json            the split as a COCO dataset
OUT/<model>/predictions.json     COCO results: whoever doubts a figure runs another evaluator on the two
```
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segsweep.core.average_precision import (
    Floats,
    Matched,
    OperatingPoint,
    average_precision,
    bootstrap_map,
    match,
    mean_average_precision,
    operating_point,
)
from segsweep.dataset.bundles.staging import NodeCopy
from segsweep.dataset.pictures.picture import read_picture
from segsweep.deploy.results import coco_rows
from segsweep.deploy.second_evaluator import NAME, SecondOpinion, second_opinion
from segsweep.deploy.truth import TrueObject, split_images, to_coco, true_objects
from segsweep.errors import ConfigError, Problem, shortened
from segsweep.inference.decode import Thresholds
from segsweep.inference.masks import mask_iou
from segsweep.inference.predictor import Prediction, Predictor
from segsweep.storage.files import write_whole

THRESHOLDS = Thresholds(conf=0.001, iou=0.7, max_det=300, multi_label=True)
PROTOCOL: Mapping[str, Any] = {
    "version": 1,
    "conf": THRESHOLDS.conf,
    "nms_iou": THRESHOLDS.iou,
    "max_det": THRESHOLDS.max_det,
    "multi_label": THRESHOLDS.multi_label,
    "mask_resolution": "the image's own, as it lies in the bundle",
    "true_box": "the rectangle around the true mask",
    "input": "square letterbox",
    "average_precision": "COCO's: 101 recalls, IoU 0.50:0.95:0.05, mean over the classes that occur",
    "operating_point": "the score with the best F1 of mean precision and mean recall of masks, IoU 0.5",
    "interval": "percentile bootstrap over images, 95 %",
    "second_judge": NAME,
}


@dataclass(frozen=True)
class EvaluateOptions:
    """How to evaluate.

    Attributes:
        split: `train`, `val` or `test`.
        threads: CPU threads, at least 1.
        resamples: Draws of the bootstrap; 0 leaves the interval out.
        seed: Of the draws.
    """

    split: str = "test"
    threads: int = 1
    resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class ClassFigures:
    """One class that occurs; AP 0-1."""

    name: str
    objects: int
    box_map50: float
    box_map50_95: float
    mask_map50: float
    mask_map50_95: float


@dataclass(frozen=True)
class Figures:
    """One model on the split.

    Attributes:
        label: The model's name here.
        path: The ONNX file.
        imgsz: Sides of its input, pixels, height and width.
        box_map50: Of boxes, 0-1; like all mAPs NaN, in JSON null, where the split holds no object.
        box_map50_95: Of boxes.
        mask_map50: Of masks.
        mask_map50_95: Of masks.
        mask_map50_95_interval: Ends of its 95 % interval; None where left out.
        operating_point: Best F1 of masks.
        classes: Each that occurs.
        second: The second judge's figures.
        largest_gap: Largest difference between its mAP50 and mAP50-95 and ours.
    """

    label: str
    path: Path
    imgsz: tuple[int, int]
    box_map50: float
    box_map50_95: float
    mask_map50: float
    mask_map50_95: float
    mask_map50_95_interval: tuple[float, float] | None
    operating_point: OperatingPoint
    classes: tuple[ClassFigures, ...]
    second: SecondOpinion
    largest_gap: float


@dataclass(frozen=True)
class Evaluated:
    """All models on the split.

    Attributes:
        dataset: The bundle's directory name.
        digest: Its digest.
        options: How.
        images: Images of the split.
        objects: Objects in them.
        models: In the order given.
    """

    dataset: str
    digest: str
    options: EvaluateOptions
    images: int
    objects: int
    models: tuple[Figures, ...]

    def to_json(self) -> dict[str, Any]:
        """For `--json` and `evaluation.json`."""
        facts = {"schema": 1, "protocol": dict(PROTOCOL), **asdict(self)}
        return dict(_without_nan(facts))

    def to_text(self) -> str:
        """For a terminal."""
        head = ("model", "px", "box mAP50-95", "mask mAP50", "mask mAP50-95", "95 % interval", NAME)
        rows = [head, *(_row(one) for one in self.models)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        title = f"{self.options.split} of {self.dataset}: {self.images} images, {self.objects} objects"
        return "\n".join([title, *lines])


def evaluate_models(
    models: Mapping[str, Path],
    copy: NodeCopy,
    out: Path | None,
    options: EvaluateOptions,
    progress: Callable[[int, int], None],
) -> Evaluated:
    """Evaluate exported models on a split.

    Args:
        models: ONNX files by label.
        copy: The bundle on this node.
        out: Folder for what is written; None writes nothing.
        options: How.
        progress: Told predictions done, and how many there will be.

    Raises:
        ConfigError: A file is no YOLOv8-seg model, knows other classes, or an option breaks its rule; all at once.
        DatasetError: The split has no images, or a label cannot be read.
        MissingExtraError: onnxruntime or faster-coco-eval is not installed.
        StorageError: `out` cannot be written.
    """
    _check(options)
    classes = copy.manifest.classes
    predictors = _predictors(models, classes, options.threads)
    files = split_images(copy, options.split)
    truth = [true_objects(file, len(classes)) for file in files]
    dataset = to_coco(copy.root, files, truth, classes)
    figures = []
    for turn, (label, predictor) in enumerate(predictors.items()):
        judged = _Tally(len(classes), len(files))
        rows: list[dict[str, Any]] = []
        for index, file in enumerate(files):
            prediction = predictor(read_picture(file))
            judged.add(index, prediction, truth[index].objects)
            rows += coco_rows(prediction, index + 1, str(file.relative_to(copy.root)))
            progress(turn * len(files) + index + 1, len(files) * len(models))
        if out is not None:
            _write(out / label / "predictions.json", rows)
        figures.append(_figures(label, predictor, judged, classes, second_opinion(dataset, rows), options))
    objects = sum(len(one.objects) for one in truth)
    about = (copy.manifest.directory, copy.manifest.digest, options, len(files), objects)
    evaluated = Evaluated(*about, tuple(figures))
    if out is not None:
        _write(out / "ground_truth.json", dataset)
        _write(out / "evaluation.json", evaluated.to_json(), indent=1)
    return evaluated


class _Tally:
    """Matches of one model, by class, for boxes and for masks."""

    def __init__(self, classes: int, images: int) -> None:
        self._seen: list[list[tuple[int, Floats, Any, Any]]] = [[] for _ in range(classes)]
        self._objects = np.zeros((classes, images), np.int64)

    def add(self, index: int, prediction: Prediction, truth: Sequence[TrueObject]) -> None:
        for kind in range(len(self._seen)):
            rows = np.flatnonzero(prediction.classes == kind)
            objects = [one for one in truth if one.category == kind]
            self._objects[kind, index] = len(objects)
            if not len(rows):
                continue
            boxes = _box_ious(prediction.boxes[rows].astype(np.float64), np.array([one.box for one in objects]))
            masks = np.array([[mask_iou(prediction.masks[row], one.mask) for one in objects] for row in rows])
            shape = (len(rows), len(objects))
            scores = prediction.scores[rows].astype(np.float64)
            self._seen[kind].append((index, scores, match(boxes.reshape(shape)), match(masks.reshape(shape))))

    def matched(self, kind: int, *, masks: bool) -> Matched:
        seen = self._seen[kind]
        images = np.repeat([index for index, *_ in seen], [len(scores) for _, scores, *_ in seen]).astype(np.int64)
        scores = np.concatenate([np.zeros(0), *(scores for _, scores, *_ in seen)])
        true = np.concatenate([match(np.zeros((0, 0))), *(one[3 if masks else 2] for one in seen)])
        order = np.argsort(-scores, kind="stable")
        return Matched(images[order], scores[order], true[order], self._objects[kind])


def _figures(
    label: str,
    predictor: Predictor,
    judged: _Tally,
    names: Sequence[str],
    second: SecondOpinion,
    options: EvaluateOptions,
) -> Figures:
    boxes = [judged.matched(kind, masks=False) for kind in range(len(names))]
    masks = [judged.matched(kind, masks=True) for kind in range(len(names))]
    box, mask = mean_average_precision(boxes), mean_average_precision(masks)
    interval = bootstrap_map(masks, options.resamples, options.seed) if options.resamples else None
    classes = []
    for name, one_box, one_mask in zip(names, boxes, masks, strict=True):
        if one_mask.objects.sum():
            of_box, of_mask = average_precision(one_box), average_precision(one_mask)
            four = (of_box[0], of_box.mean(), of_mask[0], of_mask.mean())
            classes.append(ClassFigures(name, int(one_mask.objects.sum()), *(float(value) for value in four)))
    ours = {"map50": (box[0], mask[0]), "map50_95": (box.mean(), mask.mean())}
    gaps = [
        abs(float(value) - other)
        for name, values in ours.items()
        for value, other in zip(values, (second.box[name], second.mask[name]), strict=True)
        if other is not None
    ]
    return Figures(
        label,
        predictor.session.path,
        predictor.session.canvas_shape,
        float(box[0]),
        float(box.mean()),
        float(mask[0]),
        float(mask.mean()),
        interval,
        operating_point(masks),
        tuple(classes),
        second,
        max(gaps, default=0.0),
    )


def _box_ious(found: Floats, true: Floats) -> Floats:
    """[n, 4] and [m, 4] corners in pixels to [n, m]."""
    true = true.reshape(-1, 4)
    low, high = np.maximum(found[:, None, :2], true[None, :, :2]), np.minimum(found[:, None, 2:], true[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    areas = [(corners[:, 2:] - corners[:, :2]).prod(axis=1) for corners in (found, true)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def _predictors(models: Mapping[str, Path], classes: Sequence[str], threads: int) -> dict[str, Predictor]:
    predictors: dict[str, Predictor] = {}
    problems: list[Problem] = []
    for label, path in models.items():
        try:
            predictors[label] = Predictor(path, threads, THRESHOLDS)
        except ConfigError as exc:
            problems += exc.problems
            continue
        names = predictors[label].session.names
        if names != tuple(classes):
            rule = f"must know the dataset's classes, {shortened(classes)}"
            problems.append(Problem(str(path), rule, "names", shortened(names)))
    if problems:
        raise ConfigError(problems)
    return predictors


def _check(options: EvaluateOptions) -> None:
    rules = (("--threads", options.threads, 1), ("--resamples", options.resamples, 0))
    problems = [
        Problem(name, f"must be at least {least}", value=str(value)) for name, value, least in rules if value < least
    ]
    if problems:
        raise ConfigError(problems)


def _row(one: Figures) -> tuple[str, ...]:
    ends = one.mask_map50_95_interval
    interval = "-" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"
    second = one.second.mask["map50_95"]
    ours = (f"{value:.4f}" for value in (one.box_map50_95, one.mask_map50, one.mask_map50_95))
    return (one.label, "x".join(map(str, one.imgsz)), *ours, interval, "-" if second is None else f"{second:.4f}")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and np.isnan(value) else value


def _write(path: Path, content: Any, indent: int | None = None) -> None:
    write_whole(path, (json.dumps(content, indent=indent) + "\n").encode())
