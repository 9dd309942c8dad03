"""The `shapes` of a LabelMe file: polygons, rectangles, circles and masks, joined to objects by their group.

Coordinates are pixels, as a canvas has them: pixel `i` covers `[i, i + 1)`. A `mask` holds a PNG of the box between its
two points, both inclusive (labelme, `labelme/utils/shape.py`, `shapes_to_label`).
"""

from __future__ import annotations

import base64
import json
import re
import reprlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from segsweep.core.geometry import Mask, Part, Ring, area, fill, trace
from segsweep.dataset.labels import clip
from segsweep.dataset.pictures.codecs import decode
from segsweep.dataset.records import Findings, Instance

# The first lines of a labels.txt as LabelMe's own converters want it; neither is a class.
RESERVED_LABELS = ("__ignore__", "_background_")

_CROWD_FLAGS = ("crowd", "iscrowd")

# They have no area: a line of them is not an object's mask.
_WITHOUT_AREA = ("line", "linestrip", "point", "points")

_CIRCLE_ERROR_PX = 0.05

# Of pixels. Outlines often run along the centres of pixels, as halves of whole numbers and what rounding left of them:
# a thousandth of a pixel decides there about a whole row.
_DECIMALS = 6
_PNG = b"\x89PNG\r\n\x1a\n"

# LabelMe 3 had no groups: objects were told apart in their labels, `person-1`, `person-2`.
_NUMBERED = re.compile(r"(.+)-(\d+)")


@dataclass
class _Object:
    category: int
    crowd: bool = False
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Canvas:
    """What the shapes of one file are drawn on.

    Attributes:
        where: The file, for messages.
        size: Width and height of its image, pixels.
        major: Version of LabelMe that wrote it, its first number.
    """

    where: str
    size: tuple[int, int]
    major: int


def read_shapes(
    shapes: Sequence[Any], canvas: Canvas, category_of: Callable[[str], int], findings: Findings
) -> list[Instance]:
    """Objects of one file.

    Args:
        shapes: The file's `shapes`.
        canvas: What they are drawn on.
        category_of: Index of the class of a label; knows every label.
        findings: Takes faults and repairs, with file and shape.

    Returns:
        In the order of their first shapes.
    """
    objects: dict[object, _Object] = {}
    seen: set[tuple[str, ...]] = set()
    for i, shape in enumerate(shapes):
        at = f"{canvas.where}: shapes[{i}]"
        if not isinstance(shape, dict):
            findings.fault(at, "must be a mapping with label and points", value=reprlib.repr(shape))
            continue
        named = _read_label(shape, canvas.major, at, findings)
        if named is None:
            continue
        label, group = named
        key = tuple(json.dumps(shape.get(one)) for one in ("label", "group_id", "shape_type", "points", "mask"))
        if key in seen:
            findings.repair("duplicate shapes removed", at)
            continue
        seen.add(key)
        parts = _read_parts(shape, canvas.size, at, findings)
        if not parts:
            continue
        one = objects.setdefault((label, group) if group is not None else i, _Object(category_of(label)))
        one.parts += parts
        flags = shape.get("flags")
        one.crowd |= isinstance(flags, dict) and any(flags.get(flag) is True for flag in _CROWD_FLAGS)
    return [Instance(one.category, tuple(one.parts), one.crowd) for one in objects.values()]


def shapes_of(instance: Instance, label: str, group_id: int, size: tuple[int, int]) -> list[dict[str, Any]]:
    """How an object is written: a polygon a part, or one mask where there are holes.

    A polygon cannot say a hole. One bridged ring could, but LabelMe and its converters draw outlines, so that the
    bridge would become a line of pixels across the hole; a mask is exact there and here, at the size of the image.

    Args:
        instance: The object.
        label: Name of its class.
        group_id: A number that no other object of the image has.
        size: Width and height of the image, pixels.
    """
    width, height = size
    parts = [part.scaled(width, height) for part in instance.parts]
    common = {
        "label": label,
        "group_id": group_id if len(parts) > 1 else None,
        "description": "",
        "flags": {"crowd": True} if instance.crowd else {},
    }
    if any(part.holes for part in parts):
        mask = fill(parts, height, width)
        if mask.any():
            return [{**common, "group_id": None, "shape_type": "mask", **_mask_fields(mask)}]
    # An object of which no pixel is seen has no mask: its outline is what there is to keep.
    return [
        {**common, "shape_type": "polygon", "points": np.round(part.exterior, _DECIMALS).tolist(), "mask": None}
        for part in parts
    ]


