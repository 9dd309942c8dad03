"""The `segmentation` field of a COCO annotation: polygons, or a run-length mask in either spelling."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

from segsweep.core.geometry import Part, area, trace
from segsweep.dataset.formats.rle import decode_counts, decode_mask
from segsweep.dataset.labels import clip
from segsweep.dataset.records import Findings


def read_shape(segmentation: Any, size: tuple[int, int], at: str, findings: Findings) -> tuple[Part, ...]:
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


def _read_polygon(polygon: Any, size: tuple[int, int], at: str, findings: Findings) -> Part | None:
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


def _read_mask(rle: dict[Any, Any], size: tuple[int, int], at: str, findings: Findings) -> tuple[Part, ...]:
    width, height = size
    if rle.get("size") != [height, width]:
        rule = f"must be the image's height and width, [{height}, {width}]"
        findings.fault(at, rule, field="segmentation.size", value=reprlib.repr(rle.get("size")))
        return ()
    counts = rle.get("counts")
    try:
        if isinstance(counts, str):
            counts = decode_counts(counts)
        if not isinstance(counts, list) or not all(type(count) is int for count in counts):
            raise ValueError("it must be text or a list of whole numbers")
        mask = decode_mask(counts, height, width)
    except ValueError as exc:
        rule = f"cannot be decoded: {exc}"
        findings.fault(at, rule, field="segmentation.counts", value=reprlib.repr(counts))
        return ()
    parts = trace(mask)
    if not parts:
        findings.repair("masks without a pixel removed", at)
    return tuple(part.scaled(1 / width, 1 / height) for part in parts)
