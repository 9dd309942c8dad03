"""YOLO label rows: `class x1 y1 x2 y2 ...`, one polygon a row, coordinates as fractions of width and height."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from segsweep.core.geometry import Part, Ring, area, bridge, separate
from segsweep.dataset.records import Findings, Instance

# Ultralytics drops the whole image when a coordinate is beyond this (data/utils.py, verify_image_label).
TOLERANCE = 0.01 + 1e-9

# No label file of one image is honestly larger: 8 MiB hold 400,000 points.
MOST_LABEL_BYTES = 1 << 23

_DECIMALS = 6
_THIN_ABOVE = 200  # vertices
_THIN_PX = 0.25
_PIECE = 2048  # vertices


def format_labels(instances: Sequence[Instance], width: int, height: int) -> str:
    """Write instances as label rows; parts and holes become one bridged polygon.

    Args:
        instances: Of one image.
        width: Of the image the rows are for, in pixels. Outlines of very many vertices are thinned to what a quarter of
            its pixels can show, for Ultralytics resamples every polygon of an image to the longest.
        height: As `width`.

    Returns:
        One line an instance, each ending with a newline; empty for none.
    """
    return "".join(f"{one.category} {_coordinates(one, width, height)}\n" for one in instances)


def parse_labels(text: str, where: str, classes: Sequence[int], findings: Findings) -> tuple[Instance, ...]:
    """Read label rows.

    Args:
        text: Content of a label file.
        where: Its name, for messages.
        classes: Class ids as the rows use them, in order: an instance's category is the index of its id.
        findings: Takes faults and repairs, with file and line.

    Returns:
        The instances of the rows that are right.
    """
    position = {class_id: index for index, class_id in enumerate(classes)}
    seen: set[tuple[str, ...]] = set()
    instances = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        tokens = tuple(line.split())
        at = f"{where}:{number}"
        if not tokens:
            continue
        if tokens in seen:
            findings.repair("duplicate rows removed", at)
            continue
        seen.add(tokens)
        ring = _parse_ring(tokens[1:], at, findings)
        category = _parse_class(tokens[0], position, at, findings)
        if ring is None or category is None:
            continue
        if area(ring) == 0:
            findings.repair("polygons without area removed", at)
            continue
        instances.append(Instance(category, (Part(ring),)))
    return tuple(instances)


def clip(ring: Ring, at: str, findings: Findings) -> Ring | None:
    """The ring inside the image: coordinates up to 1 % outside are moved to the edge, further ones are a fault."""
    inside = ring.clip(0.0, 1.0)
    outside = np.abs(ring - inside).max()
    if not outside <= TOLERANCE:  # also when it is not a number
        worst = ring.flat[int(np.nanargmax(np.abs(ring - inside)))] if np.isfinite(ring).any() else np.nan
        findings.fault(at, "coordinates must be fractions of the image's size, 0 to 1", value=f"{worst:g}")
        return None
    if outside > 0:
        findings.repair("coordinates up to 1 % outside the image moved to its edge", at)
    return inside


def _coordinates(instance: Instance, width: int, height: int) -> str:
    pixels = [_thinned(part.scaled(width, height)) for part in instance.parts]
    ring = bridge(separate(pixels, height, width)) / (width, height)
    return " ".join(f"{value:.{_DECIMALS}f}" for value in ring.ravel().tolist())


def _thinned(part: Part) -> Part:
    return Part(_thin(part.exterior), tuple(_thin(hole) for hole in part.holes))


def _thin(ring: Ring) -> Ring:
    if len(ring) <= _THIN_ABOVE:
        return ring
    # Douglas and Peucker's algorithm takes the square of the vertices where they zigzag: very long rings go in pieces.
    line = np.concatenate([ring, ring[:1]]).astype(np.float32)
    pieces = [line[at : at + _PIECE + 1] for at in range(0, len(ring), _PIECE)]
    if len(pieces) == 1:
        thin = cv2.approxPolyDP(line[:-1], _THIN_PX, closed=True).reshape(-1, 2)
    else:
        thin = np.concatenate([cv2.approxPolyDP(one, _THIN_PX, closed=False).reshape(-1, 2)[:-1] for one in pieces])
    return thin.astype(np.float64) if len(thin) >= 3 else ring


def _parse_class(token: str, position: dict[int, int], at: str, findings: Findings) -> int | None:
    try:
        return position[int(token)]
    except ValueError:
        findings.fault(at, "the class id must be a whole number", value=token)
    except KeyError:
        known = f"0 to {len(position) - 1}" if list(position) == list(range(len(position))) else str(sorted(position))
        findings.fault(at, f"the class id must be one of data.yaml's names, {known}", value=token)
    return None


def _parse_ring(tokens: tuple[str, ...], at: str, findings: Findings) -> Ring | None:
    if len(tokens) == 4:
        fix = "segment it, or remove the row: Ultralytics would drop the whole image"
        findings.fault(at, "a row must be a polygon, this is a box (5 values)", fix=fix)
        return None
    if len(tokens) % 2:
        findings.fault(at, "coordinates must come in pairs", value=f"{len(tokens)} numbers")
        return None
    if len(tokens) < 6:
        findings.fault(at, "a polygon needs at least 3 points", value=f"{len(tokens) // 2} points")
        return None
    try:
        ring = np.array([float(token) for token in tokens]).reshape(-1, 2)
    except ValueError as exc:
        findings.fault(at, "coordinates must be numbers", value=str(exc).rpartition(": ")[2])
        return None
    return clip(ring, at, findings)
