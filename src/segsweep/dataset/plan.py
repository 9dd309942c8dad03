"""The plan of a bundle: which image becomes which file of which split, or why it cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from segsweep.dataset.manifest import SplitFacts
from segsweep.dataset.picture import JPEG_QUALITY, read_picture
from segsweep.dataset.records import SPLITS, UNSPLIT, Findings, ImageRecord, RawDataset
from segsweep.dataset.split import DEFAULT_RATIOS, has_given_splits, split_by_ratio
from segsweep.dataset.stems import unique_stems
from segsweep.errors import DatasetError, Problem


@dataclass(frozen=True)
class PrepareOptions:
    """How to prepare a dataset.

    Attributes:
        imgsz: Longest side of the bundle's images, pixels.
        ratios: Shares of train, val and test; None keeps the splits that the dataset comes with, if it has all three.
        seed: Deals another split.
        format: Name of the raw format; None to detect it.
        name: Name of the dataset; None for that of its folder.
        shard_mb: About how large a shard becomes, MB.
    """

    imgsz: int = 640
    ratios: tuple[float, float, float] | None = None
    seed: int = 0
    format: str | None = None
    name: str | None = None
    shard_mb: int = 128


@dataclass(frozen=True, eq=False)
class Plan:
    """Which image becomes which file of which split.

    Attributes:
        dataset: The raw dataset, without a problem.
        splits: Image name -> split.
        stems: Image name -> stem of its files.
        options: How it is prepared.
    """

    dataset: RawDataset
    splits: Mapping[str, str]
    stems: Mapping[str, str]
    options: PrepareOptions

    def images(self, split: str) -> list[ImageRecord]:
        """Images of one split, in the order of their stems."""
        records = [record for record in self.dataset.images if self.splits[record.name] == split]
        return sorted(records, key=lambda record: self.stems[record.name])

    def facts(self, split: str) -> SplitFacts:
        """Counts of one split."""
        records = self.images(split)
        counts = Counter(one.category for record in records for one in record.instances if not one.crowd)
        background = sum(all(one.crowd for one in record.instances) for record in records)
        instances = {name: counts[index] for index, name in enumerate(self.dataset.classes)}
        return SplitFacts(len(records), background, instances)

    @property
    def parameters(self) -> dict[str, Any]:
        """What shaped the bundle, beside its image size; part of its digest."""
        given = _keeps_given_splits(self.dataset, self.options)
        ratios = self.options.ratios or DEFAULT_RATIOS
        return {
            "resize": "longest",
            "jpeg_quality": JPEG_QUALITY,
            "split": "given" if given else [ratio / sum(ratios) for ratio in ratios],
            "seed": None if given else self.options.seed,
        }


def make_plan(dataset: RawDataset, options: PrepareOptions, findings: Findings) -> Plan:
    """Split the dataset and name its files.

    Args:
        dataset: As read.
        options: As given.
        findings: Takes what was decided on the way.

    Raises:
        DatasetError: The dataset cannot become a bundle; its own problems, those of its classes and those of its images
            are told together.
    """
    problems = [*dataset.problems, *_empty_classes(dataset)]
    splits: dict[str, str] = {}
    if not problems:
        splits = _split(dataset, options, findings)
        problems += _unlearnable_classes(dataset, splits)
    if problems:
        raise DatasetError([*problems, *_image_problems(dataset)])
    return Plan(dataset, splits, unique_stems([record.name for record in dataset.images]), options)


def _empty_classes(dataset: RawDataset) -> list[Problem]:
    used = {one.category for record in dataset.images for one in record.instances if not one.crowd}
    fix = "annotate it, or remove it from the list of classes"
    return [
        Problem("classes", "the class is empty: no image shows an instance of it", "", name, fix)
        for index, name in enumerate(dataset.classes)
        if index not in used
    ]


def _split(dataset: RawDataset, options: PrepareOptions, findings: Findings) -> dict[str, str]:
    given = {record.split for record in dataset.images} - {UNSPLIT}
    if _keeps_given_splits(dataset, options):
        groups: dict[str, set[str]] = {}
        for record in dataset.images:
            groups.setdefault(record.group, set()).add(record.split)
        for group in sorted(group for group, splits in groups.items() if len(splits) > 1):
            findings.repair("the same scene lies in several of the given splits, use --split to deal anew", group)
        return {record.name: record.split for record in dataset.images}
    if given and options.ratios is None:
        missing = ", ".join(split for split in SPLITS if split not in given)
        ratios = ",".join(map(str, DEFAULT_RATIOS))
        reason = f"the dataset comes without {missing}" if missing else "some images are in no given split"
        findings.repair(f"{reason}: all images split anew, {ratios}", f"given were {', '.join(sorted(given))}")
    return split_by_ratio(dataset.images, options.ratios or DEFAULT_RATIOS, options.seed)


def _unlearnable_classes(dataset: RawDataset, splits: Mapping[str, str]) -> list[Problem]:
    train = {
        one.category
        for record in dataset.images
        if splits[record.name] == "train"
        for one in record.instances
        if not one.crowd
    }
    fix = "deal anew with --split, or annotate more images"
    return [
        Problem("classes", "no training image shows an instance of the class", "", name, fix)
        for index, name in enumerate(dataset.classes)
        if index not in train
    ]


def _image_problems(dataset: RawDataset) -> Iterator[Problem]:
    for record in dataset.images:
        try:
            read_picture(record.path, record.size)
        except DatasetError as exc:
            yield from exc.problems


def _keeps_given_splits(dataset: RawDataset, options: PrepareOptions) -> bool:
    return options.ratios is None and has_given_splits(dataset.images)
