"""COCO JSON: one file a split or one for all, shapes as polygons or run-length masks."""

from __future__ import annotations

import json
import reprlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from segsweep.core.geometry import fill
from segsweep.dataset.formats.coco_document import Document, find_documents, looks_like_coco, read_document, shown
from segsweep.dataset.formats.coco_shapes import read_shape
from segsweep.dataset.formats.rle import encode_counts, encode_mask
from segsweep.dataset.picture import is_file, picture_size
from segsweep.dataset.records import (
    SPLITS,
    UNSPLIT,
    Findings,
    ImageRecord,
    Instance,
    Keep,
    RawDataset,
    in_memory,
    source_group,
)
from segsweep.dataset.stems import unique_stems
from segsweep.errors import DatasetError, Problem

_MOST_PIXELS = 1 << 28  # of an image: a wrong size must not take all memory when a mask is unpacked


class CocoFormat:
    """`annotations/instances_<split>.json`, a single JSON, or a `_annotations.coco.json` in each split's folder."""

    name = "coco"

    def detect(self, source: Path) -> bool:
        """Whether there is a JSON file that speaks of annotations."""
        return any(looks_like_coco(file) for file in find_documents(source))

    def read(self, source: Path, keep: Keep = in_memory) -> RawDataset:
        """Read all JSON files; classes are told apart by name, in the order of their ids."""
        files = find_documents(source)
        if not files:
            fix = "name the JSON file itself, or another --format"
            raise DatasetError(Problem(str(source), "must hold annotations/*.json or *.json", fix=fix))
        root = source if source.is_dir() else source.parent
        findings = Findings()
        documents = [document for file in files if (document := read_document(file, root, findings))]
        classes = _read_classes(documents, findings)
        images: dict[str, ImageRecord] = {}
        for document in documents:
            for record in _read_images(document, classes, root, findings, keep):
                if record.name in images:
                    findings.fault(shown(document.file, root), "an image must be listed once", value=record.name)
                images[record.name] = record
        return RawDataset(
            format=self.name,
            classes=tuple(classes),
            images=tuple(images[name] for name in sorted(images)),
            notes=findings.notes,
            problems=tuple(findings.problems),
        )

    def write(self, dataset: RawDataset, folder: Path) -> None:
        """Write `images/` and `annotations/instances_<split>.json`; an unsplit dataset is one `instances.json`."""
        stems = unique_stems([record.name for record in dataset.images])
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (folder / "annotations").mkdir(exist_ok=True)
        first_id = 1
        for split in (*SPLITS, UNSPLIT):
            records = [record for record in dataset.images if record.split == split]
            if not records:
                continue
            document: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
            document["categories"] = [{"id": i, "name": name} for i, name in enumerate(dataset.classes, start=1)]
            for image_id, record in enumerate(records, start=1):
                file_name = stems[record.name] + record.path.suffix.lower()
                shutil.copyfile(record.path, folder / "images" / file_name)
                width, height = record.size or picture_size(record.path)
                document["images"].append({"id": image_id, "file_name": file_name, "width": width, "height": height})
                for one in record.instances:
                    document["annotations"].append(_annotation(one, first_id, image_id, width, height))
                    first_id += 1
            name = f"instances_{split}.json" if split else "instances.json"
            text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
            (folder / "annotations" / name).write_text(text + "\n", encoding="utf-8")


def _read_classes(documents: Sequence[Document], findings: Findings) -> list[str]:
    ids: dict[str, int] = {}
    supers = set()
    in_use = set()
    for document in documents:
        known: dict[int, str] = {}
        used = {_integer(row.get("category_id")) for row in document.annotations}
        for i, row in enumerate(document.categories):
            at = f"{document.file.name}: categories[{i}]"
            category_id, name = _integer(row.get("id")), row.get("name")
            if category_id is None or not isinstance(name, str) or not name.strip():
                findings.fault(at, "needs a whole number id and a name", value=reprlib.repr(row))
                continue
            if category_id in known or name in known.values():
                findings.fault(at, "ids and names of categories must differ", value=f"{category_id} {name}")
                continue
            known[category_id] = name
            ids.setdefault(name, category_id)
            supers.add(str(row.get("supercategory")))
            if category_id in used:
                in_use.add(name)
    # Roboflow lists the project itself as a category 0 that nothing is annotated with.
    for name in [name for name in ids if name in supers and name not in in_use]:
        findings.repair("categories that are only a supercategory left out", name)
        del ids[name]
    return sorted(ids, key=lambda name: ids[name])


