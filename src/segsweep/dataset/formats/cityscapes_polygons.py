"""`*_gtFine_polygons.json` drawn into the numbers of `*_gtFine_instanceIds.png`, as Cityscapes' own tool draws them.

Source: `cityscapesscripts/preparation/json2instanceImg.py`, release 2.3.0: polygons in their order, each over those
before it, with their border; `<label>group` is a group of that label and holds the id alone.
"""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segsweep.dataset.formats.cityscapes_labels import LABELS_NAME, PER_LABEL, Label
from segsweep.dataset.formats.index_png import MOST_PIXELS
from segsweep.dataset.formats.json_file import read_json
from segsweep.dataset.records import Findings

_GROUP = "group"
_MOST_BYTES = 1 << 24
_FARTHEST_PX = 1 << 20


@dataclass(frozen=True, eq=False)
class Drawing:
    """Polygons, drawn.

    Attributes:
        values: (height, width); numbers as in instanceIds.
        records: Number -> the records that were drawn with it, e.g. `objects[3]`; also where others cover them.
    """

    values: npt.NDArray[np.uint16]
    records: Mapping[int, str]


def draw_polygons(file: Path, where: str, by_name: Mapping[str, Label], findings: Findings) -> Drawing | None:
    """Draw the polygons of a file; None if it is wrong.

    Args:
        file: The JSON file.
        where: Its name, for messages.
        by_name: The labels there are.
        findings: Takes faults, all of them.
    """
    told = len(findings.problems)
    data = _load(file, where, findings)
    if data is None:
        return None
    width, height, objects = data.get("imgWidth"), data.get("imgHeight"), data.get("objects")
    if type(width) is not int or type(height) is not int or min(width, height) < 1 or width * height > MOST_PIXELS:
        value = reprlib.repr((width, height))
        findings.fault(where, "needs the image's width and height in pixels", field="imgWidth, imgHeight", value=value)
        return None
    if not isinstance(objects, list):
        findings.fault(where, "must be a list", field="objects", value=reprlib.repr(objects))
        return None
    drawing = Drawing(np.zeros((height, width), np.uint16), {})
    records: dict[int, str] = {}
    count: Counter[int] = Counter()
    for i, row in enumerate(objects):
        at = f"{where}: objects[{i}]"
        label, is_group = _find_label(row, by_name)
        if label is None:
            fix = f"list it in gtFine/{LABELS_NAME}"
            found = row.get("label") if isinstance(row, dict) else row
            findings.fault(at, "must be a label that is known", field="label", value=reprlib.repr(found), fix=fix)
            continue
        polygon = _read_polygon(row.get("polygon"), at, findings)
        if polygon is None or row.get("deleted") or label.id < 0:
            continue
        number = label.id
        if label.has_instances and not is_group:
            number = label.id * PER_LABEL + count[label.id]
            count[label.id] += 1
            if count[label.id] > PER_LABEL:
                findings.fault(at, f"an image holds at most {PER_LABEL} objects of one label", value=label.name)
                continue
        records.setdefault(number, f"objects[{i}]")
        cv2.fillPoly(drawing.values, [polygon], number)
    return Drawing(drawing.values, records) if len(findings.problems) == told else None


def _load(file: Path, where: str, findings: Findings) -> dict[str, Any] | None:
    told = len(findings.problems)
    data = read_json(file, _MOST_BYTES, where, findings)
    if len(findings.problems) > told:
        return None
    if not isinstance(data, dict):
        findings.fault(where, "must be an object", value=type(data).__name__)
        return None
    return data


def _find_label(row: Any, by_name: Mapping[str, Label]) -> tuple[Label | None, bool]:
    name = row.get("label") if isinstance(row, dict) else None
    if not isinstance(name, str):
        return None, False
    if name in by_name:  # `polegroup` is a label, not a group of poles
        return by_name[name], False
    return (by_name.get(name.removesuffix(_GROUP)), True) if name.endswith(_GROUP) else (None, False)


def _read_polygon(polygon: Any, at: str, findings: Findings) -> npt.NDArray[np.int32] | None:
    is_list = isinstance(polygon, list) and all(isinstance(point, list) and len(point) == 2 for point in polygon)
    if not is_list or len(polygon) < 3 or not all(type(value) in (int, float) for point in polygon for value in point):
        rule = "must be a list of at least 3 points, each [x, y]"
        findings.fault(at, rule, field="polygon", value=reprlib.repr(polygon))
        return None
    if not all(abs(value) <= _FARTHEST_PX for point in polygon for value in point):  # also what is not a number
        findings.fault(at, "coordinates must be pixels of the image", field="polygon", value=reprlib.repr(polygon))
        return None
    return np.rint(np.array(polygon, dtype=np.float64)).astype(np.int32)
