"""Preparing: a raw dataset becomes an immutable bundle, named by its content.

Images are converted first, each once, into batches on disk; only then is it known which of them look alike and which
cannot be used, so the split comes after, and the shards are packed from the batches. Memory holds a few batches at a
time, and facts about every image.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segsweep.dataset.bundles.manifest import SCHEMA, Manifest, Source, ordered_digest, read_manifest
from segsweep.dataset.cleaning.clean import Action, Known, actions_to_csv, exclude
from segsweep.dataset.pages.bundle_page import bundle_page
from segsweep.dataset.pictures.duplicates import near_duplicates
from segsweep.dataset.preparing.batch import CHUNK_IMAGES, Chunk, ConvertChunk
from segsweep.dataset.preparing.contents import Contents, Views
from segsweep.dataset.preparing.conversion import CROWDS
from segsweep.dataset.preparing.converting import Progress, convert_all
from segsweep.dataset.preparing.harvest import Harvest, Survey, gather, read_images, survey
from segsweep.dataset.preparing.options import PrepareOptions, bundle_name, check_options
from segsweep.dataset.preparing.plan import Plan, make_plan
from segsweep.dataset.preparing.reading import Reading, read_to_disk
from segsweep.dataset.preparing.roster import Roster
from segsweep.dataset.preparing.upload import upload_shards
from segsweep.dataset.preparing.workspace import workspace
from segsweep.dataset.records import Findings, ImageRecord, Note, RawDataset
from segsweep.dataset.spread import MapChunks, in_processes, in_this_process, usable_cores
from segsweep.errors import DatasetError
from segsweep.storage import layout
from segsweep.storage.files import disk_errors
from segsweep.storage.opening import open_store
from segsweep.storage.store import Store

if TYPE_CHECKING:
    from segsweep.dataset.augmentation.augment import Augmentation
    from segsweep.dataset.augmentation.preview import Preview

logger = logging.getLogger(__name__)

__all__ = ["Bundle", "PrepareOptions", "Progress", "prepare"]

AUGMENTED_SPLIT = "train"

_MEGABYTE = 1_000_000
_ALONE_UP_TO = 2 * CHUNK_IMAGES  # so few images are converted sooner than a worker has started


@dataclass(frozen=True)
class Bundle:
    """A bundle and where it is.

    Attributes:
        uri: Its place, digest and all.
        head: What it holds, perhaps without the list of its files.
        is_new: Whether it was written now; False if the same content was there already.
    """

    uri: str
    head: Manifest
    is_new: bool

    @cached_property
    def manifest(self) -> Manifest:
        """What it holds, file by file; read from its place."""
        return read_manifest(self.uri)

    def to_json(self) -> dict[str, Any]:
        """Facts for `segsweep prepare --json`."""
        manifest = self.head
        return {
            "uri": self.uri,
            "digest": manifest.digest,
            "is_new": self.is_new,
            "classes": list(manifest.classes),
            "splits": {name: asdict(split) for name, split in manifest.splits.items()},
            "fidelity": asdict(manifest.fidelity),
            "small": asdict(manifest.small),
            "cleaning": dict(manifest.cleaning),
            "notes": [asdict(note) for note in manifest.notes],
        }

    def to_text(self) -> str:
        """For a person: what each split got, where the bundle is. What was repaired or decided has been logged."""
        manifest = self.head
        lines = [
            f"{name:<5} {split.images} images, "
            + ", ".join(f"{count} {category}" for category, count in split.instances.items())
            for name, split in manifest.splits.items()
        ]
        fidelity = manifest.fidelity
        lines.append(
            f"{fidelity.objects} objects written with a mean IoU of {fidelity.mean_iou:.4f}, at least "
            f"{fidelity.min_iou:.4f}; {fidelity.lost} lost; {manifest.small.count} smaller than "
            f"{manifest.small.min_area_px:g} pixels"
        )
        return "\n".join([*lines, f"{'bundle' if self.is_new else 'there already:'} {self.uri}"])


def prepare(
    source: Path,
    to: str,
    options: PrepareOptions,
    progress: Progress | None = None,
    map_chunks: MapChunks[Chunk] | None = None,
) -> Bundle:
    """Turn a raw dataset into a bundle at `<to>/<name>-<digest>`.

    Every image is opened, every fault of the dataset told at once. Work is kept below `$TMPDIR`: a `prepare` that was
    killed is gone on with by the next one of the same dataset and options. The manifest is uploaded last, and without
    it there is no bundle.

    Args:
        source: Folder or file of the raw dataset.
        to: URI of the folder of bundles.
        options: See there.
        progress: Called with images done and images in all.
        map_chunks: Where images are converted; None for the processes that the options say. The bundle is the same.

    Raises:
        ConfigError: An option breaks its rule.
        DatasetError: The dataset is wrong; every fault with file and record.
        StorageError: The bundle cannot be written.
    """
    check_options(options)
    name = bundle_name(options, source)
    target = open_store(to)
    augmentation = _load_augmentation(options)  # before there is anything to leave behind
    key = hashlib.sha256(repr((str(source.resolve()), options.recipe)).encode()).hexdigest()[:16]
    with disk_errors(tempfile.gettempdir()), workspace(key) as work:
        kitchen = _Preparation(source, options, augmentation, work, progress, map_chunks)
        return kitchen.run(name, target)


@dataclass(frozen=True, eq=False)
class _Preparation:
    """One `prepare`: what its steps share."""

    source: Path
    options: PrepareOptions
    augmentation: Augmentation | None
    work: Path
    progress: Progress | None
    map_chunks: MapChunks[Chunk] | None

    def run(self, name: str, target: Store) -> Bundle:
        read, roster = read_to_disk(Reading(self.source, self.options.format, self.options.classes, self.work))
        map_chunks = self.map_chunks or self._own_map(len(roster))
        conversion = ConvertChunk(self.options.recipe)
        batches = convert_all(roster, conversion, self.work / "batches", map_chunks, self.progress)
        findings = Findings()
        plan, excluded = self._plan(read, roster, survey(batches), findings)
        plan = replace(plan, augmentation=self.augmentation)
        harvest = gather(batches, plan.splits, plan.classes)
        harvest.actions += excluded
        for action in harvest.actions:
            if action.rule == CROWDS:
                findings.repair(CROWDS, action.image)
        views, copies = harvest.views, self._copies(plan, roster, map_chunks)
        contents = Contents(plan, views, copies, self.options.shard_mb * _MEGABYTE)
        head = self._head(name, contents, harvest, (*read.notes, *findings.notes), read.format)
        return self._write(open_store(target.uri, head.directory), head, contents, harvest, roster)

    def _plan(
        self, read: RawDataset, roster: Roster, known: Survey, findings: Findings
    ) -> tuple[Plan, Sequence[Action]]:
        """Leave out what the options say, and split the rest; the only step that holds all images at once."""
        whole = replace(read, images=roster.images())
        known_of = Known(known.held, known.problems)
        dataset, excluded = exclude(whole, self.options.clean_rules, known.hashes, known_of)
        faults = [] if self.options.drop_unreadable else [one for found in known.problems.values() for one in found]
        clusters = _clusters(known, dataset)
        return make_plan(dataset, known.held, clusters, faults, self.options, findings), excluded

    def _own_map(self, images: int) -> MapChunks[Chunk]:
        workers = self.options.workers or usable_cores()
        return in_this_process if workers == 1 or images <= _ALONE_UP_TO else in_processes(workers)

    def _copies(self, plan: Plan, roster: Roster, map_chunks: MapChunks[Chunk]) -> Views:
        """Augmented copies of the train images; none where none were asked for."""
        if plan.augmentation is None or not plan.augmentation.copies:
            return {}
        from segsweep.dataset.preparing.copies import CopyChunk  # noqa: PLC0415 - albumentations, if it is needed at all

        conversion = CopyChunk(self.options.recipe, plan.augmentation, self.options.seed)
        train = Roster(self.work / "roster-train", list(_train(plan, roster)), CHUNK_IMAGES)
        images = tuple(read_images(convert_all(train, conversion, self.work / "copies", map_chunks, self.progress)))
        if problems := [problem for image in images for problem in image.problems]:
            raise DatasetError(problems)
        return {image.name: image.views for image in images}

    def _previews(self, plan: Plan, roster: Roster) -> tuple[Preview, ...]:
        if plan.augmentation is None or not plan.augmentation.copies:
            return ()
        from segsweep.dataset.preparing.copies import previews  # noqa: PLC0415 - as above

        return previews(_train(plan, roster), self.options.recipe, plan.augmentation, self.options.seed)

    def _head(
        self, name: str, contents: Contents, harvest: Harvest, notes: tuple[Note, ...], format_name: str
    ) -> Manifest:
        """The manifest without its shards and files."""
        plan, imgsz = contents.plan, self.options.imgsz
        hashes = ((file.path, file.sha256) for file in contents.entries())
        for note in notes:
            logger.warning("%s: %s (%d): %s", self.source, note.rule, note.count, ", ".join(note.examples))
        return Manifest(
            schema=SCHEMA,
            name=name,
            digest=ordered_digest(plan.classes, imgsz, plan.parameters, hashes),
            classes=plan.classes,
            imgsz=imgsz,
            parameters=plan.parameters,
            source=Source(str(self.source), format_name),
            splits=contents.facts(),
            shards=(),
            files=(),
            notes=notes,
            fidelity=harvest.tally.facts(),
            small=harvest.small_facts(self.options.min_area_px),
            cleaning=harvest.counts(),
        )

    def _write(self, store: Store, head: Manifest, contents: Contents, harvest: Harvest, roster: Roster) -> Bundle:
        """Upload everything, the manifest last; nothing if it is there already."""
        there = _find(store, head.digest)
        if there is not None:
            return Bundle(store.uri, there, is_new=False)
        head = replace(head, shards=upload_shards(contents.shards, store, self.work))
        store.write(layout.BUNDLE_CLEANING, actions_to_csv(harvest.actions))
        store.write(layout.BUNDLE_PAGE, bundle_page(head, self._previews(contents.plan, roster)).encode())
        path = self.work / layout.MANIFEST
        with path.open("wb") as file:
            file.writelines(head.lines(contents.entries()))
        store.upload(path, layout.MANIFEST)
        return Bundle(store.uri, head, is_new=True)


def _train(plan: Plan, roster: Roster) -> Iterator[ImageRecord]:
    for chunk in roster.chunks():
        yield from (record for record in chunk if plan.splits.get(record.name) == AUGMENTED_SPLIT)


def _load_augmentation(options: PrepareOptions) -> Augmentation | None:
    if options.augment is None:
        return None
    from segsweep.dataset.augmentation.augment import load_augmentation  # noqa: PLC0415 - albumentations, if it is needed at all

    return load_augmentation(options.augment)


def _clusters(known: Survey, dataset: RawDataset) -> list[list[str]]:
    """Names of images that look alike; plain pictures, which have no structure to compare, look like nothing."""
    names = [record.name for record in dataset.images if known.hashes.get(record.name)]
    return [[names[index] for index in cluster] for cluster in near_duplicates([known.hashes[name] for name in names])]


def _find(store: Store, digest: str) -> Manifest | None:
    try:
        found = read_manifest(store.uri)
    except DatasetError:
        return None  # none, or a damaged one
    return found if found.digest == digest else None
