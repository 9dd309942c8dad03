"""Converting: a raw dataset of any format becomes one of another, and what came of each object is measured.

What was written is read back and compared with the source object by object, for formats differ in what they can hold:

- coco and labelme hold everything; polygons to a hundredth and a millionth of a pixel, holes as masks on its grid;
- mask_png holds every pixel of every object, also where objects overlap, and nothing below a pixel;
- cityscapes shows each pixel of one object: what a smaller one hides of another is lost, and an object wholly hidden;
- yolo joins parts and holes to one outline that fills the same pixels, and knows no crowd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from segsweep.dataset.counterparts import Counterparts
from segsweep.dataset.fidelity import Fidelity, FidelityTally, measure
from segsweep.dataset.formats.registry import find_format, read_dataset
from segsweep.dataset.pictures.picture import picture_size
from segsweep.dataset.records import Annotations, ImageRecord, Instance, Note, RawDataset
from segsweep.dataset.spool import Spool
from segsweep.errors import ConfigError, DatasetError, Problem
from segsweep.storage.files import disk_errors, folder_beside

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """What is converted.

    Attributes:
        path: Folder or file of the raw dataset.
        format: Name of its format; None to detect it.
        classes: Names of the classes to take, where its format has a choice; empty for its own.
    """

    path: Path
    format: str | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conversion:
    """What a conversion read, wrote and found when it read back.

    Attributes:
        source: The raw dataset.
        source_format: Its format.
        target: The folder written.
        target_format: Its format.
        classes: Names of the classes.
        images: Images of the source; each is in the target.
        objects_in: Objects of the source.
        objects_out: Objects of the target.
        crowds_in: Those of them that are crowds.
        crowds_out: Crowds of the target; fewer where its format knows none.
        fidelity: How well the shapes of the source came back.
        notes: What was repaired or left out, in the source or in what was written.
    """

    source: str
    source_format: str
    target: str
    target_format: str
    classes: tuple[str, ...]
    images: int
    objects_in: int
    objects_out: int
    crowds_in: int
    crowds_out: int
    fidelity: Fidelity
    notes: tuple[Note, ...]

    def to_json(self) -> dict[str, Any]:
        """Facts for `segsweep convert --json`."""
        return asdict(self)

    def to_text(self) -> str:
        """For a person: how many objects came through, and which were written worst."""
        fidelity = self.fidelity
        lines = [
            f"{self.source} ({self.source_format}) -> {self.target} ({self.target_format})",
            f"images: {self.images}, classes: {', '.join(self.classes)}",
            f"objects: {self.objects_in} in, {self.objects_out} out, {fidelity.lost} lost",
            f"IoU with the source: mean {fidelity.mean_iou:.5f}, minimum {fidelity.min_iou:.5f}",
        ]
        if self.crowds_in != self.crowds_out:
            lines.append(f"crowds: {self.crowds_in} in, {self.crowds_out} out")
        lines += [f"  {one.iou:.5f}  {one.image}: object {one.object}, {one.category}" for one in fidelity.worst]
        lines += [f"{note.rule} ({note.count}): {', '.join(note.examples)}" for note in self.notes]
        return "\n".join(lines)


def convert(source: Source, target: Path, target_format: str, progress: Progress | None = None) -> Conversion:
    """Write a raw dataset in another format and measure what came of it.

    The target appears whole or not at all; instances lie on disk meanwhile, so that memory does not grow with them.

    Args:
        source: The raw dataset.
        target: Folder to write; absent or empty, not inside the source.
        target_format: A raw format.
        progress: Called with steps done and steps in all: each image is written, then measured.

    Raises:
        ConfigError: There is no such format, or it takes no such classes.
        DatasetError: The source is wrong, every fault with file and record; or the target holds something already.
        StorageError: The target cannot be written.
    """
    format_ = find_format(target_format)
    _check_target(source.path, target)
    with disk_errors(str(target)), folder_beside(target) as work:
        with Spool(work / "source") as spool:
            dataset = _read_source(source, spool)
        steps = _Steps(2 * len(dataset.images), progress)
        written = work / "written"
        written.mkdir()
        format_.write(_watched(dataset, steps), written)
        with Spool(work / "target") as spool:
            result = _read_back(written, target, target_format, spool)
        conversion = _compare(dataset, result, steps, (source.path, target))
        if target.exists():
            target.rmdir()
        written.rename(target)
    return conversion


class _Steps:
    """Counts what is done."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total = total
        self._progress = progress
        self._done = 0

    def step(self) -> None:
        self._done = min(self._done + 1, self._total)
        if self._progress is not None:
            self._progress(self._done, self._total)


