"""Resizing: which part of a picture becomes which output image, and where its shapes go.

A source image has one output image, or a grid of tiles; each is a `View`. Shapes are polygons, so nothing but the
picture is interpolated: a mask is cut at a tile's border exactly, and otherwise moved with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from segsweep.core.clipping import clip
from segsweep.core.geometry import Part, area
from segsweep.dataset.picture import Picture
from segsweep.dataset.records import Instance
from segsweep.errors import ConfigError, Problem

MODES = ("longest", "stretch", "letterbox", "tile")
MAX_OVERLAP = 0.9  # of a tile; beyond it, tiles are more than a hundred times what they cover

# A tile keeps a cut object if it shows at least this share of what a tile can show of it.
MIN_SHARE = 0.1

_Pair = npt.NDArray[np.float64]  # x and y

_SKIPS_ABOVE = 1.5  # times smaller: bilinear interpolation then leaves out much of what lies between its points
_BLUR_PX = 0.45  # standard deviation

_PAD = 114  # grey level; Ultralytics pads with it (data/augment.py, LetterBox)


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
        for index, one in enumerate(instances):
            parts = one.parts if is_whole else tuple(piece for part in one.parts for piece in clip(part, box))
            if parts is not one.parts and _is_same(parts, one.parts):
                parts = one.parts
            if not parts:
                continue
            if parts is not one.parts and not self._shows_enough(parts, one):
                slivers.append(index)
                continue
            kept.append(_moved(Instance(one.category, parts, one.crowd), factor, shift))
            sources.append(index)
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


def views(width: int, height: int, mode: str, imgsz: int, overlap: float) -> tuple[View, ...]:
    """The output images of a source image.

    Args:
        width: Of the source image, pixels.
        height: As `width`.
        mode: `longest`: the longer side becomes `imgsz`, the aspect is kept. `stretch`: both sides become `imgsz`.
            `letterbox`: as `longest`, padded with grey to a square. `tile`: squares of `imgsz` at the image's own
            scale, the last of a row or column moved inside; an image no larger than a tile is one `longest` view.
        imgsz: Pixels.
        overlap: Share of a tile's side that it has in common with the next, 0 to 0.9; for `tile`.

    Raises:
        ConfigError: There is no such mode, or the overlap is not in its range.
    """
    if mode not in MODES:
        raise ConfigError(Problem("--resize", f"must be one of {', '.join(MODES)}", value=mode))
    if not 0 <= overlap <= MAX_OVERLAP:
        raise ConfigError(Problem("--overlap", f"must be a share from 0 to {MAX_OVERLAP}", value=str(overlap)))
    source, whole, square = (width, height), (0, 0, width, height), (imgsz, imgsz)
    if mode == "tile" and max(width, height) > imgsz:
        return tuple(
            View(f"-r{row}c{column}", (x, y, right, bottom), size, (0, 0), size, source)
            for row, y in enumerate(_starts(height, imgsz, overlap))
            for column, x in enumerate(_starts(width, imgsz, overlap))
            for right, bottom in [(min(x + imgsz, width), min(y + imgsz, height))]
            for size in [(right - x, bottom - y)]
        )
    if mode == "stretch":
        return (View("", whole, square, (0, 0), square, source),)
    scaled = resized_shape(width, height, imgsz)
    if mode == "letterbox":
        # The odd pixel goes to the right and below, as Ultralytics has it.
        offset = ((imgsz - scaled[0]) // 2, (imgsz - scaled[1]) // 2)
        return (View("", whole, scaled, offset, square, source),)
    return (View("", whole, scaled, (0, 0), scaled, source),)


def resized_shape(width: int, height: int, imgsz: int) -> tuple[int, int]:
    """Width and height after the longest side became `imgsz`; aspect kept to the nearest pixel, at least 1."""
    scale = imgsz / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def least_size(of: Sequence[View]) -> tuple[int, int]:
    """Width and height that a source image must at least be decoded at, so that no view has to enlarge it again."""
    width, height = (
        math.ceil(max(view.source[i] * view.scaled[i] / (view.crop[i + 2] - view.crop[i]) for view in of) - 1e-9)
        for i in (0, 1)
    )
    return width, height


def render(picture: Picture, view: View) -> Picture:
    """Draw a view.

    Where it shrinks, pixels are averaged so that nothing aliases (by a factor below two, what is no wider than a pixel
    may, a little); where it grows, it is interpolated by cubics.

    Args:
        picture: The source image, (height, width, 3), uint8; it may have been decoded at a reduced scale.
        view: One of its views.
    """
    height, width = picture.shape[:2]
    across, down = width / view.source[0], height / view.source[1]
    x0, y0, x1, y1 = view.crop
    part = picture
    if view.crop != (0, 0, *view.source):
        part = picture[round(y0 * down) : round(y1 * down), round(x0 * across) : round(x1 * across)]
    part = _resized(part, *view.scaled)
    if view.scaled == view.size:
        return np.ascontiguousarray(part)
    canvas = np.full((view.size[1], view.size[0], 3), _PAD, dtype=np.uint8)
    x, y = view.offset
    canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    return canvas


def _resized(picture: Picture, width: int, height: int) -> Picture:
    has_height, has_width = picture.shape[:2]
    picture = _shrunk(picture, min(has_width, width), min(has_height, height))
    if picture.shape[:2] != (height, width):
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    return picture


def _shrunk(picture: Picture, width: int, height: int) -> Picture:
    """Halve as often as it goes, each pixel the mean of four; then interpolate, after a blur where that skips pixels.

    OpenCV's averaging over areas takes three times as long for any factor but 2. Measured on photographs against
    Lanczos scaling of Pillow, this is as close as averaging up to a factor of 1.5 (42 dB), and 1 dB less at 2; the JPEG
    that follows keeps 41 to 43 dB.
    """
    while picture.shape[1] >= 2 * width and picture.shape[0] >= 2 * height:
        half = (max(width, picture.shape[1] // 2), max(height, picture.shape[0] // 2))
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    across, down = picture.shape[1] / width, picture.shape[0] / height
    if across == down == 1:
        return picture
    if max(across, down) >= 2:
        return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    kernel = (3 if across > _SKIPS_ABOVE else 1, 3 if down > _SKIPS_ABOVE else 1)
    if kernel != (1, 1):
        picture = np.asarray(cv2.GaussianBlur(picture, kernel, _BLUR_PX), dtype=np.uint8)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    if length <= tile:
        return [0]
    stride = max(1, round(tile * (1 - overlap)))
    count = math.ceil((length - tile) / stride) + 1
    return [min(i * stride, length - tile) for i in range(count)]


def _moved(instance: Instance, factor: _Pair, shift: _Pair) -> Instance:
    parts = tuple(
        Part(part.exterior * factor + shift, tuple(hole * factor + shift for hole in part.holes))
        for part in instance.parts
    )
    return Instance(instance.category, parts, instance.crowd)


def _is_same(parts: Sequence[Part], others: Sequence[Part]) -> bool:
    return len(parts) == len(others) and all(a is b for a, b in zip(parts, others, strict=True))


def _part_area(part: Part) -> float:
    return area(part.exterior) - sum(area(hole) for hole in part.holes)
