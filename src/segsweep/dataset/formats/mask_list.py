"""`masks.jsonl`: what the numbers of each image's masks are; one line an image, so that it is never in memory whole.

The first line is `{"format": "mask_png", "version": 1, "classes": [...]}`. Each further line is

    {"image": "images/a.jpg", "split": "train", "group": "a",
     "masks": [{"file": "masks/a.png", "objects": [{"index": 1, "class": "cat"}, {"index": 2, "class": "cat"}]}]}

with paths from the folder of `masks.jsonl` on. `split` and `group` may be absent; `"crowd": true` marks a region of
many objects. In place of `index` an object may have a `colour`, `[r, g, b]` or `"#rrggbb"`: all objects of one mask
have the one or the other.
"""

from __future__ import annotations

import io
import json
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from segsweep.dataset.formats.mask_table import parse_colour
from segsweep.dataset.records import SPLITS, UNSPLIT, Findings
from segsweep.storage.plain import open_plain

LIST_NAME = "masks.jsonl"

_FORMAT, _VERSION = "mask_png", 1
_LONGEST_LINE = 1 << 24  # characters


@dataclass(frozen=True)
class MaskObject:
    """One object of a mask.

    Attributes:
        code: Its number in the mask, or its colour as one number.
        category: Index of its class.
        crowd: Whether it is a region of many.
    """

    code: int
    category: int
    crowd: bool = False


@dataclass(frozen=True)
class ListedMask:
    """One mask file of an image.

    Attributes:
        file: Path from the dataset's folder on.
        is_colour: Whether objects are told by colour.
        objects: Its objects, told apart by their codes.
    """

    file: str
    is_colour: bool
    objects: tuple[MaskObject, ...]


@dataclass(frozen=True)
class ListedImage:
    """One line.

    Attributes:
        line: Its number.
        image: Path from the dataset's folder on.
        split: One of `SPLITS`, or `UNSPLIT`.
        group: Which scene it shows; empty if the line does not say.
        masks: Its masks; none for a background image.
    """

    line: int
    image: str
    split: str
    group: str
    masks: tuple[ListedMask, ...]


def format_header(classes: Sequence[str]) -> str:
    """The first line."""
    return _dump({"format": _FORMAT, "version": _VERSION, "classes": list(classes)})


def format_image(image: ListedImage, classes: Sequence[str]) -> str:
    """The line of an image; masks of colours are read, not written."""
    masks = [
        {
            "file": mask.file,
            "objects": [
                {"index": one.code, "class": classes[one.category]} | ({"crowd": True} if one.crowd else {})
                for one in mask.objects
            ],
        }
        for mask in image.masks
    ]
    split = {"split": image.split} if image.split else {}
    return _dump({"image": image.image, **split, "group": image.group, "masks": masks})


def read_classes(file: Path, findings: Findings) -> tuple[str, ...]:
    """Class names, from the first line; none if it is not right."""
    told = len(findings.problems)
    number, row = next(_rows(file, findings), (0, None))
    if row is None or number != 1:
        if len(findings.problems) == told:
            findings.fault(f"{file.name}:1", "the first line must hold the classes")
        return ()
    at = f"{file.name}:1"
    if row.get("format") != _FORMAT or row.get("version") != _VERSION:
        value = f"{row.get('format')!r} {row.get('version')!r}"
        findings.fault(at, f"must be format {_FORMAT}, version {_VERSION}", value=value)
        return ()
    names = row.get("classes")
    if not isinstance(names, list) or not all(
        isinstance(name, str) and name.isprintable() and name.strip() for name in names
    ):
        findings.fault(at, "must be a list of printable names", field="classes", value=reprlib.repr(names))
        return ()
    if len(set(names)) < len(names):
        findings.fault(at, "names must differ", field="classes", value=reprlib.repr(names))
    return tuple(names)


