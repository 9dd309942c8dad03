"""YOLO label rows: `class x1 y1 x2 y2 ...`, one polygon a row, coordinates as fractions of width and height."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import orjson

from segsweep.core.geometry import Part, Ring, area, bridge, separate, unbridge
from segsweep.dataset.records import Findings, Instance
from segsweep.errors import DatasetError, Problem

# Ultralytics drops the whole image when a coordinate is beyond this (data/utils.py, verify_image_label).
TOLERANCE = 0.01 + 1e-9

# No label file of one image is honestly larger: 8 MiB hold 400,000 points.
MOST_LABEL_BYTES = 1 << 23

# Below this area, as a fraction of the image, rounding decides whether a ring has one.
_SURE_AREA = 1e-12

# What becomes of a row with a fault if one trains on it as it is (data/utils.py, verify_image_label).
_DROPS = "Ultralytics would drop the whole image and say so in one line of its log"

_DECIMALS = 8  # at 6, edges along the centres of pixels lose up to a row of them on pictures of 640 pixels
# A number as text, and what its fields may hold: a table of four digits takes half the divisions of one digit each.
_NUMBER = np.dtype([("whole", "S3"), ("high", "S4"), ("low", "S4")])
_WHOLE = np.array([f" {number}." for number in range(10)], "S3")
_FOUR_DIGITS = np.array([f"{number:04d}" for number in range(10_000)], "S4")
_THIN_ABOVE = 200  # vertices
_THIN_PX = 0.25
_PIECE = 2048  # vertices

Indices = npt.NDArray[np.int64]


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
    if not instances:
        return ""
    rings = [_joined(one, width, height) for one in instances]
    text = _as_text(np.concatenate(rings).ravel())
    rows = []
    start = 0
    for one, ring in zip(instances, rings, strict=True):
        end = start + 2 * len(ring) * _NUMBER.itemsize
        rows.append(f"{one.category}{text[start:end]}\n")
        start = end
    return "".join(rows)


def parse_labels(text: str, where: str, classes: Sequence[int], findings: Findings) -> tuple[Instance, ...]:
    """Read label rows.

    Args:
        text: Content of a label file.
        where: Its name, for messages.
        classes: Class ids as the rows use them, in order: an instance's category is the index of its id.
        findings: Takes faults and repairs, with file and line.

    Returns:
        The instances of the rows that are right; bridged polygons are parts and holes again.
    """
    position = {class_id: index for index, class_id in enumerate(classes)}
    rows = text.removeprefix("\ufeff").splitlines()
    quick = _parse_clean(rows, position)
    if quick is not None:
        return quick
    seen: set[tuple[str, ...]] = set()
    instances = []
    for number, line in enumerate(rows, start=1):
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
        has_bridges = _with_repeats(ring, np.array([0]), np.array([len(ring)]))
        instances.append(Instance(category, unbridge(ring) if has_bridges else (Part(ring),)))
    return tuple(instances)


def read_labels(image: Path, classes: int) -> tuple[Instance, ...]:
    """The instances of an image of a bundle's node copy.

    Args:
        image: `<root>/images/<split>/<name>`; its labels are `<root>/labels/<split>/<stem>.txt`.
        classes: How many the bundle has.

    Raises:
        DatasetError: The label file cannot be read, or rows of it are wrong.
    """
    label = image.parents[2] / "labels" / image.parent.name / f"{image.stem}.txt"
    findings = Findings()
    try:
        text = label.read_text(encoding="utf-8")
    except OSError as exc:
        raise DatasetError(Problem(str(label), f"the label file cannot be read: {exc.strerror}")) from exc
    instances = parse_labels(text, str(label), range(classes), findings)
    if findings.problems:
        raise DatasetError(findings.problems)
    return instances


def clip(ring: Ring, at: str, findings: Findings, fix: str = "") -> Ring | None:
    """The ring inside the image: coordinates up to 1 % outside are moved to the edge, further ones are a fault."""
    inside = ring.clip(0.0, 1.0)
    outside = np.abs(ring - inside).max()
    if not outside <= TOLERANCE:  # also when it is not a number
        worst = ring.flat[int(np.nanargmax(np.abs(ring - inside)))] if np.isfinite(ring).any() else np.nan
        findings.fault(at, "coordinates must be fractions of the image's size, 0 to 1", value=f"{worst:g}", fix=fix)
        return None
    if outside > 0:
        findings.repair("coordinates up to 1 % outside the image moved to its edge", at)
    return inside


def are_clean(points: Ring, starts: Indices, lengths: Indices) -> npt.NDArray[np.bool_]:
    """Of many rings, which lie inside the image and surely have an area: nothing is to be clipped or removed.

    Args:
        points: Those of all rings, one after the other, (n, 2), fractions.
        starts: Index of each ring's first point.
        lengths: Points of each ring.
    """
    flat = points.ravel()
    outside = np.flatnonzero(~((flat >= 0) & (flat <= 1)))  # also what is not a number
    # The shoelace formula from each ring's first point, which is then the origin: the step to the next ring adds 0.
    with np.errstate(all="ignore"):  # what overflows is not inside
        x, y = (points - np.repeat(points[starts], lengths, axis=0)).T
        steps = np.zeros(len(points))
        steps[:-1] = x[:-1] * y[1:] - y[:-1] * x[1:]
        clean = np.abs(np.add.reduceat(steps, starts)) > _SURE_AREA
    clean[np.searchsorted(starts, outside >> 1, side="right") - 1] = False
    return np.asarray(clean)


def _joined(instance: Instance, width: int, height: int) -> Ring:
    """One ring, in fractions."""
    part = instance.parts[0]
    if len(instance.parts) == 1 and not part.holes and len(part.exterior) <= _THIN_ABOVE:
        return part.exterior
    pixels = [_thinned(part.scaled(width, height)) for part in instance.parts]
    return bridge(separate(pixels, height, width)) / (width, height)


def _as_text(values: npt.NDArray[np.float64]) -> str:
    """Each number, not negative and below ten, as a space and a digit before the point and eight behind it."""
    high, low = np.divmod(np.rint(values * 10**_DECIMALS).astype(np.uint32), np.uint32(10_000))
    whole, high = np.divmod(high, np.uint32(10_000))
    numbers = np.empty(len(values), _NUMBER)
    numbers["whole"], numbers["high"], numbers["low"] = _WHOLE[whole], _FOUR_DIGITS[high], _FOUR_DIGITS[low]
    return numbers.tobytes().decode("ascii")


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


def _parse_clean(rows: Sequence[str], position: dict[int, int]) -> tuple[Instance, ...] | None:
    """The instances, if nothing is to be said about any row; None where the rows must be looked at one by one."""
    rows = [row.strip() for row in rows if row and not row.isspace()]
    if not rows:
        return ()
    # Numbers and spaces are JSON but for the commas, and nothing reads JSON numbers as fast. True and false are none.
    joined = "],[".join(rows)
    if len(set(rows)) < len(rows) or "t" in joined or "f" in joined:
        return None
    numbers = array("d")
    try:
        table: list[list[Any]] = orjson.loads(f"[[{joined.replace(' ', ',')}]]")
        for row in table:
            numbers.fromlist(row[1:])
        categories = [position[row[0]] for row in table if type(row[0]) is int and len(row) >= 7 and len(row) % 2]
    except (orjson.JSONDecodeError, TypeError, LookupError, OverflowError):
        return None
    if not len(categories) == len(table) == len(rows):
        return None
    points = np.frombuffer(numbers).reshape(-1, 2)
    lengths = np.array([len(row) for row in table]) >> 1
    ends = np.cumsum(lengths)
    starts = ends - lengths
    if not are_clean(points, starts, lengths).all():
        return None
    bridged = _with_repeats(points, starts, lengths)
    return tuple(
        Instance(category, unbridge(points[start:end]) if index in bridged else (Part(points[start:end]),))
        for index, (category, start, end) in enumerate(zip(categories, starts.tolist(), ends.tolist(), strict=True))
    )


def _with_repeats(points: Ring, starts: Indices, lengths: Indices) -> set[int]:
    """Which rings come back to a point where they have been, as those with bridges do."""
    ring = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((points[:, 1], points[:, 0], ring))
    first, second = order[:-1], order[1:]
    same = (points[first] == points[second]).all(axis=1) & (ring[first] == ring[second])
    first, second = first[same], second[same]
    # A point that is only written twice, as where a ring was clipped or closed, is left out.
    closes = second - first == lengths[ring[first]] - 1
    return set(ring[first[(second - first > 1) & ~closes]].tolist())


def _parse_class(token: str, position: dict[int, int], at: str, findings: Findings) -> int | None:
    try:
        return position[int(token)]
    except ValueError:
        findings.fault(at, "the class id must be a whole number", value=token, fix=_DROPS)
    except KeyError:
        known = f"0 to {len(position) - 1}" if list(position) == list(range(len(position))) else str(sorted(position))
        findings.fault(at, f"the class id must be one of data.yaml's names, {known}", value=token, fix=_DROPS)
    return None


def _parse_ring(tokens: tuple[str, ...], at: str, findings: Findings) -> Ring | None:
    if len(tokens) == 4:
        findings.fault(at, "a row must be a polygon, this is a box (5 values)", fix=f"segment it: {_DROPS}")
        return None
    if len(tokens) % 2:
        findings.fault(at, "coordinates must come in pairs", value=f"{len(tokens)} numbers", fix=_DROPS)
        return None
    if len(tokens) < 6:
        findings.fault(at, "a polygon needs at least 3 points", value=f"{len(tokens) // 2} points", fix=_DROPS)
        return None
    try:
        ring = np.array([float(token) for token in tokens]).reshape(-1, 2)
    except ValueError as exc:
        findings.fault(at, "coordinates must be numbers", value=str(exc).rpartition(": ")[2], fix=_DROPS)
        return None
    return clip(ring, at, findings, _DROPS)
