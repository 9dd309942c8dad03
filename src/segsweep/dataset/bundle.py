"""Preparing: a raw dataset becomes an immutable bundle, named by its content."""

from __future__ import annotations

import logging
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segsweep.dataset.formats.registry import read_dataset
from segsweep.dataset.labels import format_labels
from segsweep.dataset.manifest import (
    SCHEMA,
    FileEntry,
    Manifest,
    ShardEntry,
    Source,
    SplitFacts,
    content_digest,
    read_manifest,
)
from segsweep.dataset.picture import JPEG_QUALITY, MIN_SIDE_PX, encode_jpeg, read_picture
from segsweep.dataset.records import SPLITS, Findings, ImageRecord, RawDataset
from segsweep.dataset.resize import resize_longest
from segsweep.dataset.shard import ShardWriter
from segsweep.dataset.split import DEFAULT_RATIOS, has_given_splits, split_by_ratio
from segsweep.dataset.stems import unique_stems
from segsweep.errors import ConfigError, DatasetError, Problem
from segsweep.storage import layout
from segsweep.storage.files import disk_errors
from segsweep.storage.opening import open_store
from segsweep.storage.store import Store

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


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


@dataclass(frozen=True)
class Bundle:
    """A bundle and where it is.

    Attributes:
        uri: Its place, digest and all.
        manifest: What it holds.
        is_new: Whether it was written now; False if the same content was there already.
    """

    uri: str
    manifest: Manifest
    is_new: bool


@dataclass(frozen=True, eq=False)
class _Plan:
    """Which image becomes which file of which split."""

    dataset: RawDataset
    splits: Mapping[str, str]
    stems: Mapping[str, str]
    options: PrepareOptions

    def of(self, split: str) -> list[ImageRecord]:
        records = [record for record in self.dataset.images if self.splits[record.name] == split]
        return sorted(records, key=lambda record: self.stems[record.name])


def prepare(source: Path, to: str, options: PrepareOptions, progress: Progress | None = None) -> Bundle:
    """Turn a raw dataset into a bundle at `<to>/<name>-<digest>`.

    Every image is opened, every fault of the dataset told at once. Shards are built in a temporary folder and uploaded
    when all is well; the manifest comes last, and without it there is no bundle: a `prepare` killed at any moment
    leaves none, and the next one overwrites what it left.

    Args:
        source: Folder or file of the raw dataset.
        to: URI of the folder of bundles.
        options: See there.
        progress: Called with images done and images in all.

    Raises:
        ConfigError: An option breaks its rule.
        DatasetError: The dataset is wrong; every fault with file and record.
        StorageError: The bundle cannot be written.
    """
    name = _check(options, source)
    target = open_store(to)
    dataset = read_dataset(source, options.format)
    findings = Findings()
    plan = _plan(dataset, options, findings)
    with tempfile.TemporaryDirectory(prefix="segsweep-prepare-") as work:
        with disk_errors(work):
            shards, files = _build(plan, Path(work), findings, progress)
        parameters = _parameters(plan)
        digest = content_digest(dataset.classes, options.imgsz, parameters, files)
        manifest = Manifest(
            schema=SCHEMA,
            name=name,
            digest=digest,
            classes=dataset.classes,
            imgsz=options.imgsz,
            parameters=parameters,
            source=Source(str(source), dataset.format),
            splits={split: _facts(plan.of(split), dataset.classes) for split in SPLITS},
            shards=shards,
            files=files,
            notes=(*dataset.notes, *findings.notes),
        )
        for note in manifest.notes:
            logger.warning("%s: %s (%d): %s", source, note.rule, note.count, ", ".join(note.examples))
        store = open_store(target.uri, manifest.directory)
        is_new = not _is_there(manifest, store)
        if is_new:
            _upload(manifest, Path(work), store)
    return Bundle(store.uri, manifest, is_new)


def _check(options: PrepareOptions, source: Path) -> str:
    own = source.resolve().stem if source.is_file() else source.resolve().name
    name = options.name or re.sub(r"[^A-Za-z0-9._-]+", "-", own).strip("-._")[:64] or "dataset"
    problems = []
    if options.imgsz < 32:
        problems.append(Problem("--imgsz", "must be at least 32 pixels", value=str(options.imgsz)))
    if options.ratios is not None and not (len(options.ratios) == len(SPLITS) and min(options.ratios) > 0):
        rule = "must be three shares above 0, e.g. 0.7,0.15,0.15"
        problems.append(Problem("--split", rule, value=",".join(map(str, options.ratios))))
    if options.shard_mb < 1:
        problems.append(Problem("shard_mb", "must be at least 1", value=str(options.shard_mb)))
    if not _NAME.fullmatch(name):
        rule = "must be 1 to 64 letters, digits, dots, dashes or underscores"
        problems.append(Problem("name", rule, value=name))
    if problems:
        raise ConfigError(problems)
    return name


