"""What a raw dataset is, whatever format it came in: images with their instances."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from segsweep.core.geometry import Part
from segsweep.errors import Problem

SPLITS = ("train", "val", "test")
UNSPLIT = ""

# Image files by their extension; the same set wherever a folder is searched for images.
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, eq=False, slots=True)
class Instance:
    """One object in one image.

    Attributes:
        category: Index into the dataset's classes.
        parts: Its pieces, at least one; coordinates are fractions of the image's width and height, so that no
            resize ever moves them.
        crowd: Whether this is a region of many objects that nobody told apart.
    """

    category: int
    parts: tuple[Part, ...]
    crowd: bool = False


class Spooled(Protocol):
    """Instances that lie on disk; see `segsweep.dataset.spool`."""

    def load(self) -> tuple[Instance, ...]:
        """Read them."""
        ...


# What an image is annotated with: in memory, or on disk where a dataset may be larger than memory.
Annotations = tuple[Instance, ...] | Spooled

# Puts an image's instances where they are kept until they are needed; a reader calls it once an image.
Keep = Callable[[Sequence[Instance]], Annotations]


def in_memory(instances: Sequence[Instance]) -> Annotations:
    """Keep instances in memory: for datasets that are known to be small."""
    return tuple(instances)


@dataclass(frozen=True, eq=False, slots=True)
class ImageRecord:
    """One image and everything that is known about it before it is opened.

    Attributes:
        path: The image file.
        name: Its place in the dataset, a relative POSIX path; unique.
        group: Images of one group show the same scene and stay in one split.
        annotations: What is annotated in it, wherever that is kept; read it as `instances`.
        split: One of `SPLITS`, or `UNSPLIT`.
        size: Width and height in pixels if the annotations state them.
    """

    path: Path
    name: str
    group: str
    annotations: Annotations
    split: str = UNSPLIT
    size: tuple[int, int] | None = None

    @property
    def instances(self) -> tuple[Instance, ...]:
        """What is annotated in it; empty for a background image. Reads the disk where they are spooled."""
        return self.annotations if isinstance(self.annotations, tuple) else self.annotations.load()


@dataclass(frozen=True)
class Note:
    """Something that was repaired, left out or is worth knowing; it goes into the manifest.

    Attributes:
        rule: What was done, e.g. `duplicate rows removed`.
        count: How often.
        examples: Where, for the first few.
    """

    rule: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RawDataset:
    """A raw dataset as read.

    Attributes:
        format: Name of the format it came in.
        classes: Class names; an instance's category is an index into them.
        images: In order of name.
        notes: What reading repaired.
        problems: What is wrong beyond repair; a dataset with problems is not used.
    """

    format: str
    classes: tuple[str, ...]
    images: tuple[ImageRecord, ...]
    notes: tuple[Note, ...] = ()
    problems: tuple[Problem, ...] = ()


class Findings:
    """Collects what is wrong with an input while it is read, so that all of it is told at once.

    Nobody reads a million faults, and a hostile file must not fill the memory with them: beyond `MOST_FAULTS` they are
    not kept, which is told in their place; of repairs the count is kept, and where the first few are.
    """

    MOST_FAULTS = 10_000
    _EXAMPLES = 5

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._repairs: dict[str, tuple[int, tuple[str, ...]]] = {}

    def fault(self, where: str, rule: str, *, field: str = "", value: str = "", fix: str = "") -> None:
        """Record something that cannot be used."""
        where = _writable(where)
        if len(self.problems) < self.MOST_FAULTS:
            self.problems.append(Problem(where, _writable(rule), field, _writable(value), _writable(fix)))
        elif len(self.problems) == self.MOST_FAULTS:
            rule = f"is the first of the faults beyond {self.MOST_FAULTS}, which are not listed"
            self.problems.append(Problem(where, rule))

    def repair(self, rule: str, where: str) -> None:
        """Record something that was mended or left out."""
        count, at = self._repairs.get(rule, (0, ()))
        self._repairs[rule] = (count + 1, (*at, _writable(where)) if count < self._EXAMPLES else at)

    @property
    def notes(self) -> tuple[Note, ...]:
        """The repairs, in the order of their first appearance."""
        return tuple(Note(rule, count, at) for rule, (count, at) in self._repairs.items())


def _writable(text: str) -> str:
    """The text with halves of surrogate pairs spelled out: no manifest, page or terminal can hold them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def source_group(name: str) -> str:
    """The scene an image shows, from its path in the dataset.

    Roboflow writes `<stem>_<original extension>.rf.<hash>.jpg` for each augmented copy of `<stem>`: they are one scene,
    whatever folder they lie in. Any other image is a scene of its own.
    """
    stem, copies, _ = name.rpartition("/")[2].partition(".rf.")
    if not copies:
        return posixpath.splitext(name)[0]  # a PurePosixPath would take as long as all else that is done with a row
    for suffix in IMAGE_SUFFIXES:
        stem = stem.removesuffix(f"_{suffix[1:]}")
    return stem
