"""`segsweep evaluate`: models on a split of a bundle by one protocol, checked by a second judge.

```
OUT/index.html                   a page of all that follows, with the best and the worst images beside the truth
OUT/evaluation.json              the figures of every model, and how they came about
OUT/ground_truth.json            the split as a COCO dataset
OUT/<model>/predictions.json     COCO results: whoever doubts a figure runs another evaluator on the two
```
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from segsweep.core.average_precision import (
    Floats,
    average_precision,
    bootstrap_map,
    image_f1,
    precision_curves,
    precision_recall,
)
from segsweep.dataset.bundles.staging import NodeCopy
from segsweep.dataset.pictures.picture import read_picture
from segsweep.deploy.cityscapes import Cityscapes, CityscapesTally
from segsweep.deploy.classes import ClassMatch, check_asked, match_classes
from segsweep.deploy.evaluation import (
    PROTOCOL,
    THRESHOLDS,
    ClassFigures,
    Evaluated,
    EvaluateOptions,
    Figures,
    ImageScore,
    one_list_a_line,
)
from segsweep.deploy.evaluation_page import render_page
from segsweep.deploy.results import coco_rows
from segsweep.deploy.second_evaluator import SecondOpinion, second_opinion
from segsweep.deploy.side_by_side import Pair, draw_pair
from segsweep.deploy.tally import Judged, Tally, as_curves
from segsweep.deploy.truth import split_images, to_coco, true_objects
from segsweep.errors import ConfigError, Problem
from segsweep.inference.predictor import Predictor
from segsweep.storage import layout
from segsweep.storage.files import write_whole

__all__ = ["PROTOCOL", "THRESHOLDS", "ClassFigures", "EvaluateOptions", "Evaluated", "Figures", "evaluate_models"]

_SHOWN = 3  # images at either end


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
        ConfigError: A file is no YOLOv8-seg model, shares no class with the bundle, or an option breaks its rule; all
            at once.
        DatasetError: The split has no images, or a label cannot be read.
        MissingExtraError: onnxruntime, faster-coco-eval or, for the page, matplotlib is not installed;
            cityscapesscripts where it is asked for.
        StorageError: `out` cannot be written.
    """
    _check(options)
    classes = copy.manifest.classes
    contenders = _contenders(models, classes, options)
    files = split_images(copy, options.split)
    cityscapes = None if options.cityscapes is None else Cityscapes(options.cityscapes, files, classes)
    truth = [true_objects(file, len(classes)) for file in files]
    dataset = to_coco(copy.root, files, truth, classes)
    figures: list[Figures] = []
    pairs: dict[str, tuple[Pair, ...]] = {}
    names = [str(file.relative_to(copy.root)) for file in files]
    for turn, one in enumerate(contenders):
        tally = Tally(len(classes), len(files))
        own = None if cityscapes is None else CityscapesTally(cityscapes)
        rows: list[dict[str, Any]] = []
        for index, file in enumerate(files):
            prediction = one.classes.to_bundle(one.predictor(read_picture(file)))
            tally.add(index, prediction, truth[index].objects)
            if own is not None:
                own.add(index, prediction)
            rows += coco_rows(prediction, index + 1, names[index])
            progress(turn * len(files) + index + 1, len(files) * len(models))
        found = _figures(one, tally, second_opinion(dataset, rows), options, names)
        figures.append(found if own is None else replace(found, cityscapes=own.figures()))
        if out is not None:
            _write(out / one.label / "predictions.json", rows)
            pairs[one.label] = _pairs(figures[-1], one, copy)
    objects = sum(len(one.objects) for one in truth)
    about = (copy.manifest.directory, copy.manifest.digest, classes, options, len(files), objects)
    evaluated = Evaluated(*about, tuple(figures))
    if out is not None:
        _write(out / "ground_truth.json", dataset)
        _write(out / "evaluation.json", evaluated.to_json(), indent=1)
        write_whole(out / layout.EVALUATION_PAGE, render_page(evaluated, pairs))
    return evaluated


def _pairs(figures: Figures, one: _Contender, copy: NodeCopy) -> tuple[Pair, ...]:
    """The images of `worst` and `best` once more, to be looked at."""
    conf = figures.operating_point.conf
    return tuple(
        draw_pair(copy.root / image.file, one.predictor, one.classes, conf) for image in figures.worst + figures.best
    )