def read_list(file: Path, classes: Sequence[str], findings: Findings) -> Iterator[ListedImage]:
    """The lines after the first that are right; what is wrong with the others is a fault each."""
    position = {name: index for index, name in enumerate(classes)}
    for number, row in _rows(file, findings):
        at = f"{file.name}:{number}"
        if number == 1:
            continue
        image, split, group = _path(row.get("image")), row.get("split", UNSPLIT), row.get("group", "")
        masks = row.get("masks")
        if image is None:
            rule, value = "must be a path inside the dataset", reprlib.repr(row.get("image"))
            findings.fault(at, rule, field="image", value=value)
        elif split not in (*SPLITS, UNSPLIT):
            findings.fault(at, f"must be one of {', '.join(SPLITS)}", field="split", value=reprlib.repr(split))
        elif not _is_text(group):
            findings.fault(at, "must be text", field="group", value=reprlib.repr(group))
        elif not isinstance(masks, list):
            findings.fault(at, "must be a list", field="masks", value=reprlib.repr(masks))
        else:
            read = [_read_mask(mask, f"masks[{i}]", at, position, findings) for i, mask in enumerate(masks)]
            kept = tuple(mask for mask in read if mask is not None)
            if len(kept) == len(masks):
                yield ListedImage(number, image, split, group, kept)


def _rows(file: Path, findings: Findings) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with io.TextIOWrapper(open_plain(file), encoding="utf-8-sig") as opened:
            number = 0
            while line := opened.readline(_LONGEST_LINE):
                number += 1
                if not line.strip():
                    continue
                if len(line) == _LONGEST_LINE:
                    findings.fault(f"{file.name}:{number}", f"a line must be shorter than {_LONGEST_LINE} characters")
                    return
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as exc:
                    findings.fault(f"{file.name}:{number}", f"must be JSON: {exc}")
                    continue
                if isinstance(row, dict):
                    yield number, row
                else:
                    findings.fault(f"{file.name}:{number}", "must be an object", value=type(row).__name__)
    except UnicodeDecodeError as exc:
        findings.fault(file.name, f"must be UTF-8: {exc.reason}")
    except OSError as exc:
        findings.fault(file.name, f"cannot be read: {exc.strerror}")


def _read_mask(mask: Any, field: str, at: str, position: dict[str, int], findings: Findings) -> ListedMask | None:
    file = _path(mask.get("file")) if isinstance(mask, dict) else None
    objects = mask.get("objects") if isinstance(mask, dict) else None
    if file is None or not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
        findings.fault(
            at, "needs a file inside the dataset and a list of objects", field=field, value=reprlib.repr(mask)
        )
        return None
    is_colour = any("colour" in one for one in objects)
    read: dict[int, MaskObject] = {}
    faults = 0
    for i, one in enumerate(objects):
        inner = f"{field}.objects[{i}]"
        index, category, crowd = one.get("index"), position.get(str(one.get("class"))), one.get("crowd", False)
        code = parse_colour(one.get("colour")) if is_colour else index if type(index) is int else None
        if not code or not 0 < code < 1 << 24 or (is_colour and "index" in one):
            rule, value = "needs an index, or all objects of the mask a colour; 0 and black are the background", one
        elif category is None:
            rule, value = "must be one of the classes of the first line", one.get("class")
            inner += ".class"
        elif type(crowd) is not bool:
            rule, value = "crowd must be true or false", crowd
        elif code in read:
            rule, value = "is another object of this mask already", one
        else:
            read[code] = MaskObject(code, category, crowd)
            continue
        findings.fault(at, rule, field=inner, value=reprlib.repr(value))
        faults += 1
    return None if faults else ListedMask(file, is_colour, tuple(read.values()))


def _path(value: Any) -> str | None:
    path = PurePosixPath(value if _is_text(value) else "")
    return None if not path.name or path.is_absolute() or ".." in path.parts or "\0" in str(path) else str(path)


def _is_text(value: Any) -> bool:
    """Whether it is text that UTF-8 can hold: half a surrogate pair, as JSON may escape it, is in no file name."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _dump(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
