"""Raw network output to detections: best class, threshold, non-maximum suppression.

YOLOv8-seg's first output holds, for each of A anchors, the box as centre x, centre y, width, height in canvas pixels,
one score in 0-1 a class, and the mask coefficients: shape [1, 4 + classes + coefficients, A]. The rules are those of
`ultralytics/utils/nms.py` non_max_suppression, without its wall-clock limit, which drops detections on a loaded
machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segsweep.inference.letterbox import Tensor

_MAX_CANDIDATES = 30_000
_CLASS_OFFSET = np.float32(7680.0)  # px; moves boxes of different classes apart, so that they never suppress each other


@dataclass(frozen=True)
class Thresholds:
    """What becomes a detection.

    Attributes:
        conf: A score must be above this, 0-1.
        iou: A box that overlaps a better one of its class by more than this is dropped, 0-1.
        max_det: At most this many detections an image, best first.
        classes: Indices of the classes to look for; None looks for all. Others are dropped before suppression.
        multi_label: Whether a box may be of several classes, as evaluations have it; else it is of its best one.
    """

    conf: float = 0.25
    iou: float = 0.7
    max_det: int = 300
    classes: frozenset[int] | None = None
    multi_label: bool = False


@dataclass(frozen=True)
class Detections:
    """Detections of one image, best first.

    Attributes:
        boxes: Corners x1, y1, x2, y2 in canvas pixels, float32 [n, 4].
        scores: 0-1, float32 [n].
        classes: Class indices, int64 [n].
        coefficients: Mask coefficients, float32 [n, prototypes].
    """

    boxes: Tensor
    scores: Tensor
    classes: NDArray[np.int64]
    coefficients: Tensor


def decode(output: Tensor, prototypes: int, thresholds: Thresholds) -> Detections:
    """Detections in the first output of the network.

    Args:
        output: Shape [1, 4 + classes + prototypes, A].
        prototypes: Number of mask prototypes, the channels of the second output.
        thresholds: What becomes a detection.
    """
    rows = output[0]
    scores = rows[4 : rows.shape[0] - prototypes]
    if thresholds.multi_label:
        anchors, classes = np.nonzero(thresholds.conf < scores.T)
    else:
        anchors = np.flatnonzero(scores.max(axis=0) > thresholds.conf)
        classes = scores[:, anchors].argmax(axis=0)
    best = scores[classes, anchors]
    order = np.argsort(-best, kind="stable")[:_MAX_CANDIDATES]
    if thresholds.classes is not None:
        order = order[np.isin(classes[order], list(thresholds.classes))]
    anchors, classes, best = anchors[order], classes[order].astype(np.int64), best[order]
    kept = rows[:, anchors].T
    centre, half = kept[:, :2], kept[:, 2:4] / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    offset = classes.astype(np.float32)[:, None] * _CLASS_OFFSET
    survivors = suppress(boxes + offset, thresholds.iou, thresholds.max_det)
    return Detections(
        boxes[survivors], best[survivors], classes[survivors], kept[survivors, rows.shape[0] - prototypes :]
    )


def read_suppressed(output: Tensor, thresholds: Thresholds) -> Detections:
    """Detections in the first output of a network that has NMS inside.

    Args:
        output: Shape [1, N, 6 + prototypes], best first, rows of zeros at the end: corners x1, y1, x2, y2 in canvas
            pixels, score, class, mask coefficients (`NMSModel` of `ultralytics/engine/exporter.py`).
        thresholds: `conf`, `classes` and `max_det` apply; the rest is in the network.
    """
    rows = output[0]
    rows = rows[rows[:, 4] > thresholds.conf]
    if thresholds.classes is not None:
        rows = rows[np.isin(rows[:, 5], list(thresholds.classes))]
    rows = rows[: thresholds.max_det]
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), rows[:, 6:])


def suppress(boxes: Tensor, iou: float, limit: int) -> NDArray[np.int64]:
    """Greedy non-maximum suppression: indices of the boxes that stay, in order.

    Args:
        boxes: Corners x1, y1, x2, y2, float32 [n, 4], best first.
        iou: A box is dropped when it overlaps an earlier survivor by more than this.
        limit: Stop after this many survivors.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.arange(len(boxes))
    kept: list[int] = []
    while len(order) and len(kept) < limit:
        first, order = order[0], order[1:]
        kept.append(int(first))
        low = np.maximum(boxes[first, :2], boxes[order, :2])
        high = np.minimum(boxes[first, 2:], boxes[order, 2:])
        shared = np.prod(np.clip(high - low, 0.0, None), axis=1)
        order = order[shared <= np.float32(iou) * (areas[first] + areas[order] - shared)]
    return np.asarray(kept, np.int64)
