"""Average precision as COCO defines it, and how far it would move with other images of the same kind.

Matching and interpolation are those of `pycocotools/cocoeval.py` (COCOeval.evaluateImg and .accumulate) for objects
without crowds: detections of an image, best first, take the free object of their class with the highest IoU; precision
is made to fall and is read at 101 recalls. The interval is the percentile bootstrap (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 13) over images, for the objects of one image are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IOU_THRESHOLDS = tuple(float(value) for value in np.linspace(0.5, 0.95, 10))  # 0.50 to 0.95
_RECALLS = np.linspace(0.0, 1.0, 101)
RECALLS = tuple(float(value) for value in _RECALLS)
_EPSILON = 1e-10

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Matched:
    """Detections of one class over all images, best first, equal scores in order of image.

    Attributes:
        images: Index of each detection's image, int [n].
        scores: 0-1, [n].
        is_true: Whether it took an object, bool [n, thresholds].
        objects: Objects of the class in each image, int [images].
    """

    images: Ints
    scores: Floats
    is_true: NDArray[np.bool_]
    objects: Ints


@dataclass(frozen=True)
class OperatingPoint:
    """Where the mean of precision and recall over classes gives the best F1, at IoU 0.5.

    Attributes:
        conf: Score from which on a detection counts, 0-1.
        precision: Mean over classes that occur, 0-1.
        recall: Likewise.
    """

    conf: float
    precision: float
    recall: float


def match(ious: Floats, thresholds: Sequence[float] = IOU_THRESHOLDS) -> NDArray[np.bool_]:
    """Which detections of one image and class take an object.

    Args:
        ious: [detections, objects], detections best first.
        thresholds: From 0 to 1; an IoU that equals one is enough.

    Returns:
        bool [detections, thresholds].
    """
    detections, objects = ious.shape
    is_true = np.zeros((detections, len(thresholds)), np.bool_)
    if not objects:
        return is_true
    for column, threshold in enumerate(thresholds):
        free = np.ones(objects, np.bool_)
        for row in np.flatnonzero((ious >= threshold).any(axis=1)):
            candidates = np.where(free, ious[row], -1.0)
            best = objects - 1 - int(np.argmax(candidates[::-1]))  # of equal ones the last, as COCOeval does
            if candidates[best] >= threshold:
                free[best] = False
                is_true[row, column] = True
    return is_true


def precision_curves(matched: Matched, weights: Ints | None = None) -> Floats:
    """Precision of a class at each of `RECALLS`, 0-1, [thresholds, 101]; NaN where it has no objects.

    COCO's curve, `COCOeval.eval["precision"]`: precision is that of the least recall which is reached or passed, made
    to fall, and 0 beyond the last; its mean over the recalls is the AP. Ultralytics draws straight lines between the
    same corners, which lie on or above these steps.

    Args:
        matched: Its detections.
        weights: How often each image counts, int [images]; once where absent.
    """
    counts = np.ones(len(matched.objects), np.int64) if weights is None else weights
    objects = int(counts @ matched.objects)
    thresholds = matched.is_true.shape[1]
    if not objects:
        return np.full((thresholds, len(RECALLS)), np.nan)
    often = counts[matched.images]
    everything = np.cumsum(often)
    curves = np.zeros((thresholds, len(RECALLS)))
    for column in range(thresholds):
        true = np.cumsum(often * matched.is_true[:, column])
        recall = true / objects
        precision = np.divide(true, everything, out=np.zeros(len(true)), where=everything > 0)
        falling = np.maximum.accumulate(precision[::-1])[::-1]
        curves[column] = np.append(falling, 0.0)[np.searchsorted(recall, _RECALLS, side="left")]
    return curves


def average_precision(matched: Matched, weights: Ints | None = None) -> Floats:
    """AP of a class at each threshold, 0-1, [thresholds]; NaN where it has no objects.

    Args:
        matched: Its detections.
        weights: How often each image counts, int [images]; once where absent.
    """
    return np.asarray(precision_curves(matched, weights).mean(axis=1))


def mean_average_precision(classes: Sequence[Matched], weights: Ints | None = None) -> Floats:
    """Mean AP over the classes that have objects, [thresholds]; NaN where none has.

    Args:
        classes: One each.
        weights: See `average_precision`.
    """
    values = np.array([average_precision(one, weights) for one in classes])
    occurs = ~np.isnan(values).any(axis=1)
    return np.asarray(values[occurs].mean(axis=0)) if occurs.any() else np.full(values.shape[1], np.nan)


def bootstrap_map(classes: Sequence[Matched], resamples: int, seed: int, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of mAP50-95 over images drawn with replacement.

    Args:
        classes: One each, all of the same images, in the same order.
        resamples: How many draws.
        seed: Of the draws; two models with equal seed and images meet the same ones.
        level: Share of the draws within the interval.

    Returns:
        Its ends, 0-1; NaN where no draw holds an object.
    """
    images = len(classes[0].objects)
    generator = np.random.default_rng(seed)
    drawn = [np.bincount(generator.integers(0, images, images), minlength=images) for _ in range(resamples)]
    values = np.array([mean_average_precision(classes, counts).mean() for counts in drawn])
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def operating_point(classes: Sequence[Matched]) -> OperatingPoint:
    """The score with the best F1 of mean precision and mean recall at the first threshold.

    Args:
        classes: One each; those without objects are left out.
    """
    occurring = [one for one in classes if one.objects.sum()]
    scores = np.unique(np.concatenate([one.scores for one in occurring])) if occurring else np.zeros(0)
    if not len(scores):
        return OperatingPoint(0.0, 0.0, 0.0)
    precision, recall = np.zeros(len(scores)), np.zeros(len(scores))
    for one in occurring:
        true = np.concatenate([[0], np.cumsum(one.is_true[:, 0])])
        kept = np.searchsorted(-one.scores, -scores, side="right")  # detections with at least this score
        precision += true[kept] / np.maximum(kept, 1) / len(occurring)
        recall += true[kept] / one.objects.sum() / len(occurring)
    f1 = 2 * precision * recall / np.maximum(precision + recall, _EPSILON)
    best = int(np.argmax(f1))
    return OperatingPoint(float(scores[best]), float(precision[best]), float(recall[best]))


def precision_recall(matched: Matched, conf: float) -> tuple[float, float]:
    """Precision and recall of a class at a score, at the first threshold.

    Args:
        matched: Its detections.
        conf: Score from which on a detection counts.

    Returns:
        Both 0-1, as `operating_point` averages them; precision is 0 where nothing is kept, recall NaN without objects.
    """
    kept = int(np.count_nonzero(matched.scores >= conf))
    true, objects = int(matched.is_true[:kept, 0].sum()), int(matched.objects.sum())
    return true / max(kept, 1), true / objects if objects else float("nan")


def image_f1(classes: Sequence[Matched], conf: float) -> Floats:
    """How well each image is understood: F1 of its objects of all classes, mean over the thresholds, 0-1, [images].

    Args:
        classes: One each, all of the same images.
        conf: Score from which on a detection counts.

    Returns:
        NaN for images where nothing is and nothing was found.
    """
    images, thresholds = len(classes[0].objects), classes[0].is_true.shape[1]
    true, counted = np.zeros((images, thresholds)), np.zeros(images)
    for one in classes:
        kept = one.scores >= conf
        np.add.at(true, one.images[kept], one.is_true[kept])
        counted += np.bincount(one.images[kept], minlength=images) + one.objects
    return np.asarray(np.where(counted > 0, 2 * true.mean(axis=1) / np.maximum(counted, 1), np.nan))
