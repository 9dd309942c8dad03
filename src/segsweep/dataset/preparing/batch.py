"""Batches: what became of a few images, as one file that is written whole and named by what it was made from.

A batch is the images and label files one after the other, then an index in JSON, then the length of the index and the
sha256 of all before it. Whoever goes on after a kill finds the batches that are complete by their names, and by the
hash that they are what was written.
"""

from __future__ import annotations

import functools
import hashlib
import json
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2

import segsweep
from segsweep.dataset.preparing.conversion import Converted, Recipe, convert
from segsweep.dataset.records import ImageRecord
from segsweep.dataset.spool import Span
from segsweep.errors import Problem

# Enough that handing over a chunk costs little beside the work, and a kill loses little.
CHUNK_IMAGES = 16

_TAIL = struct.Struct("<Q32s")


@dataclass(frozen=True, slots=True)
class StoredView:
    """An image of the bundle and its label file, where they lie in a batch: one after the other.

    Attributes:
        suffix: What is added to the stem of its source image.
        batch: The batch's file.
        offset: Where the image starts there, bytes.
        image_bytes: Length of the image.
        label_bytes: Length of the label file.
        hashes: sha256 of the image, then of the label file; 64 bytes.
        instances: Class and number of its label rows, by class.
    """

    suffix: str
    batch: str
    offset: int
    image_bytes: int
    label_bytes: int
    hashes: bytes
    instances: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class StoredImage:
    """What became of one source image; see `Converted`, whose files are in the batch."""

    name: str
    views: tuple[StoredView, ...]
    hash: int | None
    categories: tuple[int, ...]
    ious: tuple[float, ...]
    small: tuple[tuple[int, float], ...]
    actions: tuple[tuple[str, str, str], ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Chunk:
    """Images that become one batch.

    Attributes:
        batch: Name of the batch; says what it is made from.
        records: The images.
        places: What each image file is called in messages; empty where that is its path.
    """

    batch: str
    records: tuple[ImageRecord, ...]
    places: tuple[str, ...] = ()


class Conversion(Protocol):
    """What is done to a chunk: gives the content of its batch, anywhere."""

    @property
    def settings(self) -> str:
        """All that the batch depends on besides the chunk."""
        ...

    def __call__(self, chunk: Chunk) -> bytes:
        """The batch, as `pack` makes it."""
        ...


@dataclass(frozen=True)
class ConvertChunk:
    """Makes the images of a bundle, by a recipe."""

    recipe: Recipe

    @property
    def settings(self) -> str:
        """The recipe, and what carries it out."""
        return repr((self.recipe, segsweep.__version__, cv2.__version__))

    def __call__(self, chunk: Chunk) -> bytes:
        """Convert every image of the chunk."""
        return pack(chunk, (convert(record, self.recipe) for record in chunk.records))


def batch_name(records: Iterable[ImageRecord], settings: str) -> str:
    """Names a batch by its inputs: the settings, the image files' paths, sizes and times, and their annotations."""
    digest = hashlib.sha256(settings.encode())
    for record in records:
        try:
            facts = record.path.stat()
            seen = (facts.st_size, facts.st_mtime_ns)
        except OSError:
            seen = (-1, 0)
        digest.update(repr((str(record.path), record.name, record.size, seen)).encode("utf-8", "surrogateescape"))
        if isinstance(record.annotations, Span):
            digest.update(record.annotations.digest())
    return f"{digest.hexdigest()[:32]}.batch"


def pack(chunk: Chunk, images: Iterable[Converted]) -> bytes:
    """The content of a chunk's batch, headed by its name for whoever stores it."""
    places = {
        where: place
        for record, place in zip(chunk.records, chunk.places, strict=False)
        for where in (str(record.path), record.name)
    }
    blobs: list[bytes] = []
    offset = 0
    index = []
    for one in images:
        views = []
        for view in one.views:
            hashes = (hashlib.sha256(view.image).hexdigest(), hashlib.sha256(view.labels).hexdigest())
            sizes = (len(view.image), len(view.labels))
            views.append([view.suffix, offset, *sizes, "".join(hashes), sorted(view.instances.items())])
            blobs += (view.image, view.labels)
            offset += sum(sizes)
        facts = {
            "name": one.name,
            "views": views,
            "hash": one.hash,
            "categories": one.categories,
            "ious": one.ious,
            "small": one.small,
            "actions": one.actions,
            "problems": [
                asdict(replace(problem, where=places.get(problem.where, problem.where))) for problem in one.problems
            ],
        }
        index.append(facts)
    text = json.dumps(index, separators=(",", ":")).encode()
    body = b"".join([*blobs, text])
    return chunk.batch.encode("ascii") + b"\n" + body + _TAIL.pack(len(text), hashlib.sha256(body).digest())


def store(data: bytes, folder: Path) -> str:
    """Write what `pack` made under its name, whole or not at all; returns the name.

    It is not waited for until it is on the disk: what a power failure leaves half is found out by its hash.
    """
    end = data.index(b"\n")
    name = data[:end].decode("ascii")
    temporary = folder / f"{name}.tmp"
    with temporary.open("wb") as file:
        file.write(memoryview(data)[end + 1 :])
    temporary.replace(folder / name)
    return name


def is_whole(path: Path) -> bool:
    """Whether the file is a batch as it was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    if len(data) < _TAIL.size:
        return False
    sha256: bytes = _TAIL.unpack(data[-_TAIL.size :])[1]
    return hashlib.sha256(memoryview(data)[: -_TAIL.size]).digest() == sha256


def read_index(path: Path) -> list[StoredImage]:
    """What is in a batch, without its files."""
    with path.open("rb") as file:
        size = file.seek(-_TAIL.size, 2)
        length = _TAIL.unpack(file.read(_TAIL.size))[0]
        file.seek(size - length)
        found = json.loads(file.read(length))
    batch = str(path)
    return [
        StoredImage(
            name=one["name"],
            views=tuple(_view(batch, row) for row in one["views"]),
            hash=one["hash"],
            categories=tuple(one["categories"]),
            ious=tuple(one["ious"]),
            small=tuple((number, area) for number, area in one["small"]),
            actions=tuple((record, rule, detail) for record, rule, detail in one["actions"]),
            problems=tuple(Problem(**problem) for problem in one["problems"]),
        )
        for one in found
    ]


def _view(batch: str, row: Sequence[Any]) -> StoredView:
    suffix, offset, image_bytes, label_bytes, hashes, instances = row
    counts = _shared(tuple((category, count) for category, count in instances))
    return StoredView(sys.intern(suffix), batch, offset, image_bytes, label_bytes, bytes.fromhex(hashes), counts)


@functools.lru_cache(maxsize=4096)
def _shared(counts: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The same object for the same counts: there are few, and many images."""
    return counts
