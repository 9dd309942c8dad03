"""A look at one image: its file, its objects, and what training would make of it. Runs in any process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segsweep.core.coverage import Coverage, cover, overlaps
from segsweep.core.geometry import Part
from segsweep.dataset.cleaning.repair import clean_instances
from segsweep.dataset.inspection.verdict import Verdict, judge_image, judge_labels
from segsweep.dataset.pictures.duplicates import perceptual_hash
from segsweep.dataset.pictures.header import CMYK, GREY, PALETTE, Header, read_header
from segsweep.dataset.pictures.picture import MIN_SIDE_PX, Decoded, read_upright
from segsweep.dataset.records import ImageRecord, Instance
from segsweep.errors import DatasetError, Problem

# What can be the matter with an image file. The words are the keys of `consequences`.
UNREADABLE = "images that cannot be read"
WRONG_SIZE = "images of another size than their annotations state"
MISLABELLED = "files whose extension is not their format"
TOO_SMALL = f"images smaller than {MIN_SIDE_PX} pixels"
TURNED = "images turned by their EXIF data"
GREY_IMAGE = "grey images"
PALETTE_IMAGE = "images with a palette"
CMYK_IMAGE = "CMYK images"
ALPHA = "images with an alpha channel"
DEEP = "images of more than 8 bits a sample"
TRAILING = "JPEG files with something behind their end"

TRAINING_PX = 640  # the side that objects' sizes are stated for, Ultralytics' default

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "WebP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
}
_COLOURS = {GREY: GREY_IMAGE, PALETTE: PALETTE_IMAGE, CMYK: CMYK_IMAGE}
_LEAST_SHARE = 0.01  # overlaps below are borders that touch
_MOST_PAIRS = 20  # of one image that are remembered one by one
_MOST_COMPARED = 2000  # objects of an image, each with each: more would fill the memory
_LOOK_PX = (64, 64)  # twice the thumbnail that a hash is made of
_FAR = 1000.0  # sides of the image
_NOWHERE = (Part(np.zeros((3, 2))),)  # measures as nothing
_MOST_GRID = 1 << 22  # pixels of the grid that shapes are compared on


@dataclass(frozen=True, slots=True)
class Seen:
    """One object.

    Attributes:
        category: Its class.
        side_px: Square root of its area, in pixels of the image with its longest side at `TRAINING_PX`.
        parts: In how many pieces it is.
        holes: How many holes are in them.
    """

    category: int
    side_px: float
    parts: int
    holes: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two objects of an image that share pixels.

    Attributes:
        share: Of the smaller one that the larger one covers too.
        iou: Intersection over union.
        first: Number of one object among the image's objects, from 0.
        second: Of the other.
    """

    share: float
    iou: float
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one image.

    Attributes:
        name: Of the image.
        split: It comes in.
        group: It belongs to by name.
        size: Width and height, upright, pixels; None if it cannot be read.
        hash: Perceptual hash; None if it cannot be read.
        oddities: What is odd about its file: rule and detail.
        problems: Why it cannot be used.
        repairs: What would be mended about its shapes: rule, and object with detail.
        objects: Its objects without crowds, in order.
        crowds: Number of crowd regions.
        pairs: The worst of the objects that overlap, worst first.
        overlapping: How many pairs overlap.
        verdict: What becomes of it in training.
    """

    name: str
    split: str
    group: str
    size: tuple[int, int] | None
    hash: int | None
    oddities: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]
    repairs: tuple[tuple[str, str], ...]
    objects: tuple[Seen, ...]
    crowds: int
    pairs: tuple[Pair, ...]
    overlapping: int
    verdict: Verdict


def look(record: ImageRecord, label_classes: int | None) -> Look:
    """Look at one image.

    Args:
        record: The image.
        label_classes: How many classes its label rows may use, where the dataset is one that Ultralytics itself reads;
            None where it is not.
    """
    data = _bytes(record.path)
    header = read_header(data)
    decoded, problems = _decoded(record, record.size)
    if decoded is None and record.size is not None:
        decoded, _ = _decoded(record, None)  # perhaps only its size is not the one stated
    size = decoded.size if decoded else None
    verdict = judge_image(data, header, is_readable=size is not None)
    if label_classes is not None and not (verdict.drops or verdict.stops):
        told = judge_labels(_label_bytes(record.path), label_classes)
        verdict = Verdict(told.drops, told.removed_rows, told.lacks_labels, told.is_boxes, verdict.is_rewritten)
    single = [one if lies_near(one) else replace(one, parts=_NOWHERE) for one in record.instances if not one.crowd]
    width, height = size or record.size or (TRAINING_PX, TRAINING_PX)
    objects, pairs = _objects(single, width, height)
    return Look(
        name=record.name,
        split=record.split,
        group=record.group,
        size=size,
        hash=perceptual_hash(decoded.picture) if decoded else None,
        oddities=((WRONG_SIZE, ""),) * bool(problems and decoded) + _oddities(record.path, header, size, verdict),
        problems=problems,
        repairs=_repairs(record.instances, (width, height), record.name),
        objects=objects,
        crowds=len(record.instances) - len(single),
        pairs=tuple(pairs[:_MOST_PAIRS]),
        overlapping=len(pairs),
        verdict=verdict,
    )


def lies_near(instance: Instance) -> bool:
    """Whether an object's coordinates are numbers, and none so far from the image that it cannot be drawn."""
    return all(bool((np.abs(ring) < _FAR).all()) for part in instance.parts for ring in part.rings)


