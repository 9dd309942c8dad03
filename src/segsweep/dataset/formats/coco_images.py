"""The `images` of a COCO file: their sizes, and where their files lie."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from segsweep.dataset.formats.coco_document import Document, integer, shown
from segsweep.dataset.records import Findings

_MOST_PIXELS = 1 << 28  # of an image: a wrong size must not take all memory when a mask is unpacked

Size = tuple[int, int]


class ImageFile(NamedTuple):
    """An image whose file is there.

    Attributes:
        image_id: As annotations name it.
        path: The file.
        name: Its path in the dataset.
        size: Width and height, pixels.
    """

    image_id: int
    path: Path
    name: str
    size: Size


def read_sizes(document: Document, root: Path, findings: Findings) -> dict[int, Size]:
    """Width and height, pixels, of each image by its id; of those whose row is right."""
    where = shown(document.file, root)
    sizes: dict[int, Size] = {}
    for i, row in enumerate(document.images):
        problem = _problem(row, sizes)
        if problem is None:
            sizes[row["id"]] = (row["width"], row["height"])
        else:
            rule, field, value = problem
            findings.fault(f"{where}: images[{i}]", rule, field=field, value=value)
    return sizes


def find_images(document: Document, sizes: Mapping[int, Size], root: Path, findings: Findings) -> Iterator[ImageFile]:
    """The images of the file whose rows are right, in their order."""
    where = shown(document.file, root)
    folders = _image_folders(document, root)
    files = _Files()
    left = dict(sizes)
    for i, row in enumerate(document.images):
        image_id, file_name = integer(row["id"]), row["file_name"]
        size = None if image_id is None else left.pop(image_id, None)
        if image_id is None or size is None:
            continue
        # Text is tried first: a Path for each guess would take as long as to parse the row.
        path = next((path for folder in folders if files.has(path := f"{folder}/{file_name}")), None)
        if path is None:
            fix = f"looked in {', '.join(shown(folder, root) for folder in folders)}"
            findings.fault(f"{where}: images[{i}]", "the image file is not there", value=_printable(file_name), fix=fix)
            continue
        place = Path(path)
        yield ImageFile(image_id, place, str(place).removeprefix(f"{root}/"), size)


class _Files:
    """Which files there are; a folder is asked once for all that are in it."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}

    def has(self, path: str) -> bool:
        """Whether there is a file, or a link to one."""
        folder, _, name = path.rpartition("/")
        names = self._names.get(folder)
        if names is None:
            names = self._names[folder] = _names_in(folder)
        return name in names


def _names_in(folder: str) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if _is_file(entry))
    except (OSError, ValueError):  # no folder, none that may be read, or no name of one
        return frozenset()


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads in a circle
        return False


def _problem(row: Mapping[str, Any], sizes: Mapping[int, Size]) -> tuple[str, str, str] | None:
    """Rule, field and value of what is wrong with a row."""
    image_id, width, height = (integer(row[key]) for key in ("id", "width", "height"))
    name = row["file_name"]
    steps = [step for step in name.split("/") if step not in ("", ".")] if isinstance(name, str) else []
    if image_id is None:
        return "must be a whole number", "id", reprlib.repr(row["id"])
    if image_id in sizes:
        return "ids of images must differ", "id", str(image_id)
    if width is None or height is None or min(width, height) < 1 or width * height > _MOST_PIXELS:
        return "needs width and height in pixels", "", f"{reprlib.repr(row['width'])} x {reprlib.repr(row['height'])}"
    if not steps or name.startswith("/") or ".." in steps:
        return "must be a path inside the dataset", "file_name", reprlib.repr(name)
    return None


def _printable(name: str) -> str:
    """The name with what no terminal can show, halves of surrogate pairs, spelled out."""
    return name.encode("utf-8", "backslashreplace").decode()


def _image_folders(document: Document, root: Path) -> list[Path]:
    """Where the images of a JSON file may lie, most likely first."""
    beside, stem = document.file.parent, document.file.stem.removeprefix("instances_")
    inner = [name for name in (stem, document.split, "valid" if document.split == "val" else "") if name]
    places = [beside, root / "images", root, *(root / "images" / name for name in inner), *(root / n for n in inner)]
    return [place for place in dict.fromkeys(places) if place.is_dir()]