class _Watched:
    """Annotations that count as a step when they are first read: a writer reads those of each image once."""

    def __init__(self, annotations: Annotations, steps: _Steps) -> None:
        self._annotations = annotations
        self._steps: _Steps | None = steps

    def load(self) -> tuple[Instance, ...]:
        if self._steps is not None:
            self._steps.step()
            self._steps = None
        return self._annotations if isinstance(self._annotations, tuple) else self._annotations.load()


def _check_target(source: Path, target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        fix = "choose another, or remove it"
        raise DatasetError(Problem(str(target), "must be absent or an empty folder", fix=fix))
    if target.resolve().is_relative_to(source.resolve()):
        raise DatasetError(Problem(str(target), f"must not lie inside the dataset that is read, {source}"))


def _read_source(source: Source, spool: Spool) -> RawDataset:
    try:
        dataset = read_dataset(source.path, source.format, spool.keep, source.classes)
    except ConfigError as exc:  # --format names the target here
        problems = [replace(one, where=one.where.replace("--format", "--from")) for one in exc.problems]
        raise ConfigError(problems) from exc
    if dataset.problems:
        raise DatasetError(dataset.problems)
    return dataset


def _watched(dataset: RawDataset, steps: _Steps) -> RawDataset:
    images = tuple(replace(record, annotations=_Watched(record.annotations, steps)) for record in dataset.images)
    return replace(dataset, images=images)


def _read_back(written: Path, target: Path, target_format: str, spool: Spool) -> RawDataset:
    result = read_dataset(written, target_format, spool.keep)
    if result.problems:
        rule = f"the dataset cannot be written as {target_format}; reading it back: "
        raise DatasetError([replace(problem, rule=rule + problem.rule) for problem in result.problems])
    return result


def _compare(dataset: RawDataset, result: RawDataset, steps: _Steps, places: tuple[Path, Path]) -> Conversion:
    counterparts = Counterparts(dataset.images, result.images)
    category = {name: index for index, name in enumerate(dataset.classes)}
    categories = [category.get(name, -1) for name in result.classes]
    tally = FidelityTally()
    crowds = 0
    for record in dataset.images:
        before = record.instances
        ious: tuple[float, ...] = (0.0,) * len(before)
        others = counterparts.of(record)
        if before and others:
            found = [measure(before, _renumbered(other, categories), *_size(record, other)) for other in others]
            best = max(range(len(others)), key=lambda i: sum(found[i]))
            ious = found[best]
            counterparts.spend(others[best])
        tally.add(record.name, dataset.classes, before, ious)
        crowds += sum(one.crowd for one in before)
        steps.step()
    objects = [[one.crowd for one in record.instances] for record in result.images]
    fidelity = tally.facts()
    return Conversion(
        source=str(places[0]),
        source_format=dataset.format,
        target=str(places[1]),
        target_format=result.format,
        classes=dataset.classes,
        images=len(dataset.images),
        objects_in=fidelity.objects,
        objects_out=sum(map(len, objects)),
        crowds_in=crowds,
        crowds_out=sum(map(sum, objects)),
        fidelity=fidelity,
        notes=(*dataset.notes, *(replace(note, rule=f"read back: {note.rule}") for note in result.notes)),
    )


def _renumbered(record: ImageRecord, categories: list[int]) -> tuple[Instance, ...]:
    """Objects as written, with the class numbers of the source; -1 for a class it does not have."""
    return tuple(replace(one, category=categories[one.category]) for one in record.instances)


def _size(record: ImageRecord, other: ImageRecord) -> tuple[int, int]:
    return record.size or other.size or picture_size(record.path)
