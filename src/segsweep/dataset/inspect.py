"""Inspecting: what is in a raw dataset, what is wrong with it, and what training would silently make of it."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segsweep.dataset.formats.registry import read_dataset
from segsweep.dataset.inspection.facts import Bin, ClassCount, Copies, Inspection, SplitCount, Training
from segsweep.dataset.inspection.findings import faults_of, findings_of
from segsweep.dataset.inspection.look import Look, look
from segsweep.dataset.inspection.provenance import read_provenance
from segsweep.dataset.inspection.tally import Tally
from segsweep.dataset.inspection.text import counted
from segsweep.dataset.pages.inspect_page import inspect_page
from segsweep.dataset.pages.shots import take_shots
from segsweep.dataset.pictures.duplicates import NEAR_BITS
from segsweep.dataset.records import SPLITS, UNSPLIT, ImageRecord, RawDataset
from segsweep.dataset.spool import Spool
from segsweep.dataset.spread import in_processes, in_this_process, usable_cores
from segsweep.storage.files import disk_errors, written_whole

Progress = Callable[[int, int], None]

_CHUNK_IMAGES = 16
_SPREAD_FROM = 256  # images: fewer are looked at sooner than processes are started
_DIRECT = "yolo"  # the format that Ultralytics reads itself


@dataclass(frozen=True)
class InspectOptions:
    """How to inspect.

    Attributes:
        distance_bits: Perceptual hashes that differ in at most so many of 64 bits are of near-duplicates.
        workers: Processes; None for one a core where it pays.
    """

    distance_bits: int = NEAR_BITS
    workers: int | None = None


def inspect(
    source: Path,
    format_name: str | None = None,
    html: Path | None = None,
    options: InspectOptions | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Read a raw dataset, look at all of it, and draw its page.

    Args:
        source: Folder or file.
        format_name: None to detect it.
        html: Where to write the page; None for none.
        options: See there.
        progress: Called with images done and images in all.

    Raises:
        ConfigError: There is no such format.
        DatasetError: There is no dataset here at all.
        StorageError: The place cannot be read, or the page cannot be written.
    """
    with disk_errors(tempfile.gettempdir()), tempfile.TemporaryDirectory(prefix="segsweep-inspect-") as work:
        with Spool(Path(work, "instances")) as spool:
            dataset = read_dataset(source, format_name, spool.keep)
        facts = inspect_dataset(dataset, source, options or InspectOptions(), progress)
        if html is not None:
            page = inspect_page(facts, take_shots(dataset, facts))
            with disk_errors(str(html)), written_whole(html) as file:
                file.write(page)
    return facts


def inspect_dataset(
    dataset: RawDataset, source: Path, options: InspectOptions, progress: Progress | None = None
) -> Inspection:
    """Look at every image of a dataset. Faults are part of the answer: nothing stops at them.

    Args:
        dataset: As read.
        source: Where it was read from.
        options: See there.
        progress: Called with images done and images in all.

    Raises:
        DatasetError: A worker process was killed.
    """
    tally = Tally(dataset.classes)
    for done, one in enumerate(_looks(dataset, options), start=1):
        tally.add(one)
        if progress is not None:
            progress(done, len(dataset.images))
    root = source if source.is_dir() else source.parent
    is_direct = dataset.format == _DIRECT
    copies = Copies(
        provenance=read_provenance(root),
        by_name=tally.clusters_by_name(),
        by_picture=tally.clusters_by_picture(options.distance_bits),
        distance_bits=options.distance_bits,
    )
    faults = faults_of(dataset, tally, is_direct=is_direct)
    return Inspection(
        source=str(source),
        format=dataset.format,
        images=len(dataset.images),
        unreadable=tally.unreadable,
        classes=_classes(dataset, tally),
        splits=_splits(dataset, tally),
        sizes=tuple(Bin(f"{w}x{h}", count) for (w, h), count in tally.sizes.most_common()),
        objects_per_image=tally.objects_per_image,
        object_sizes=tally.object_sizes,
        objects=tally.objects,
        crowds=tally.crowds,
        overlapping=tally.overlapping,
        overlaps=tally.overlaps,
        smallest=tally.smallest,
        examples=tally.examples,
        copies=copies,
        training=_training(dataset, tally, is_direct=is_direct),
        findings=findings_of(dataset, tally, copies, faults),
        faults=faults,
    )


def _looks(dataset: RawDataset, options: InspectOptions) -> Iterator[Look]:
    workers = options.workers or (usable_cores() if len(dataset.images) >= _SPREAD_FROM else 1)
    over = in_processes(workers) if workers > 1 else in_this_process
    classes = len(dataset.classes) if dataset.format == _DIRECT else None
    chunks = (dataset.images[i : i + _CHUNK_IMAGES] for i in range(0, len(dataset.images), _CHUNK_IMAGES))
    for data in over(partial(_look_at, label_classes=classes), chunks):
        yield from pickle.loads(data)  # noqa: S301 - made by `_look_at`, in a process of ours


def _look_at(records: Sequence[ImageRecord], label_classes: int | None) -> bytes:
    return pickle.dumps([look(record, label_classes) for record in records])


def _classes(dataset: RawDataset, tally: Tally) -> tuple[ClassCount, ...]:
    return tuple(
        ClassCount(name, sum(counts[i] for counts in tally.objects_of_split.values()), tally.images_of_class[i])
        for i, name in enumerate(dataset.classes)
    )


def _splits(dataset: RawDataset, tally: Tally) -> tuple[SplitCount, ...]:
    return tuple(
        SplitCount(
            split,
            tally.images_of_split[split],
            tally.background_of_split[split],
            {name: tally.objects_of_split[split][i] for i, name in enumerate(dataset.classes)},
        )
        for split in (*SPLITS, UNSPLIT)
        if tally.images_of_split[split]
    )


def _training(dataset: RawDataset, tally: Tally, *, is_direct: bool) -> Training:
    seen = tally.verdicts
    refuses = []
    if is_direct:
        missing = [split for split in ("train", "val") if not tally.images_of_split[split]]
        if missing:
            refuses.append(f"there are no images of {' and '.join(missing)}")
        if seen["boxes"]:
            refuses.append(f"the rows of {counted(seen['boxes'], 'image')} are boxes")
    if seen["stops"]:
        refuses.append(f"it ends at {counted(seen['stops'], 'broken BMP file')}")
    return Training(
        is_direct=is_direct,
        used=len(dataset.images) - tally.dropped.total() - seen["stops"],
        dropped=dict(tally.dropped.most_common()),
        background=seen["lacks_labels"],
        removed_rows=seen["removed_rows"],
        rewritten=seen["rewritten"],
        refuses=tuple(refuses),
    )