def label_path(image: Path) -> Path:
    """Where Ultralytics looks for an image's labels (data/utils.py, img2label_paths)."""
    head, found, tail = str(image).rpartition(f"{os.sep}images{os.sep}")
    moved = f"{head}{os.sep}labels{os.sep}{tail}" if found else str(image)
    return Path(f"{moved.rpartition('.')[0]}.txt")


def _decoded(record: ImageRecord, size: tuple[int, int] | None) -> tuple[Decoded | None, tuple[Problem, ...]]:
    try:
        return read_upright(record.path, size, _LOOK_PX), ()
    except DatasetError as exc:
        return None, exc.problems


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError):
        return b""  # told when it is decoded


def _label_bytes(image: Path) -> bytes | None:
    try:
        return label_path(image).read_bytes()
    except (OSError, ValueError):
        return None


def _oddities(
    path: Path, header: Header | None, size: tuple[int, int] | None, verdict: Verdict
) -> tuple[tuple[str, str], ...]:
    if size is None:
        return ((UNREADABLE, ""),)
    found = []
    if header is not None:
        if header.kind in _SUFFIXES and path.suffix.lower() not in _SUFFIXES[header.kind]:
            found.append((MISLABELLED, f"{path.suffix or 'no extension'}, but a {header.kind}"))
        if header.orientation != 1:
            found.append((TURNED, f"orientation {header.orientation}"))
        if header.colour in _COLOURS:
            found.append((_COLOURS[header.colour], header.kind))
        if header.has_alpha:
            found.append((ALPHA, header.kind))
        if header.bits > 8:
            found.append((DEEP, f"{header.bits} bits"))
    if min(size) < MIN_SIDE_PX:
        found.append((TOO_SMALL, f"{size[0]}x{size[1]}"))
    if verdict.is_rewritten:
        found.append((TRAILING, ""))
    return tuple(found)


def _repairs(instances: Sequence[Instance], size: tuple[int, int], name: str) -> tuple[tuple[str, str], ...]:
    _, actions = clean_instances(instances, size, name)
    return tuple((one.rule, f"{one.record}, {one.detail}" if one.detail else one.record) for one in actions)


def _objects(instances: Sequence[Instance], width: int, height: int) -> tuple[tuple[Seen, ...], list[Pair]]:
    """Sizes and overlaps, counted on the image's own grid of pixels, or one that fits into memory."""
    shrink = max(1.0, (width * height / _MOST_GRID) ** 0.5)
    grid = cover([one.parts for one in instances], max(1, round(height / shrink)), max(1, round(width / shrink)))
    to_training = TRAINING_PX / max(width, height) * shrink
    areas = grid.areas.tolist()
    objects = tuple(
        Seen(one.category, area**0.5 * to_training, len(one.parts), sum(len(part.holes) for part in one.parts))
        for one, area in zip(instances, areas, strict=True)
    )
    return objects, _pairs(instances, grid)


def _pairs(instances: Sequence[Instance], grid: Coverage) -> list[Pair]:
    if len(instances) < 2:
        return []
    points = [np.concatenate([part.exterior for part in one.parts]) for one in instances[:_MOST_COMPARED]]
    low, high = np.array([p.min(axis=0) for p in points]), np.array([p.max(axis=0) for p in points])
    meet = ((low[:, None] < high[None]) & (low[None] < high[:, None])).all(axis=2)
    candidates = np.argwhere(np.triu(meet, 1))
    if not len(candidates):
        return []
    ious = overlaps(grid, grid, candidates)
    areas = grid.areas
    a, b = areas[candidates[:, 0]], areas[candidates[:, 1]]
    shares = ious / (1 + ious) * (a + b) / np.maximum(np.minimum(a, b), 1)
    kept = (np.minimum(a, b) > 0) & (shares > _LEAST_SHARE)
    found = [
        Pair(float(share), float(iou), int(first), int(second))
        for share, iou, (first, second) in zip(shares[kept], ious[kept], candidates[kept], strict=True)
    ]
    return sorted(found, key=lambda pair: (-pair.share, -pair.iou, pair.first, pair.second))
