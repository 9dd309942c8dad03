"""The plan of a bundle: which image becomes which file of which split, or why it cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from segsweep.dataset.pictures.picture import JPEG_QUALITY
from segsweep.dataset.preparing.grouping import merge_groups, regroup
from segsweep.dataset.preparing.options import PrepareOptions
from segsweep.dataset.records import SPLITS, UNSPLIT, Findings, RawDataset
from segsweep.dataset.split import DEFAULT_RATIOS, has_given_splits, split_by_ratio
from segsweep.dataset.stems import unique_stems
from segsweep.errors import DatasetError, Problem

if TYPE_CHECKING:
    from segsweep.dataset.augmentation.augment import Augmentation

Held = Mapping[str, frozenset[int]]  # image name -> classes of its objects


@dataclass(frozen=True, eq=False)
class Plan:
    """Which image becomes which file of which split; it names images and holds none.

    Attributes:
        classes: Names of the classes.
        splits: Image name -> split.
        stems: Image name -> stem of its files.
        is_given: Whether the splits are those that the dataset came with.
        options: How it is prepared.
        augmentation: What is done to copies of its train images; None for no copies.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, str]
    stems: Mapping[str, str]
    is_given: bool
    options: PrepareOptions
    augmentation: Augmentation | None = None

    def names(self, split: str) -> list[str]:
        """Images of one split, in the order of their stems."""
        return sorted((name for name, own in self.splits.items() if own == split), key=self.stems.__getitem__)

    @property
    def parameters(self) -> dict[str, Any]:
        """What shaped the bundle, beside its image size; part of its digest."""
        options = self.options
        augment = self.augmentation.to_flat() if self.augmentation and self.augmentation.copies else None
        ratios = options.ratios or DEFAULT_RATIOS
        return {
            "resize": options.resize,
            **({"overlap": options.overlap} if options.resize == "tile" else {}),
            "jpeg_quality": JPEG_QUALITY,
            "plain_jpegs": "kept as they are where the size fits, without metadata",
            "split": "given" if self.is_given else [ratio / sum(ratios) for ratio in ratios],
            "seed": None if self.is_given and augment is None else options.seed,
            **({} if augment is None else {"augment": augment}),
        }


def make_plan(
    dataset: RawDataset,
    held: Held,
    clusters: Sequence[Sequence[str]],
    faults: Sequence[Problem],
    options: PrepareOptions,
    findings: Findings,
) -> Plan:
    """Split the dataset and name its files.

    Args:
        dataset: What is left of it after cleaning.
        held: Classes of each image.
        clusters: Names of images that look alike; a split that is dealt anew keeps them together.
        faults: What is wrong with its images.
        options: As given.
        findings: Takes what was decided on the way.

    Raises:
        DatasetError: The dataset cannot become a bundle; its own problems, those of its classes and those of its images
            are told together.
    """
    if options.group is not None:
        dataset = replace(dataset, images=regroup(dataset.images, options.group, findings))
    problems = [*dataset.problems, *_empty_classes(dataset, held)]
    splits: dict[str, str] = {}
    if not problems:
        splits = _split(dataset, held, clusters, options, findings)
        problems += _unlearnable_classes(dataset, splits, held)
    if problems or faults:
        raise DatasetError([*problems, *faults])
    is_given = keeps_given_splits(dataset, options)
    return Plan(dataset.classes, splits, unique_stems(splits), is_given, options)


def keeps_given_splits(dataset: RawDataset, options: PrepareOptions) -> bool:
    """Whether the splits are those that the dataset came with."""
    return options.ratios is None and has_given_splits(dataset.images)


def _empty_classes(dataset: RawDataset, held: Held) -> list[Problem]:
    used = {category for record in dataset.images for category in held[record.name]}
    fix = "annotate it, or remove it from the list of classes"
    return [
        Problem("classes", "the class is empty: no image shows an instance of it", "", name, fix)
        for index, name in enumerate(dataset.classes)
        if index not in used
    ]


def _split(
    dataset: RawDataset, held: Held, clusters: Sequence[Sequence[str]], options: PrepareOptions, findings: Findings
) -> dict[str, str]:
    given = {record.split for record in dataset.images} - {UNSPLIT}
    if keeps_given_splits(dataset, options):
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
    images = merge_groups(dataset, clusters).images
    return split_by_ratio(images, options.ratios or DEFAULT_RATIOS, options.seed, held)


def _unlearnable_classes(dataset: RawDataset, splits: Mapping[str, str], held: Held) -> list[Problem]:
    train = {category for record in dataset.images if splits[record.name] == "train" for category in held[record.name]}
    fix = "deal anew with --split, or annotate more images"
    return [
        Problem("classes", "no training image shows an instance of the class", "", name, fix)
        for index, name in enumerate(dataset.classes)
        if index not in train
    ]
