"""The labels of Cityscapes, and those of a tree that is laid out like it.

`LABELS` repeats names, ids and whether instances are told apart from `cityscapesscripts/helpers/labels.py`, release
2.3.0, so that reading needs no package of plotting and windows; a test compares the two.

A tree of other classes says so in `gtFine/labels.json`, which then stands in the place of `LABELS`:

    {"format": "cityscapes", "version": 1, "splits": {"train": "train", "val": "val"},
     "labels": [{"name": "cat", "id": 34, "hasInstances": true}]}

`splits` maps the folders in use to `train`, `val`, `test` or, for images in no split, to "".
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from segsweep.dataset.formats.json_file import read_json
from segsweep.dataset.records import SPLITS, UNSPLIT, Findings
from segsweep.errors import DatasetError, Problem

LABELS_NAME = "labels.json"
PER_LABEL = 1000  # instanceIds holds id * 1000 + number of the object
HIGHEST_ID = 64  # id * 1000 + 999 must fit 16 bits

_FORMAT, _VERSION = "cityscapes", 1
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Label:
    """One label.

    Attributes:
        name: Its name.
        id: What masks hold for it; below 0 for what is drawn into none.
        has_instances: Whether its objects are told apart; if not, an image has one region of it.
    """

    name: str
    id: int
    has_instances: bool = False


LABELS = (
    Label("unlabeled", 0),
    Label("ego vehicle", 1),
    Label("rectification border", 2),
    Label("out of roi", 3),
    Label("static", 4),
    Label("dynamic", 5),
    Label("ground", 6),
    Label("road", 7),
    Label("sidewalk", 8),
    Label("parking", 9),
    Label("rail track", 10),
    Label("building", 11),
    Label("wall", 12),
    Label("fence", 13),
    Label("guard rail", 14),
    Label("bridge", 15),
    Label("tunnel", 16),
    Label("pole", 17),
    Label("polegroup", 18),
    Label("traffic light", 19),
    Label("traffic sign", 20),
    Label("vegetation", 21),
    Label("terrain", 22),
    Label("sky", 23),
    Label("person", 24, has_instances=True),
    Label("rider", 25, has_instances=True),
    Label("car", 26, has_instances=True),
    Label("truck", 27, has_instances=True),
    Label("bus", 28, has_instances=True),
    Label("caravan", 29, has_instances=True),
    Label("trailer", 30, has_instances=True),
    Label("train", 31, has_instances=True),
    Label("motorcycle", 32, has_instances=True),
    Label("bicycle", 33, has_instances=True),
    Label("license plate", -1),
)

# What the benchmark of instances evaluates, in the order of its ids.
EVALUATED = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")


@dataclass(frozen=True)
class LabelTable:
    """The labels of a tree.

    Attributes:
        labels: All of them.
        classes: Those read where nobody asks for others.
        splits: Folder -> split; None for Cityscapes itself, whose splits are dealt by its reader.
    """

    labels: tuple[Label, ...] = LABELS
    classes: tuple[str, ...] = EVALUATED
    splits: Mapping[str, str] | None = None
    by_id: Mapping[int, Label] = field(init=False)
    by_name: Mapping[str, Label] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {label.id: label for label in self.labels})
        object.__setattr__(self, "by_name", {label.name: label for label in self.labels})


def assign_labels(classes: Sequence[str]) -> tuple[Label, ...]:
    """A label for each class: its own if Cityscapes tells its objects apart, else one with a free id, 34 and up first.

    Raises:
        DatasetError: There are more classes than ids.
    """
    official = {label.name: label for label in LABELS if label.has_instances}
    taken = {official[name].id for name in classes if name in official}
    free = [number for number in (*range(34, HIGHEST_ID + 1), *range(1, 34)) if number not in taken]
    others = [name for name in classes if name not in official]
    if len(others) > len(free):
        rule = f"masks of Cityscapes hold at most {HIGHEST_ID} classes"
        fix = "write another format, e.g. coco"
        raise DatasetError(Problem("classes", rule, value=f"{len(classes)} classes", fix=fix))
    ids = dict(zip(others, free, strict=False))
    return tuple(official.get(name) or Label(name, ids[name], has_instances=True) for name in classes)


def format_labels(labels: Sequence[Label], splits: Mapping[str, str]) -> str:
    """The text of `labels.json`."""
    rows = [{"name": label.name, "id": label.id, "hasInstances": label.has_instances} for label in labels]
    data = {"format": _FORMAT, "version": _VERSION, "splits": dict(splits), "labels": rows}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def read_labels(file: Path, where: str, findings: Findings) -> LabelTable:
    """The labels of a tree: those of its `labels.json`, or Cityscapes' own where it has none.

    Args:
        file: Where `labels.json` would be.
        where: Its name, for messages.
        findings: Takes faults, all of them.
    """
    if not file.is_file():
        return LabelTable()
    data = _load(file, where, findings)
    if data is None:
        return LabelTable()
    labels = _read_rows(data.get("labels"), where, findings)
    splits = data.get("splits")
    allowed = (*SPLITS, UNSPLIT)
    if not isinstance(splits, dict) or not all(split in allowed for split in splits.values()):
        rule = f"must map folders to {', '.join(SPLITS)} or an empty text"
        findings.fault(where, rule, field="splits", value=reprlib.repr(splits))
        splits = {}
    return LabelTable(labels, tuple(label.name for label in labels), splits)


def _load(file: Path, where: str, findings: Findings) -> dict[str, Any] | None:
    told = len(findings.problems)
    data = read_json(file, _MOST_BYTES, where, findings)
    if len(findings.problems) > told:
        return None
    if not isinstance(data, dict) or data.get("format") != _FORMAT or data.get("version") != _VERSION:
        findings.fault(where, f"must be format {_FORMAT}, version {_VERSION}")
        return None
    return data


def _read_rows(rows: Any, where: str, findings: Findings) -> tuple[Label, ...]:
    if not isinstance(rows, list) or not rows:
        findings.fault(where, "must be a list of labels", field="labels", value=reprlib.repr(rows))
        return ()
    labels: list[Label] = []
    for i, row in enumerate(rows):
        name, number, told_apart = (
            (row.get("name"), row.get("id"), row.get("hasInstances", True)) if isinstance(row, dict) else (None,) * 3
        )
        if not _is_name(name) or type(number) is not int or type(told_apart) is not bool:
            rule = "needs a printable name, a whole number id, and hasInstances true or false"
        elif not 1 <= number <= HIGHEST_ID:
            rule = f"an id must be from 1 to {HIGHEST_ID}"
        elif any(name == label.name or number == label.id for label in labels):
            rule = "names and ids must differ"
        else:
            labels.append(Label(name, number, told_apart))
            continue
        findings.fault(where, rule, field=f"labels[{i}]", value=reprlib.repr(row))
    return tuple(labels)


def _is_name(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and value.isprintable() and bool(value.strip())
