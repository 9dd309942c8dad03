"""A view: the part of a source image that one output image shows, and where its shapes go.

Shapes are polygons, so nothing is interpolated: a mask is cut at the border of a tile exactly, and otherwise moved with
the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segsweep.core.clipping import Box, clip
from segsweep.core.geometry import Part, area
from segsweep.dataset.records import Instance

# A tile keeps a cut object if it shows at least this share of what a tile can show of it.
MIN_SHARE = 0.1

_Pair = npt.NDArray[np.float64]  # x and y


@dataclass(frozen=True, eq=False)
class Cut:
    """Instances as one view shows them.

    Attributes:
        instances: In fractions of the output image.
        sources: Of each, its index among the instances of the source image.
        slivers: Indices of the instances that the view shows too little of; they are not among `instances`.
    """

    instances: tuple[Instance, ...]
    sources: tuple[int, ...]
    slivers: tuple[int, ...]


@dataclass(frozen=True)
class View:
    """One output image of a source image.

    Attributes:
        suffix: What is added to the stem of its files; empty for the only one.
        crop: The part of the source image that is shown: left, top, right, bottom, in its pixels.
        scaled: Width and height that the crop becomes.
        offset: Where that lies in the output image, x and y.
        size: Width and height of the output image.
        source: Width and height of the source image.
    """

    suffix: str
    crop: tuple[int, int, int, int]
    scaled: tuple[int, int]
    offset: tuple[int, int]
    size: tuple[int, int]
    source: tuple[int, int]

    def to_target(self, instances: Sequence[Instance]) -> tuple[Instance, ...]:
        """Instances in fractions of the source image, as the view shows them; see `cut` for what it leaves out."""
        return self.cut(instances).instances

    def to_source(self, instances: Sequence[Instance]) -> tuple[Instance, ...]:
        """Instances in fractions of the output image, back in fractions of the source image."""
        if self._keeps_fractions:
            return tuple(instances)
        factor, shift = self._mapping()
        return tuple(_moved(one, 1 / factor, -shift / factor) for one in instances)

    def cut(self, instances: Sequence[Instance]) -> Cut:
        """Cut instances at the crop and move them with it.

        A cut object that the view shows less than a tenth of (of one too large for any tile: of the share of its box
        that a tile holds) is left out as a sliver, for nobody could tell what it is. Neighbouring tiles overlap or
        meet, so that every object is kept by one of them at least.

        Args:
            instances: In fractions of the source image.
        """
        if self._keeps_fractions:
            return Cut(tuple(instances), tuple(range(len(instances))), ())
        factor, shift = self._mapping()
        width, height = self.source
        x0, y0, x1, y1 = self.crop
        box = (x0 / width, y0 / height, x1 / width, y1 / height)
        is_whole = self.crop == (0, 0, width, height)
        kept, sources, slivers = [], [], []
        for index in range(len(instances)) if is_whole else _near(instances, box):
            one = instances[index]
            parts = one.parts if is_whole else tuple(piece for part in one.parts for piece in clip(part, box))
            if _is_same(parts, one.parts) or self._shows_enough(parts, one):
                kept.append(_moved(Instance(one.category, parts, one.crowd), factor, shift))
                sources.append(index)
            elif parts:
                slivers.append(index)
        return Cut(tuple(kept), tuple(sources), tuple(slivers))

    @property
    def _keeps_fractions(self) -> bool:
        return self.crop == (0, 0, *self.source) and self.scaled == self.size

    def _mapping(self) -> tuple[_Pair, _Pair]:
        """Fraction of the source -> fraction of the target: `f * factor + shift`, for x and y."""
        x0, y0, x1, y1 = self.crop
        scale = np.array(self.scaled) / np.array([x1 - x0, y1 - y0])
        factor = np.array(self.source) * scale / np.array(self.size)
        shift = (np.array(self.offset) - np.array([x0, y0]) * scale) / np.array(self.size)
        return factor, shift

    def _shows_enough(self, parts: Sequence[Part], whole: Instance) -> bool:
        x0, y0, x1, y1 = self.crop
        low = np.min([part.exterior.min(axis=0) for part in whole.parts], axis=0) * self.source
        high = np.max([part.exterior.max(axis=0) for part in whole.parts], axis=0) * self.source
        held = float(np.minimum(1.0, np.array([x1 - x0, y1 - y0]) / np.maximum(high - low, 1e-9)).prod())
        shown, total = (sum(map(_part_area, some)) for some in (parts, whole.parts))
        return shown > 0 and shown >= MIN_SHARE * held * total


def _moved(instance: Instance, factor: _Pair, shift: _Pair) -> Instance:
    parts = tuple(
        Part(part.exterior * factor + shift, tuple(hole * factor + shift for hole in part.holes))
        for part in instance.parts
    )
    return Instance(instance.category, parts, instance.crowd)


def _near(instances: Sequence[Instance], box: Box) -> list[int]:
    """Indices of the instances whose own box meets the box: of many tiles each shows a few."""
    outlines = [part.exterior for one in instances for part in one.parts]
    if not outlines:
        return []
    owner = np.repeat(np.arange(len(instances)), [len(one.parts) for one in instances])
    lengths = np.array([len(ring) for ring in outlines])
    points, starts = np.concatenate(outlines), np.cumsum(lengths) - lengths
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    meets = (low < (box[2], box[3])).all(axis=1) & (high > (box[0], box[1])).all(axis=1)
    found: list[int] = np.unique(owner[meets]).tolist()
    return found


def _is_same(parts: Sequence[Part], others: Sequence[Part]) -> bool:
    return len(parts) == len(others) and all(a is b for a, b in zip(parts, others, strict=True))


def _part_area(part: Part) -> float:
    return area(part.exterior) - sum(area(hole) for hole in part.holes)
