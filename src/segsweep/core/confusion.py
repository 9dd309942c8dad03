"""Which class is taken for which: the confusion matrix of a detector.

The convention is that of `ultralytics/utils/metrics.py` ConfusionMatrix.process_batch (8.4): detections, best first,
take the free object they overlap most, whatever its class; rows are what was predicted, columns what is true, and the
last of each is the background. What has no partner is counted there: an object nobody found in the last row, a
detection of nothing in the last column.
"""

from __future__ import annotations

import numpy as np

from segsweep.core.average_precision import Floats, Ints

CONF = 0.25  # a detection's score must be above this, and
IOU = 0.45  # its overlap with an object above that: Ultralytics' own values


def confusion(kinds: Ints, true_kinds: Ints, ious: Floats, classes: int, iou: float = IOU) -> Ints:
    """The matrix of one image, int [classes + 1, classes + 1]; those of many images are added up.

    Args:
        kinds: Class of each detection, [n], best first.
        true_kinds: Class of each object, [m].
        ious: Overlap of each detection with each object, whatever their classes, [n, m].
        classes: How many there are.
        iou: An overlap must be above this.
    """
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    free = np.ones(len(true_kinds), np.bool_)
    for row, kind in enumerate(kinds):
        overlaps = np.where(free, ious[row], 0.0)
        best = int(np.argmax(overlaps)) if len(overlaps) else -1
        if best >= 0 and overlaps[best] > iou:
            free[best] = False
            matrix[kind, true_kinds[best]] += 1
        else:
            matrix[kind, classes] += 1
    matrix[classes] += np.bincount(true_kinds[free], minlength=classes + 1)
    return matrix
