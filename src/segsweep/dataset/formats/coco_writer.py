"""Writing COCO JSON, row by row: memory does not grow with the dataset."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from segsweep.core.geometry import Part, fill
from segsweep.dataset.formats.rle import encode_counts, encode_window
from segsweep.dataset.pictures.picture import picture_size
from segsweep.dataset.records import SPLITS, UNSPLIT, ImageRecord, Instance, RawDataset
from segsweep.dataset.stems import unique_stems

_DECIMALS = 2  # of a pixel, as COCO's own files have it

Row = dict[str, Any]


def write_documents(dataset: RawDataset, folder: Path) -> None:
    """Write `images/`, images copied as they are, and a JSON file a split.

    Raises:
        DatasetError: An image whose size is not stated cannot be read.
        OSError: An image or the folder cannot be read or written.
    """
    stems = unique_stems([record.name for record in dataset.images])
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir(exist_ok=True)
    annotation_ids = itertools.count(1)
    for split in (*SPLITS, UNSPLIT):
        records = [record for record in dataset.images if record.split == split]
        if records:
            name = f"instances_{split}.json" if split else "instances.json"
            sizes = [record.size or picture_size(record.path) for record in records]
            with (folder / "annotations" / name).open("wb") as file:
                _write_lists(
                    file,
                    categories=({"id": i, "name": name} for i, name in enumerate(dataset.classes, start=1)),
                    images=_image_rows(records, sizes, stems, folder),
                    annotations=_annotation_rows(records, sizes, annotation_ids),
                )


def _write_lists(file: BinaryIO, **lists: Iterable[Row]) -> None:
    """One object of lists, a row a line, written as the rows come."""
    opening = b"{"
    for key, rows in lists.items():
        file.write(opening + orjson.dumps(key) + b":[")
        separator = b"\n"
        for row in rows:
            file.write(separator + orjson.dumps(row))
            separator = b",\n"
        file.write(b"]")
        opening = b",\n"
    file.write(b"}\n")


def _image_rows(
    records: Sequence[ImageRecord], sizes: Sequence[tuple[int, int]], stems: dict[str, str], folder: Path
) -> Iterator[Row]:
    """Copies each image, too."""
    for image_id, (record, (width, height)) in enumerate(zip(records, sizes, strict=True), start=1):
        file_name = stems[record.name] + record.path.suffix.lower()
        shutil.copyfile(record.path, folder / "images" / file_name)
        yield {"id": image_id, "file_name": file_name, "width": width, "height": height}


def _annotation_rows(
    records: Sequence[ImageRecord], sizes: Sequence[tuple[int, int]], ids: Iterator[int]
) -> Iterator[Row]:
    for image_id, (record, (width, height)) in enumerate(zip(records, sizes, strict=True), start=1):
        for one in record.instances:
            yield {"id": next(ids), "image_id": image_id, **_annotation(one, width, height)}


def _annotation(one: Instance, width: int, height: int) -> Row:
    pixels = [part.scaled(width, height) for part in one.parts]
    outline = np.concatenate([part.exterior for part in pixels])
    low, high = outline.min(axis=0), outline.max(axis=0)
    # Only what lies around the object is ever rasterised.
    left, top = np.floor(low).astype(int).clip(0, (width, height)).tolist()
    right, bottom = np.ceil(high).astype(int).clip(0, (width, height)).tolist()
    window = fill([_moved(part, -left, -top) for part in pixels], bottom - top, right - left)
    segmentation: Any
    if one.crowd or any(part.holes for part in pixels):
        counts = encode_window(window, (left, top), height, width)
        segmentation = {"size": [height, width], "counts": counts if one.crowd else encode_counts(counts)}
    else:
        segmentation = [part.exterior.round(_DECIMALS).ravel().tolist() for part in pixels]
    return {
        "category_id": one.category + 1,
        "segmentation": segmentation,
        "area": int(np.count_nonzero(window)),
        "bbox": np.round([*low, *(high - low)], _DECIMALS).tolist(),
        "iscrowd": int(one.crowd),
    }


def _moved(part: Part, x: float, y: float) -> Part:
    step = np.array([x, y])
    return Part(part.exterior + step, tuple(hole + step for hole in part.holes))
