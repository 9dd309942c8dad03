"""What Ultralytics does with an image and its label file, most of it without a word.

The rules of `check_image` and `verify_image_label` (data/utils.py) and of `YOLODataset.verify_labels` (data/dataset.py)
in ultralytics 8.4.190, restated; tests compare them with the installed ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segsweep.dataset.pictures.header import Header
from segsweep.dataset.pictures.picture import MIN_SIDE_PX

_KINDS = frozenset({"JPEG", "PNG", "WebP", "BMP", "TIFF"})  # of what `read_header` knows
_JPEG_END = b"\xff\xd9"
_HIGHEST = 1.01  # of a label's box: centre, width and height as shares of the image
_LOWEST = -0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one image in training.

    Attributes:
        drops: Why the image is left out, objects and all; empty if it is used.
        removed_rows: Repeated label rows that are taken out.
        lacks_labels: Whether it is trained as background because it has no label file.
        is_boxes: Whether its rows are boxes: training for segmentation refuses the whole split.
        is_rewritten: Whether the image file itself is overwritten, compressed again.
        stops: Whether training ends with an error when it comes to the image.
    """

    drops: str = ""
    removed_rows: int = 0
    lacks_labels: bool = False
    is_boxes: bool = False
    is_rewritten: bool = False
    stops: bool = False


def judge_image(data: bytes, header: Header | None, is_readable: bool) -> Verdict:
    """What becomes of an image, whatever its labels.

    Args:
        data: The image file.
        header: Of it.
        is_readable: Whether it can be decoded in full.
    """
    if not is_readable:
        # Pillow, which checks the files, does not look at a BMP's pixels.
        is_unseen = header is not None and header.kind == "BMP"
        return Verdict(stops=True) if is_unseen else Verdict(drops="the image cannot be read")
    if header is None:
        return Verdict()
    if header.kind not in _KINDS:
        return Verdict(drops=f"the image is a {header.kind}")
    width, height = header.upright
    if min(width, height) < MIN_SIDE_PX:
        return Verdict(drops=f"the image is smaller than {MIN_SIDE_PX} pixels")
    return Verdict(is_rewritten=header.kind == "JPEG" and not data.endswith(_JPEG_END))


def judge_labels(data: bytes | None, classes: int) -> Verdict:
    """What becomes of an image that is fine itself.

    Args:
        data: Its label file; None if there is none.
        classes: How many classes data.yaml names.
    """
    if data is None:
        return Verdict(lacks_labels=True)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Verdict(drops="the label file is no text")
    rows = [row.split() for row in text.strip().splitlines() if row.strip()]
    if not rows:
        return Verdict()
    is_polygons = any(len(row) > 6 for row in rows)
    if is_polygons and any(len(row) == 5 for row in rows):
        return Verdict(drops="a row of 5 values, a box or a polygon of 2 points, among polygons")
    try:
        ids, points = _numbers(rows, is_polygons)
    except ValueError:
        return Verdict(drops="a row that is no class and points")
    boxes = _boxes(points) if is_polygons else np.array([ring.ravel() for ring in points])
    if reason := _reason(ids, boxes, classes):
        return Verdict(drops=reason)
    different = {(row_id, ring.tobytes()) for row_id, ring in zip(ids.tolist(), points, strict=True)}
    return Verdict(removed_rows=len(rows) - len(different), is_boxes=not is_polygons)


Floats = npt.NDArray[np.float32]


def _numbers(rows: Sequence[Sequence[str]], is_polygons: bool) -> tuple[Floats, list[Floats]]:
    """Class and points of each row; raises ValueError where Ultralytics' own reading raises."""
    if not is_polygons and any(len(row) != 5 for row in rows):
        raise ValueError("a box has 5 values")
    ids = np.array([row[0] for row in rows], dtype=np.float32)
    rings = [np.array(row[1:], dtype=np.float32).reshape(-1, 2) for row in rows]
    if any(len(ring) == 0 for ring in rings):
        raise ValueError("no points")
    return ids, rings


def _boxes(rings: Sequence[Floats]) -> Floats:
    low = np.array([ring.min(axis=0) for ring in rings])
    high = np.array([ring.max(axis=0) for ring in rings])
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def _reason(ids: Floats, boxes: Floats, classes: int) -> str:
    # Ultralytics looks at centre and size of the box around a polygon, not at its points. Written so that what is no
    # number fails.
    if not boxes.max() <= _HIGHEST:
        return "a coordinate too far outside the image"
    lowest = min(float(ids.min()), float(boxes.min()))
    if not (lowest >= 0 or (lowest >= _LOWEST and float(boxes[:, 2:].min()) >= 0)):
        return "a negative class or coordinate"
    if (ids % 1 != 0).any():
        return "a class that is no whole number"
    if ids.max() >= classes:
        return "a class that data.yaml does not name"
    return ""
