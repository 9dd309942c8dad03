"""Fidelity: how well objects survive being written, measured object by object."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from segsweep.core.coverage import Coverage, cover, overlaps
from segsweep.dataset.records import Instance

# Two objects of one image that hide each other nowhere cannot both share more than this with a third.
_SURE = 0.5

_SHOWN = 10  # worst objects that are remembered
_UNITS = 1 << 40  # of IoU: sums of whole numbers are the same in any order, whoever adds first


@dataclass(frozen=True, order=True)
class WorstObject:
    """An object that was written worse than others.

    Attributes:
        iou: Intersection over union of the written with the source mask; 0.0 if it is lost.
        image: Name of the image.
        object: Its number among the image's source objects, from 0.
        category: Its class.
    """

    iou: float
    image: str
    object: int
    category: str


@dataclass(frozen=True)
class Fidelity:
    """What was measured of all objects.

    Attributes:
        objects: Objects of the source.
        lost: Those of which no pixel was written.
        mean_iou: Over all objects, lost ones as 0.0; 1.0 where there is no object.
        min_iou: Of the worst object; 1.0 where there is none.
        worst: The worst objects, worst first; none that was written exactly.
    """

    objects: int
    lost: int
    mean_iou: float
    min_iou: float
    worst: tuple[WorstObject, ...]


@dataclass
class FidelityTally:
    """Adds up the fidelity of many images in little memory; what comes out depends on no order."""

    _objects: int = 0
    _lost: int = 0
    _units: int = 0
    _min_iou: float = 1.0
    _worst: list[WorstObject] = field(default_factory=list)

    def add(self, name: str, classes: Sequence[str], instances: Sequence[Instance], ious: Sequence[float]) -> None:
        """Count the objects of one image.

        Args:
            name: The image.
            classes: Names of the classes.
            instances: Its source objects.
            ious: What `measure` said of each.
        """
        self._objects += len(ious)
        self._lost += sum(iou == 0.0 for iou in ious)
        self._units += sum(round(iou * _UNITS) for iou in ious)
        self._min_iou = min(self._min_iou, *ious, 1.0)
        bar = self._worst[-1].iou if len(self._worst) == _SHOWN else 1.0
        self._remember(
            [
                WorstObject(iou, name, index, classes[one.category])
                for index, (one, iou) in enumerate(zip(instances, ious, strict=True))
                if iou < 1.0 and iou <= bar
            ]
        )

    def merge(self, other: FidelityTally) -> None:
        """Count what another tally has counted."""
        self._objects += other._objects
        self._lost += other._lost
        self._units += other._units
        self._min_iou = min(self._min_iou, other._min_iou)
        self._remember(other._worst)

    def facts(self) -> Fidelity:
        """What has been counted so far."""
        mean = self._units / _UNITS / self._objects if self._objects else 1.0
        return Fidelity(self._objects, self._lost, mean, self._min_iou, tuple(self._worst))

    def _remember(self, candidates: Sequence[WorstObject]) -> None:
        if candidates:
            self._worst = heapq.nsmallest(_SHOWN, [*self._worst, *candidates])


def measure(source: Sequence[Instance], written: Sequence[Instance], width: int, height: int) -> tuple[float, ...]:
    """Intersection over union of each source object with what was written of it, at the size of the source.

    Objects normally come back in their order: where number and classes agree, pairs in order that share most of their
    pixels are taken as they are. The others are matched within their class, best overlap first.

    Args:
        source: Objects of one image.
        written: The same objects, read back from what was written, in fractions of the same image.
        width: Of the source image, pixels.
        height: As `width`.

    Returns:
        One value a source object: 1.0 if the masks are equal, 0.0 if it is lost.
    """
    before = cover([one.parts for one in source], height, width)
    after = cover([one.parts for one in written], height, width)
    ious = np.zeros(len(source))
    matched = np.zeros(len(source), np.bool_)
    if [one.category for one in source] == [one.category for one in written]:
        in_order = overlaps(before, after, np.repeat(np.arange(len(source))[:, None], 2, axis=1))
        matched = in_order > _SURE
        ious[matched] = in_order[matched]
        taken = matched.copy()
    else:
        taken = np.zeros(len(written), np.bool_)
    if not matched.all() and not taken.all():
        pairs = _candidates(source, written, np.flatnonzero(~matched), np.flatnonzero(~taken))
        _match_greedily(before, after, pairs, ious)
    return tuple(ious.tolist())


def _match_greedily(
    before: Coverage, after: Coverage, pairs: npt.NDArray[np.intp], ious: npt.NDArray[np.float64]
) -> None:
    """Best pair first, each object once; among equals the earlier one."""
    values = overlaps(before, after, pairs)
    found: set[int] = set()
    taken: set[int] = set()
    for place in np.argsort(-values, kind="stable").tolist():
        i, j = pairs[place].tolist()
        if i not in found and j not in taken:
            found.add(i)
            taken.add(j)
            ious[i] = values[place]


def _candidates(
    source: Sequence[Instance], written: Sequence[Instance], left: npt.NDArray[np.intp], right: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """Pairs of one class whose boxes touch, (n, 2), in the order of the objects."""
    low_a, high_a = _boxes([source[i] for i in left])
    low_b, high_b = _boxes([written[j] for j in right])
    category_b = np.array([written[j].category for j in right])
    pairs = []
    for place, i in enumerate(left.tolist()):
        near = (category_b == source[i].category) & (low_a[place] <= high_b).all(1) & (low_b <= high_a[place]).all(1)
        others = right[near]
        pairs.append(np.stack([np.full(len(others), i), others], axis=1))
    return np.concatenate(pairs)


def _boxes(instances: Sequence[Instance]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    outlines = [np.concatenate([part.exterior for part in one.parts]) for one in instances]
    return np.array([one.min(axis=0) for one in outlines]), np.array([one.max(axis=0) for one in outlines])
