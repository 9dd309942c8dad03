"""The `segmentation` field of COCO annotations: polygons, or a run-length mask in either spelling."""

from __future__ import annotations

import reprlib
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from segsweep.core.geometry import Part, area
from segsweep.core.outline import trace_columns
from segsweep.dataset.formats.rle import Counts, decode_changes, parse_counts
from segsweep.dataset.labels import are_clean, clip
from segsweep.dataset.records import Findings

Size = tuple[int, int]


def read_polygons(segmentations: Sequence[Any], sizes: Sequence[Size | None]) -> list[tuple[Part, ...] | None]:
    """Parts of many annotations at once, of those that are nothing but right polygons.

    Args:
        segmentations: As annotations have them.
        sizes: Width and height of each one's image, pixels; None to leave it out.

    Returns:
        Of each what `read_shape` gives, or None where that must be asked, for there is something to say or to decode.
    """
    values = array("d")
    polygons: list[list[Any]] = []
    counts = []  # polygons of each annotation
    scales: list[Size] = []  # of each polygon
    for segmentation, size in zip(segmentations, sizes, strict=True):
        count = _append(segmentation, values, polygons) if size and type(segmentation) is list else 0
        counts.append(count)
        if size and count:
            scales += [size] * count
    if not polygons:
        return [None] * len(counts)
    lengths = np.array([len(polygon) for polygon in polygons]) >> 1
    ends = np.cumsum(lengths)
    starts = ends - lengths
    pixels = np.frombuffer(values)
    points = pixels.reshape(-1, 2) / np.repeat(np.array(scales), lengths, axis=0)
    right: list[bool] = are_clean(points, starts, lengths).tolist()
    # In an array true and false are 1 and 0, but they are no coordinates.
    doubtful = np.flatnonzero((pixels == 0) | (pixels == 1)) >> 1
    for index in set((np.searchsorted(starts, doubtful, side="right") - 1).tolist()):
        right[index] = right[index] and bool not in set(map(type, polygons[index]))
    parts = [
        Part(points[start:end]) if fine else None
        for start, end, fine in zip(starts.tolist(), ends.tolist(), right, strict=True)
    ]
    return _grouped(parts, counts)


def read_shape(segmentation: Any, size: Size, at: str, findings: Findings) -> tuple[Part, ...]:
    """Parts of one annotation.

    Args:
        segmentation: A list of polygons `[x1, y1, x2, y2, ...]` in pixels, or `{"size": [h, w], "counts": ...}`.
        size: Width and height of the image, pixels.
        at: The annotation, for messages.
        findings: Takes faults and repairs.

    Returns:
        Parts in fractions of the image; empty when there is nothing usable.
    """
    if isinstance(segmentation, dict):
        return _read_mask(segmentation, size, at, findings)
    if not isinstance(segmentation, list) or not segmentation:
        rule = "must be a list of polygons or a run-length mask"
        fix = "segment the object: a box alone is not enough"
        findings.fault(at, rule, field="segmentation", value=reprlib.repr(segmentation), fix=fix)
        return ()
    parts = [_read_polygon(polygon, size, at, findings) for polygon in segmentation]
    return tuple(part for part in parts if part is not None)


def _append(segmentation: list[Any], values: array[float], polygons: list[list[Any]]) -> int:
    """Append an annotation's polygons if they are lists of enough numbers; how many they were."""
    first, length = len(polygons), len(values)
    try:
        for polygon in segmentation:
            values.fromlist(polygon)  # refuses what is no list and what is no number
            polygons.append(polygon)
            if len(polygon) % 2 or len(polygon) < 6:
                raise ValueError
    except (TypeError, ValueError, OverflowError):
        del polygons[first:], values[length:]
    return len(polygons) - first


def _grouped(parts: Sequence[Part | None], counts: Sequence[int]) -> list[tuple[Part, ...] | None]:
    """The parts of each annotation; None where it has none, or one of them is None."""
    grouped: list[tuple[Part, ...] | None] = []
    first = 0
    for count in counts:
        if count == 1:
            part = parts[first]
            grouped.append(None if part is None else (part,))
        else:
            own = tuple(part for part in parts[first : first + count] if part is not None)
            grouped.append(own if count and len(own) == count else None)
        first += count
    return grouped


def _read_polygon(polygon: Any, size: Size, at: str, findings: Findings) -> Part | None:
    numbers = isinstance(polygon, list) and all(type(value) in (int, float) for value in polygon)
    if not numbers or len(polygon) % 2 or len(polygon) < 6:
        rule = "a polygon needs at least 3 points, as a flat list of x and y"
        findings.fault(at, rule, field="segmentation", value=reprlib.repr(polygon))
        return None
    pixels = np.array([float(str(value)) for value in polygon]).reshape(-1, 2)  # as text an endless number is infinite
    ring = clip(pixels / size, at, findings)
    if ring is None:
        return None
    if area(ring) == 0:
        findings.repair("polygons without area removed", at)
        return None
    return Part(ring)


def _read_mask(rle: dict[Any, Any], size: Size, at: str, findings: Findings) -> tuple[Part, ...]:
    width, height = size
    if rle.get("size") != [height, width]:
        rule = f"must be the image's height and width, [{height}, {width}]"
        findings.fault(at, rule, field="segmentation.size", value=reprlib.repr(rle.get("size")))
        return ()
    counts = rle.get("counts")
    try:
        if isinstance(counts, str):
            runs: Counts = parse_counts(counts)
        elif isinstance(counts, list) and set(map(type, counts)) <= {int}:
            runs = counts
        else:
            raise ValueError("it must be text or a list of whole numbers")
        parts = trace_columns(decode_changes(runs, height, width), height)
    except ValueError as exc:
        rule = f"cannot be decoded: {exc}"
        findings.fault(at, rule, field="segmentation.counts", value=reprlib.repr(counts))
        return ()
    if not parts:
        findings.repair("masks without a pixel removed", at)
    return tuple(part.scaled(1 / width, 1 / height) for part in parts)