def _read_images(
    document: Document, classes: list[str], root: Path, findings: Findings, keep: Keep
) -> Iterator[ImageRecord]:
    where = shown(document.file, root)
    position = {name: index for index, name in enumerate(classes)}
    categories = {_integer(row.get("id")): position.get(str(row.get("name"))) for row in document.categories}
    sizes = _read_sizes(document, where, findings)
    instances: dict[int, list[Instance]] = {image_id: [] for image_id in sizes}
    seen: set[str] = set()
    for i, row in enumerate(document.annotations):
        at = f"{where}: annotations[{i}]"
        image_id, category_id = _integer(row.get("image_id")), _integer(row.get("category_id"))
        category = None if category_id is None else categories.get(category_id)
        if image_id is None or image_id not in sizes:
            rule, found = "must be the id of an image of this file", reprlib.repr(row.get("image_id"))
            findings.fault(at, rule, field="image_id", value=found)
            continue
        if category is None:
            rule, found = "must be the id of a category of this file", reprlib.repr(row.get("category_id"))
            findings.fault(at, rule, field="category_id", value=found)
            continue
        key = json.dumps([image_id, category, row.get("segmentation")])
        if key in seen:
            findings.repair("duplicate annotations removed", at)
            continue
        seen.add(key)
        parts = read_shape(row.get("segmentation"), sizes[image_id], at, findings)
        if parts:
            instances[image_id].append(Instance(category, parts, crowd=bool(row.get("iscrowd"))))
    folders = _image_folders(document, root)
    for i, row in enumerate(document.images):
        image_id, file_name = _integer(row.get("id")), str(row.get("file_name"))
        if image_id is None or image_id not in sizes:
            continue
        path = next((folder / file_name for folder in folders if is_file(folder / file_name)), None)
        if path is None:
            fix = f"looked in {', '.join(shown(folder, root) for folder in folders)}"
            findings.fault(f"{where}: images[{i}]", "the image file is not there", value=file_name, fix=fix)
            continue
        name, objects = shown(path, root), keep(instances[image_id])
        yield ImageRecord(path, name, source_group(name), objects, document.split, sizes[image_id])


def _read_sizes(document: Document, where: str, findings: Findings) -> dict[int, tuple[int, int]]:
    sizes: dict[int, tuple[int, int]] = {}
    for i, row in enumerate(document.images):
        at = f"{where}: images[{i}]"
        image_id, width, height = (_integer(row.get(key)) for key in ("id", "width", "height"))
        name = row.get("file_name")
        path = PurePosixPath(name if isinstance(name, str) else "")
        if image_id is None:
            findings.fault(at, "must be a whole number", field="id", value=reprlib.repr(row.get("id")))
        elif image_id in sizes:
            findings.fault(at, "ids of images must differ", field="id", value=str(image_id))
        elif width is None or height is None or min(width, height) < 1 or width * height > _MOST_PIXELS:
            findings.fault(
                at, "needs width and height in pixels", value=f"{row.get('width')!r} x {row.get('height')!r}"
            )
        elif not path.name or path.is_absolute() or ".." in path.parts:
            findings.fault(at, "must be a path inside the dataset", field="file_name", value=reprlib.repr(name))
        else:
            sizes[image_id] = (width, height)
    return sizes


def _image_folders(document: Document, root: Path) -> list[Path]:
    """Where the images of a JSON file may lie, most likely first."""
    beside, stem = document.file.parent, document.file.stem.removeprefix("instances_")
    inner = [name for name in (stem, document.split, "valid" if document.split == "val" else "") if name]
    places = [beside, root / "images", root, *(root / "images" / name for name in inner), *(root / n for n in inner)]
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def _annotation(one: Instance, annotation_id: int, image_id: int, width: int, height: int) -> dict[str, Any]:
    pixels = [part.scaled(width, height) for part in one.parts]
    mask = fill(pixels, height, width)
    segmentation: Any
    if one.crowd or any(part.holes for part in pixels):
        counts = encode_mask(mask)
        segmentation = {"size": [height, width], "counts": counts if one.crowd else encode_counts(counts)}
    else:
        segmentation = [np.round(part.exterior, 2).ravel().tolist() for part in pixels]
    outline = np.concatenate([part.exterior for part in pixels])
    low, high = outline.min(axis=0), outline.max(axis=0)
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": one.category + 1,
        "segmentation": segmentation,
        "area": int(np.count_nonzero(mask)),
        "bbox": np.round([*low, *(high - low)], 2).tolist(),
        "iscrowd": int(one.crowd),
    }


def _integer(value: object) -> int | None:
    return value if type(value) is int else None
