"""Preparing: a raw dataset becomes an immutable bundle, named by its content."""

from __future__ import annotations

import logging
import math
import re
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
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
    content_digest,
    read_manifest,
)
from segsweep.dataset.picture import MIN_SIDE_PX, encode_jpeg, read_picture
from segsweep.dataset.plan import Plan, PrepareOptions, make_plan
from segsweep.dataset.records import SPLITS, Findings, ImageRecord
from segsweep.dataset.resize import resize_longest
from segsweep.dataset.shard import ShardWriter
from segsweep.dataset.workspace import workspace
from segsweep.errors import ConfigError, DatasetError, Problem
from segsweep.storage import layout
from segsweep.storage.files import disk_errors
from segsweep.storage.opening import open_store
from segsweep.storage.store import Store

logger = logging.getLogger(__name__)

__all__ = ["Bundle", "PrepareOptions", "Progress", "prepare"]

Progress = Callable[[int, int], None]

_MEGABYTE = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


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

    def to_json(self) -> dict[str, Any]:
        """Facts for `segsweep prepare --json`."""
        return {
            "uri": self.uri,
            "digest": self.manifest.digest,
            "is_new": self.is_new,
            "classes": list(self.manifest.classes),
            "splits": {name: asdict(split) for name, split in self.manifest.splits.items()},
            "notes": [asdict(note) for note in self.manifest.notes],
        }

    def to_text(self) -> str:
        """For a person: what each split got, where the bundle is. What was repaired or decided has been logged."""
        lines = [
            f"{name:<5} {split.images} images, "
            + ", ".join(f"{count} {category}" for category, count in split.instances.items())
            for name, split in self.manifest.splits.items()
        ]
        return "\n".join([*lines, f"{'bundle' if self.is_new else 'there already:'} {self.uri}"])


def prepare(source: Path, to: str, options: PrepareOptions, progress: Progress | None = None) -> Bundle:
    """Turn a raw dataset into a bundle at `<to>/<name>-<digest>`.

    Every image is opened, every fault of the dataset told at once. Shards are built below `$TMPDIR` and uploaded
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
    plan = make_plan(dataset, options, findings)
    with disk_errors(tempfile.gettempdir()), workspace() as work:
        shards, files = _build(plan, work, findings, progress)
        digest = content_digest(dataset.classes, options.imgsz, plan.parameters, files)
        manifest = Manifest(
            schema=SCHEMA,
            name=name,
            digest=digest,
            classes=dataset.classes,
            imgsz=options.imgsz,
            parameters=plan.parameters,
            source=Source(str(source), dataset.format),
            splits={split: plan.facts(split) for split in SPLITS},
            shards=shards,
            files=files,
            notes=(*dataset.notes, *findings.notes),
        )
        for note in manifest.notes:
            logger.warning("%s: %s (%d): %s", source, note.rule, note.count, ", ".join(note.examples))
        store = open_store(target.uri, manifest.directory)
        is_new = not _is_there(manifest, store)
        if is_new:
            _upload(manifest, work, store)
    return Bundle(store.uri, manifest, is_new)


def _check(options: PrepareOptions, source: Path) -> str:
    own = source.resolve().stem if source.is_file() else source.resolve().name
    name = options.name or re.sub(r"[^A-Za-z0-9._-]+", "-", own).strip("-._")[:64] or "dataset"
    problems = []
    if options.imgsz < 32:
        problems.append(Problem("--imgsz", "must be at least 32 pixels", value=str(options.imgsz)))
    ratios = options.ratios
    if ratios is not None and not (len(ratios) == len(SPLITS) and all(0 < ratio < math.inf for ratio in ratios)):
        rule = "must be three shares above 0, e.g. 0.7,0.15,0.15"
        problems.append(Problem("--split", rule, value=",".join(map(str, ratios))))
    if options.shard_mb < 1:
        problems.append(Problem("shard_mb", "must be at least 1", value=str(options.shard_mb)))
    if not _NAME.fullmatch(name):
        rule = "must be 1 to 64 letters, digits, dots, dashes or underscores"
        problems.append(Problem("name", rule, value=name))
    if problems:
        raise ConfigError(problems)
    return name


def _build(
    plan: Plan, work: Path, findings: Findings, progress: Progress | None
) -> tuple[tuple[ShardEntry, ...], tuple[FileEntry, ...]]:
    shards: list[ShardEntry] = []
    files: list[FileEntry] = []
    problems: list[Problem] = []
    done, total = 0, len(plan.dataset.images)
    for split in SPLITS:
        with ShardWriter(work, split, plan.options.shard_mb * _MEGABYTE) as writer:
            for record in plan.images(split):
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


def _convert(record: ImageRecord, split: str, plan: Plan, findings: Findings) -> list[tuple[str, bytes]]:
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


def _is_there(manifest: Manifest, store: Store) -> bool:
    try:
        return read_manifest(store.uri).digest == manifest.digest
    except DatasetError:
        return False  # none, or a damaged one


def _upload(manifest: Manifest, work: Path, store: Store) -> None:
    for shard in manifest.shards:
        store.upload(work / shard.key, shard.key)
    store.write(layout.MANIFEST, manifest.to_bytes())
