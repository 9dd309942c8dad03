"""Predictions of one model met with the truth image by image, until they are figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from segsweep.core.average_precision import (
    Floats,
    Ints,
    Matched,
    OperatingPoint,
    match,
    mean_average_precision,
    operating_point,
    precision_curves,
)
from segsweep.core.confusion import CONF, confusion
from segsweep.deploy.evaluation import Curves
from segsweep.deploy.truth import TrueObject
from segsweep.inference.masks import mask_iou
from segsweep.inference.predictor import Prediction


@dataclass(frozen=True)
class Judged:
    """Boxes or masks of a model on all images.

    Attributes:
        classes: Matches of each class of the bundle.
        confusion: int [classes + 1, classes + 1].
    """

    classes: tuple[Matched, ...]
    confusion: Ints

    @cached_property
    def maps(self) -> tuple[float, float]:
        """The mAP50 and mAP50-95; NaN without objects."""
        values = mean_average_precision(self.classes)
        return float(values[0]), float(values.mean())

    @cached_property
    def operating_point(self) -> OperatingPoint:
        """Where F1 is best."""
        return operating_point(self.classes)

    @cached_property
    def curves(self) -> Curves:
        """Mean over the classes that occur."""
        found = np.array([precision_curves(one) for one in self.classes if one.objects.sum()])
        return as_curves(found.mean(axis=0) if len(found) else precision_curves(self.classes[0]))


class Tally:
    """Collects the matches of one model.

    Args:
        classes: How many the bundle has.
        images: How many there will be.
    """

    def __init__(self, classes: int, images: int) -> None:
        self._seen: list[list[tuple[int, Floats, Any, Any]]] = [[] for _ in range(classes)]
        self._objects = np.zeros((classes, images), np.int64)
        self._confusion = np.zeros((2, classes + 1, classes + 1), np.int64)

    def add(self, index: int, prediction: Prediction, truth: Sequence[TrueObject]) -> None:
        """Count one image.

        Args:
            index: Of the image, from 0.
            prediction: In the bundle's classes, best first.
            truth: Its objects.
        """
        true_kinds = np.array([one.category for one in truth], np.int64)
        true_boxes = np.array([one.box for one in truth], np.float64)
        boxes = box_ious(prediction.boxes.astype(np.float64), true_boxes)
        sure = prediction.scores > CONF
        masks = np.zeros(boxes.shape)
        # Masks lie in their boxes, and the rest of the pairs nobody asks for.
        wanted = (boxes > 0) & ((prediction.classes[:, None] == true_kinds[None]) | sure[:, None])
        for row, column in np.argwhere(wanted):
            masks[row, column] = mask_iou(prediction.masks[row], truth[column].mask)
        for kind in range(len(self._seen)):
            rows, columns = np.flatnonzero(prediction.classes == kind), np.flatnonzero(true_kinds == kind)
            self._objects[kind, index] = len(columns)
            if len(rows):
                pairs = np.ix_(rows, columns)
                scores = prediction.scores[rows].astype(np.float64)
                self._seen[kind].append((index, scores, match(boxes[pairs]), match(masks[pairs])))
        for number, ious in enumerate((boxes, masks)):
            found = prediction.classes[sure]
            self._confusion[number] += confusion(found, true_kinds, ious[sure], len(self._seen))

    def judged(self, *, masks: bool) -> Judged:
        """What has been counted so far."""
        kinds = range(len(self._seen))
        return Judged(tuple(self._matched(kind, masks) for kind in kinds), self._confusion[int(masks)])

    def _matched(self, kind: int, masks: bool) -> Matched:
        seen = self._seen[kind]
        images = np.repeat([index for index, *_ in seen], [len(scores) for _, scores, *_ in seen]).astype(np.int64)
        scores = np.concatenate([np.zeros(0), *(scores for _, scores, *_ in seen)])
        true = np.concatenate([match(np.zeros((0, 0))), *(one[3 if masks else 2] for one in seen)])
        order = np.argsort(-scores, kind="stable")
        return Matched(images[order], scores[order], true[order], self._objects[kind])


def box_ious(found: Floats, true: Floats) -> Floats:
    """[n, 4] and [m, 4] corners in pixels to [n, m]."""
    found, true = found.reshape(-1, 4), true.reshape(-1, 4)
    low, high = np.maximum(found[:, None, :2], true[None, :, :2]), np.minimum(found[:, None, 2:], true[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    areas = [(corners[:, 2:] - corners[:, :2]).prod(axis=1) for corners in (found, true)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def as_curves(found: Floats) -> Curves:
    """Precision at each threshold and recall, [thresholds, recalls], as it is told."""
    first, mean = (tuple(np.round(values, 6).tolist()) for values in (found[0], found.mean(axis=0)))
    return Curves(first, mean)