def _figures(
    one: _Contender, tally: Tally, second: SecondOpinion, options: EvaluateOptions, images: Sequence[str]
) -> Figures:
    session = one.predictor.session
    box, mask = tally.judged(masks=False), tally.judged(masks=True)
    (box50, box50_95), (mask50, mask50_95) = box.maps, mask.maps
    scores = image_f1(mask.classes, mask.operating_point.conf)
    worst, best = _ends(scores)
    return Figures(
        label=one.label,
        path=session.path,
        sha256=_sha256(session.path),
        imgsz=session.canvas_shape,
        remarks=tuple(one.classes.remarks()),
        renamed=one.classes.renamed,
        dropped=one.classes.dropped,
        missed=one.classes.missed,
        box_map50=box50,
        box_map50_95=box50_95,
        mask_map50=mask50,
        mask_map50_95=mask50_95,
        mask_map50_95_interval=(
            bootstrap_map(mask.classes, options.resamples, options.seed) if options.resamples else None
        ),
        operating_point=mask.operating_point,
        box_operating_point=box.operating_point,
        box_curves=box.curves,
        mask_curves=mask.curves,
        box_confusion=tuple(tuple(row) for row in box.confusion.tolist()),
        mask_confusion=tuple(tuple(row) for row in mask.confusion.tolist()),
        classes=_class_figures(one.classes.names, box, mask),
        worst=tuple(ImageScore(images[index], float(scores[index])) for index in worst),
        best=tuple(ImageScore(images[index], float(scores[index])) for index in best),
        second=second,
        largest_gap=_largest_gap({"map50": (box50, mask50), "map50_95": (box50_95, mask50_95)}, second),
    )


def _class_figures(names: Sequence[str], box: Judged, mask: Judged) -> tuple[ClassFigures, ...]:
    figures = []
    for name, one_box, one_mask in zip(names, box.classes, mask.classes, strict=True):
        objects = int(one_mask.objects.sum())
        if objects:
            maps = (*_maps(average_precision(one_box)), *_maps(average_precision(one_mask)))
            of_boxes = precision_recall(one_box, box.operating_point.conf)
            of_masks = precision_recall(one_mask, mask.operating_point.conf)
            curves = (as_curves(precision_curves(one_box)), as_curves(precision_curves(one_mask)))
            figures.append(ClassFigures(name, objects, *maps, *of_boxes, *of_masks, *curves))
    return tuple(figures)


def _maps(values: Floats) -> tuple[float, float]:
    return float(values[0]), float(values.mean())


def _largest_gap(ours: Mapping[str, tuple[float, float]], second: SecondOpinion) -> float:
    gaps = [
        abs(value - other)
        for name, values in ours.items()
        for value, other in zip(values, (second.box[name], second.mask[name]), strict=True)
        if other is not None
    ]
    return max(gaps, default=0.0)


def _ends(scores: Floats) -> tuple[list[int], list[int]]:
    """Images with the lowest and with the highest scores, equal ones in their order; no image is in both."""
    order = [int(index) for index in np.argsort(scores, kind="stable") if not np.isnan(scores[index])]
    worst = order[: min(_SHOWN, (len(order) + 1) // 2)]
    rest = sorted(order[len(worst) :], key=lambda index: -scores[index])
    return worst, rest[:_SHOWN]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class _Contender:
    """A model, and what its classes are in the bundle."""

    label: str
    predictor: Predictor
    classes: ClassMatch


def _contenders(models: Mapping[str, Path], bundle: Sequence[str], options: EvaluateOptions) -> list[_Contender]:
    loaded: dict[str, Predictor] = {}
    problems: list[Problem] = []
    for label, path in models.items():
        try:
            loaded[label] = Predictor(path, options.threads, THRESHOLDS)
        except ConfigError as exc:
            problems += exc.problems
    found = []
    names = [one.session.names for one in loaded.values()]
    problems += check_asked(options.classes, names, bundle) if loaded else []
    for label, predictor in loaded.items():
        try:
            classes = match_classes(predictor.session.names, bundle, options.classes, f"{label} ({models[label]})")
        except ConfigError as exc:
            problems += exc.problems
            continue
        predictor.thresholds = replace(THRESHOLDS, classes=classes.known)
        found.append(_Contender(label, predictor, classes))
    if problems:
        raise ConfigError(problems)
    return found


def _check(options: EvaluateOptions) -> None:
    rules = (("--threads", options.threads, 1), ("--resamples", options.resamples, 0))
    problems = [
        Problem(name, f"must be at least {least}", value=str(value)) for name, value, least in rules if value < least
    ]
    if problems:
        raise ConfigError(problems)


def _write(path: Path, content: Any, indent: int | None = None) -> None:
    write_whole(path, (one_list_a_line(json.dumps(content, indent=indent)) + "\n").encode())
