"""The JSON files of a COCO dataset: which there are, which split each is, and that they hold what they must."""

from __future__ import annotations

import marshal
import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segsweep.dataset.formats.json_rows import Member, Rows, read_members, read_rows
from segsweep.dataset.records import UNSPLIT, Findings

_SPLIT_WORDS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_HEAD_BYTES = 1 << 16

# What is read of the rows that are kept in memory.
_FIELDS = {"images": ("id", "file_name", "width", "height"), "categories": ("id", "name", "supercategory")}
_LISTS = ("images", "annotations", "categories")
_NO_LIST = "must be a list of objects"


@dataclass(frozen=True, eq=False)
class Document:
    """One JSON file, read once: everything but its annotations, which are too many to be kept.

    Attributes:
        file: The file.
        split: Which split it is, by its name.
        images: Rows of `images`, of each what is read here.
        categories: Rows of `categories`, likewise.
        used: Category ids of annotations.
        twins: Indices of annotations that seem to be there more than once.
        offset: Where in the file the annotations begin.
    """

    file: Path
    split: str
    images: list[dict[str, Any]]
    categories: list[dict[str, Any]]
    used: frozenset[int]
    twins: frozenset[int]
    offset: int

    def annotations(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Index of the first row and some rows, until all were read.

        Raises:
            OSError: The file is gone.
        """
        with self.file.open("rb") as opened:
            yield from read_rows(opened, self.offset)


def find_documents(source: Path) -> list[Path]:
    """The JSON files of the dataset at a folder, or the file itself; in order of name."""
    if source.is_file():
        return [source] if source.suffix == ".json" else []
    for pattern in ("annotations/instances*.json", "annotations/*.json", "*.json", "*/_annotations.coco.json"):
        files = sorted(file for file in source.glob(pattern) if file.is_file())
        if files:
            return files
    return []


def looks_like_coco(file: Path) -> bool:
    """Whether the first or last bytes of a JSON file speak of annotations."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
        opened.seek(max(0, size - _HEAD_BYTES))
        tail = opened.read(_HEAD_BYTES)
    return any(key in head or key in tail for key in (b'"annotations"', b'"segmentation"', b'"categories"'))


def read_document(file: Path, root: Path, findings: Findings) -> Document | None:
    """Read one JSON file; None if it does not hold the three lists.

    Args:
        file: The file.
        root: The dataset's folder, to shorten messages.
        findings: Takes faults.
    """
    where = shown(file, root)
    contents = _Contents()
    try:
        with file.open("rb") as opened:
            for member in read_members(opened):
                contents.add(member)
    except (ValueError, RecursionError) as exc:
        findings.fault(where, f"must be JSON: {exc}")
        return None
    except OSError as exc:
        findings.fault(where, f"cannot be read: {exc.strerror}")
        return None
    faults = contents.faults()
    for key, rule, value in faults:
        findings.fault(where, rule, field=key, value=value)
    return None if faults else contents.document(file)


def annotation_key(row: Mapping[str, Any]) -> bytes:
    """The same bytes for annotations that say the same of the same image, and for no others."""
    # marshal's version 2 writes values; later ones write references to objects that happen to be the same.
    return marshal.dumps((row.get("image_id"), row.get("category_id"), row.get("segmentation")), 2)


def integer(value: object) -> int | None:
    """The value if it is a whole number; true and false are none."""
    return value if type(value) is int else None


def shown(path: Path, root: Path) -> str:
    """The path from the dataset's folder on, for names and messages."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


class _Contents:
    """What one pass over a file leaves in memory; of an annotation, eight bytes."""

    def __init__(self) -> None:
        self._kept: dict[str, list[dict[str, Any]]] = {key: [] for key in _FIELDS}
        self._offsets: dict[str, int] = {}
        self._faults: dict[str, tuple[str, str]] = {}
        self._used: set[int] = set()
        self._hashes = array("q")

    def add(self, member: Member | Rows) -> None:
        """Take what is needed of a member of the file."""
        key = member.key
        if key not in _LISTS or key in self._faults:
            return
        if isinstance(member, Member):
            self._faults[key] = (_NO_LIST, type(member.value).__name__)
        elif self._offsets.setdefault(key, member.offset) != member.offset:
            self._faults[key] = ("must be there once", "")
        elif not set(map(type, member.rows)) <= {dict}:
            self._faults[key] = (_NO_LIST, "list")
        elif key == "annotations":
            for row in member.rows:
                category_id = row.get("category_id")
                if type(category_id) is int:
                    self._used.add(category_id)
                self._hashes.append(_rough_hash(row))
        else:
            self._kept[key] += [{field: row.get(field) for field in _FIELDS[key]} for row in member.rows]

    def faults(self) -> list[tuple[str, str, str]]:
        """Key, rule and value of each list that is not there or holds something else."""
        missing = {key: (_NO_LIST, type(None).__name__) for key in _LISTS if key not in self._offsets}
        found = missing | self._faults
        return [(key, *found[key]) for key in _LISTS if key in found]

    def document(self, file: Path) -> Document:
        """All of it; there must be no faults."""
        return Document(
            file=file,
            split=_split_of(file),
            images=self._kept["images"],
            categories=self._kept["categories"],
            used=frozenset(self._used),
            twins=_repeated(self._hashes),
            offset=self._offsets["annotations"],
        )


def _rough_hash(row: Mapping[str, Any]) -> int:
    """The same for annotations that are the same, and seldom for others: of a polygon, its length and some numbers."""
    try:
        polygon = row["segmentation"][0]
        return hash((row.get("image_id"), row.get("category_id"), len(polygon), *polygon[:2], *polygon[2::7]))
    except (LookupError, TypeError):  # a mask, or something else that a closer look will refuse
        return hash(annotation_key(row))


def _repeated(hashes: array[int]) -> frozenset[int]:
    """Indices of the numbers that are there more than once."""
    numbers = np.frombuffer(hashes, np.int64)
    ordered = np.sort(numbers)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    return frozenset(np.flatnonzero(np.isin(numbers, again)).tolist()) if again.size else frozenset()


def _split_of(file: Path) -> str:
    """Split from the words of the file's name, else of its folder's."""
    for name in (file.stem, file.parent.name):
        for word in re.findall(r"[a-z]+", name.lower()):
            if word in _SPLIT_WORDS:
                return _SPLIT_WORDS[word]
    return UNSPLIT