def is_text(value: str) -> bool:
    """Whether a text can be written to a line of a file: no control characters, no halves of characters."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def _mask_fields(mask: Mask) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = (int(value) for value in (rows[0], rows[-1], columns[0], columns[-1]))
    done, png = cv2.imencode(".png", mask[top : bottom + 1, left : right + 1].astype(np.uint8))
    assert done  # encoding 8-bit grey to memory cannot fail
    return {"points": [[left, top], [right, bottom]], "mask": base64.b64encode(png.tobytes()).decode()}


def _read_label(shape: dict[Any, Any], major: int, at: str, findings: Findings) -> tuple[str, int | str | None] | None:
    label, group = shape.get("label"), shape.get("group_id")
    if not isinstance(label, str) or not label.strip() or not is_text(label):
        findings.fault(at, "must be the name of a class", field="label", value=reprlib.repr(label))
        return None
    label = label.strip()
    if label in RESERVED_LABELS:
        findings.repair(f"shapes labelled {' or '.join(RESERVED_LABELS)} left out", at)
        return None
    if group is not None and type(group) not in (int, str):
        findings.fault(at, "must be a number, or null", field="group_id", value=reprlib.repr(group))
        return None
    numbered = _NUMBERED.fullmatch(label) if major == 3 else None
    if numbered is not None and group is None:
        findings.repair("labels of LabelMe 3 that number the objects, class-number, read as class and object", at)
        return numbered[1], numbered[2]
    return label, group


def _read_parts(shape: dict[Any, Any], size: tuple[int, int], at: str, findings: Findings) -> tuple[Part, ...]:
    """Parts in fractions of the image; empty when there is nothing usable, which has been told."""
    kind = shape.get("shape_type") or "polygon"  # LabelMe 3 knew nothing else
    if kind in _WITHOUT_AREA:
        findings.repair(f"shapes without an area left out ({kind})", at)
        return ()
    readers = {"polygon": _polygon, "rectangle": _rectangle, "circle": _circle}
    if not isinstance(kind, str) or (kind != "mask" and kind not in readers):
        rule = f"must be one of {', '.join([*readers, 'mask'])}"
        findings.fault(at, rule, field="shape_type", value=reprlib.repr(kind))
        return ()
    points = _read_points(shape.get("points"))
    if points is None:
        rule = "must be a list of [x, y] in pixels"
        findings.fault(at, rule, field="points", value=reprlib.repr(shape.get("points")))
        return ()
    if kind == "mask":
        return _mask(points, shape.get("mask"), size, at, findings)
    ring = readers[kind](points, size, at, findings)
    if ring is None:
        return ()
    if area(ring) == 0:
        findings.repair("shapes of no extent removed", at)
        return ()
    return (Part(ring),)


def _read_points(points: Any) -> Ring | None:
    """Points in pixels, (n, 2), n at least 1; None if they are none."""
    if not isinstance(points, list) or not points:
        return None
    for point in points:
        if not isinstance(point, list) or len(point) != 2 or not all(type(value) in (int, float) for value in point):
            return None
    try:
        return np.array(points, dtype=np.float64)
    except OverflowError:  # whole numbers beyond any float
        return np.full((len(points), 2), np.inf)


def _polygon(points: Ring, size: tuple[int, int], at: str, findings: Findings) -> Ring | None:
    if len(points) < 3:
        findings.fault(at, "a polygon needs at least 3 points", value=f"{len(points)} points")
        return None
    return clip(points / size, at, findings)


def _rectangle(points: Ring, size: tuple[int, int], at: str, findings: Findings) -> Ring | None:
    if len(points) == 4:  # the corners, as some annotators write them
        return clip(points / size, at, findings)
    if len(points) != 2:
        findings.fault(at, "a rectangle needs 2 opposite corners", value=f"{len(points)} points")
        return None
    (x0, y0), (x1, y1) = points
    return clip(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) / size, at, findings)


def _circle(points: Ring, size: tuple[int, int], at: str, findings: Findings) -> Ring | None:
    if len(points) != 2:
        rule = "a circle needs 2 points, its centre and one on its edge"
        findings.fault(at, rule, value=f"{len(points)} points")
        return None
    if clip(points / size, at, findings) is None:
        return None
    centre, radius = points[0], float(np.hypot(*(points[1] - points[0])))
    # So many corners that the middle of a side is nowhere further than the error from the circle.
    corners = 16 if radius <= 4 else int(np.ceil(np.pi / np.arccos(1 - _CIRCLE_ERROR_PX / radius)))
    angles = np.arange(corners) * 2 * np.pi / corners
    # As large as the circle, not inscribed in it.
    radius *= float(np.sqrt(2 * np.pi / corners / np.sin(2 * np.pi / corners)))
    ring = (centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)) / size
    # Exact, as the centre is inside: what is beyond an edge is moved straight onto it.
    inside: Ring = ring.clip(0.0, 1.0)
    if (inside != ring).any():
        findings.repair("circles cut at the edge of the image", at)
    return inside


def _mask(points: Ring, text: Any, size: tuple[int, int], at: str, findings: Findings) -> tuple[Part, ...]:
    width, height = size
    if points.shape != (2, 2) or not ((points >= 0) & (points < size)).all() or not (points[0] <= points[1]).all():
        rule = "a mask needs 2 points inside the image, the first and the last pixel of its box"
        findings.fault(at, rule, field="points", value=reprlib.repr(points.tolist()))
        return ()
    (left, top), (right, bottom) = points.astype(np.int64).tolist()
    try:
        pixels = _decode_png(text, right - left + 1, bottom - top + 1)
    except ValueError as exc:
        findings.fault(at, str(exc), field="mask", value=reprlib.repr(text))
        return ()
    parts = trace(pixels)
    if not parts:
        findings.repair("masks without a pixel removed", at)
    offset = np.array([left, top])
    moved = [Part(part.exterior + offset, tuple(hole + offset for hole in part.holes)) for part in parts]
    return tuple(part.scaled(1 / width, 1 / height) for part in moved)


def _decode_png(text: Any, width: int, height: int) -> Mask:
    """Raises ValueError unless the text is a PNG of this size."""
    if not isinstance(text, str):
        raise ValueError("must be a PNG in base64")  # noqa: TRY004 - of the file, not of our caller
    try:
        data = base64.b64decode(text)
    except ValueError as exc:
        raise ValueError(f"must be a PNG in base64: {exc}") from exc
    # Looked at before it is decoded: a small file can claim a size that takes all memory.
    size = (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    if not data.startswith(_PNG) or size != (width, height) or b"IEND" not in data[-64:]:
        raise ValueError(f"must be a whole PNG of the size of its box, {width}x{height}")
    decoded = decode(data, cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.shape[:2] != (height, width):
        raise ValueError("must be a PNG that can be decoded")
    return np.asarray(decoded.reshape(height, width, -1)[..., :3].any(axis=2))