def _plan(dataset: RawDataset, options: PrepareOptions, findings: Findings) -> _Plan:
    problems = [*dataset.problems, *_empty_classes(dataset)]
    splits: dict[str, str] = {}
    if not problems:
        splits = _split(dataset, options, findings)
        problems += _unlearnable_classes(dataset, splits)
    if problems:
        raise DatasetError([*problems, *_image_problems(dataset)])
    return _Plan(dataset, splits, unique_stems([record.name for record in dataset.images]), options)


def _empty_classes(dataset: RawDataset) -> list[Problem]:
    used = {one.category for record in dataset.images for one in record.instances if not one.crowd}
    fix = "annotate it, or remove it from the list of classes"
    return [
        Problem("classes", "the class is empty: no image shows an instance of it", "", name, fix)
        for index, name in enumerate(dataset.classes)
        if index not in used
    ]


def _split(dataset: RawDataset, options: PrepareOptions, findings: Findings) -> dict[str, str]:
    given = {record.split for record in dataset.images} - {""}
    if options.ratios is None and has_given_splits(dataset.images):
        groups: dict[str, set[str]] = {}
        for record in dataset.images:
            groups.setdefault(record.group, set()).add(record.split)
        for group in sorted(group for group, splits in groups.items() if len(splits) > 1):
            findings.repair("the same scene lies in several of the given splits, use --split to deal anew", group)
        return {record.name: record.split for record in dataset.images}
    if given and options.ratios is None:
        missing = ", ".join(split for split in SPLITS if split not in given)
        ratios = ",".join(map(str, DEFAULT_RATIOS))
        findings.repair(
            f"given splits lack {missing or 'images'}: all images split anew, {ratios}", ", ".join(sorted(given))
        )
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


def _build(
    plan: _Plan, work: Path, findings: Findings, progress: Progress | None
) -> tuple[tuple[ShardEntry, ...], tuple[FileEntry, ...]]:
    shards: list[ShardEntry] = []
    files: list[FileEntry] = []
    problems: list[Problem] = []
    done, total = 0, len(plan.dataset.images)
    for split in SPLITS:
        with ShardWriter(work, split, plan.options.shard_mb * 1_000_000) as writer:
            for record in plan.of(split):
                try:
                    contents = _convert(record, split, plan, findings)
                except DatasetError as exc:
                    problems += exc.problems
                else:
                    writer.add(contents, record.name)
                done += 1
                if progress is not None:
                    progress(done, total)
        shards += writer.shards
        files += writer.files
    if problems:
        raise DatasetError(problems)
    return tuple(sorted(shards, key=lambda one: one.key)), tuple(sorted(files, key=lambda one: one.path))


def _convert(record: ImageRecord, split: str, plan: _Plan, findings: Findings) -> list[tuple[str, bytes]]:
    picture = resize_longest(read_picture(record.path, record.size), plan.options.imgsz)
    height, width = picture.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        rule = f"the shorter side must keep {MIN_SIDE_PX} pixels, or training drops the image"
        raise DatasetError(Problem(str(record.path), rule, value=f"{width}x{height} after resizing"))
    single = [one for one in record.instances if not one.crowd]
    if len(single) < len(record.instances):
        findings.repair("crowd regions left out: a label holds single objects", record.name)
    stem = plan.stems[record.name]
    labels = format_labels(single, width, height)
    return [
        (layout.image_key(split, stem), encode_jpeg(picture)),
        (layout.label_key(split, stem), labels.encode()),
    ]


def _parameters(plan: _Plan) -> dict[str, Any]:
    options = plan.options
    given = options.ratios is None and has_given_splits(plan.dataset.images)
    ratios = options.ratios or DEFAULT_RATIOS
    return {
        "resize": "longest",
        "jpeg_quality": JPEG_QUALITY,
        "split": "given" if given else [ratio / sum(ratios) for ratio in ratios],
        "seed": None if given else options.seed,
    }


def _facts(records: Sequence[ImageRecord], classes: Sequence[str]) -> SplitFacts:
    counts = Counter(one.category for record in records for one in record.instances if not one.crowd)
    background = sum(all(one.crowd for one in record.instances) for record in records)
    return SplitFacts(len(records), background, {name: counts[index] for index, name in enumerate(classes)})


def _is_there(manifest: Manifest, store: Store) -> bool:
    try:
        return read_manifest(store.uri).digest == manifest.digest
    except DatasetError:
        return False  # none, or a damaged one


def _upload(manifest: Manifest, work: Path, store: Store) -> None:
    for shard in manifest.shards:
        store.upload(work / shard.key, shard.key)
    store.write(layout.MANIFEST, manifest.to_bytes())
