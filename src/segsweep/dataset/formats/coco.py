"""COCO JSON: one file a split or one for all, shapes as polygons or run-length masks."""

from __future__ import annotations

import gc
import hashlib
import operator
import re
import reprlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from segsweep.dataset.formats.coco_document import (
    Document,
    annotation_key,
    find_documents,
    integer,
    looks_like_coco,
    read_document,
    shown,
)
from segsweep.dataset.formats.coco_images import Size, find_images, read_sizes
from segsweep.dataset.formats.coco_shapes import read_polygons, read_shape
from segsweep.dataset.formats.coco_writer import write_documents
from segsweep.dataset.records import (
    Annotations,
    Findings,
    ImageRecord,
    Instance,
    Keep,
    RawDataset,
    in_memory,
    source_group,
)
from segsweep.errors import DatasetError, Problem

_HALVES = re.compile(r"[\ud800-\udfff]")


class CocoFormat:
    """`annotations/instances_<split>.json`, a single JSON, or a `_annotations.coco.json` in each split's folder."""

    name = "coco"

    def detect(self, source: Path) -> bool:
        """Whether there is a JSON file that speaks of annotations."""
        return any(looks_like_coco(file) for file in find_documents(source))

    def read(self, source: Path, keep: Keep = in_memory) -> RawDataset:
        """Read all JSON files; classes are told apart by name, in the order of their ids.

        Every file is read twice: what annotations mean is known only when all images and categories are, and these may
        come last. Memory holds what there is of images, and of an annotation a few numbers.
        """
        files = find_documents(source)
        if not files:
            fix = "name the JSON file itself, or another --format"
            raise DatasetError(Problem(str(source), "must hold annotations/*.json or *.json", fix=fix))
        with _no_garbage():
            return self._read(files, source if source.is_dir() else source.parent, keep)

    def _read(self, files: Sequence[Path], root: Path, keep: Keep) -> RawDataset:
        findings = Findings()
        documents = [document for file in files if (document := read_document(file, root, findings))]
        classes = _read_classes(documents, findings)
        images: dict[str, ImageRecord] = {}
        for document in documents:
            sizes = read_sizes(document, root, findings)
            reader = _Annotations(_positions(document, classes), sizes, shown(document.file, root), findings, keep)
            annotations = reader.read(document)
            for image in find_images(document, sizes, root, findings):
                if image.name in images:
                    findings.fault(shown(document.file, root), "an image must be listed once", value=image.name)
                images[image.name] = ImageRecord(
                    path=image.path,
                    name=image.name,
                    group=source_group(image.name),
                    annotations=annotations[image.image_id],
                    split=document.split,
                    size=image.size,
                )
        return RawDataset(
            format=self.name,
            classes=tuple(classes),
            images=tuple(images[name] for name in sorted(images)),
            notes=findings.notes,
            problems=tuple(findings.problems),
        )

    def write(self, dataset: RawDataset, folder: Path) -> None:
        """Write `images/` and `annotations/instances_<split>.json`; an unsplit dataset is one `instances.json`."""
        write_documents(dataset, folder)


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Let the collector of cyclic garbage rest: rows have none, and it would walk through all that is kept."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            # What was read is old now, as if it had survived two collections: otherwise one would begin at once.
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def _read_classes(documents: Sequence[Document], findings: Findings) -> list[str]:
    ids: dict[str, int] = {}
    supers = set()
    in_use = set()
    for document in documents:
        known: dict[int, str] = {}
        for i, row in enumerate(document.categories):
            at = f"{document.file.name}: categories[{i}]"
            category_id, name = integer(row["id"]), row["name"]
            if category_id is None or not _is_name(name):
                findings.fault(at, "needs a whole number id and a name", value=reprlib.repr(row))
                continue
            if category_id in known or name in known.values():
                findings.fault(at, "ids and names of categories must differ", value=f"{category_id} {name}")
                continue
            known[category_id] = name
            ids.setdefault(name, category_id)
            if isinstance(row["supercategory"], str):
                supers.add(row["supercategory"])
            if category_id in document.used:
                in_use.add(name)
    # Roboflow lists the project itself as a category 0 that nothing is annotated with.
    for name in [name for name in ids if name in supers and name not in in_use]:
        findings.repair("categories that are only a supercategory left out", name)
        del ids[name]
    return sorted(ids, key=lambda name: ids[name])


def _is_name(value: object) -> TypeGuard[str]:
    """Whether it is text that can be written: JSON may hold halves of surrogate pairs."""
    return isinstance(value, str) and bool(value.strip()) and not _HALVES.search(value)


def _positions(document: Document, classes: Sequence[str]) -> dict[int, int]:
    """Category id of a file -> index of the class."""
    position = {name: index for index, name in enumerate(classes)}
    found = ((integer(row["id"]), position.get(str(row["name"]))) for row in document.categories)
    return {category_id: index for category_id, index in found if category_id is not None and index is not None}


@dataclass(frozen=True, eq=False)
class _Annotations:
    """Reads the annotations of one file.

    Attributes:
        categories: Category id -> index of the class.
        sizes: Image id -> width and height, pixels.
        where: The file, for messages.
        findings: Takes faults and repairs.
        keep: Takes instances.
        seen: Digests of annotations that seem to be there more than once.
    """

    categories: Mapping[int, int]
    sizes: Mapping[int, Size]
    where: str
    findings: Findings
    keep: Keep
    seen: set[bytes] = field(default_factory=set)

    def read(self, document: Document) -> dict[int, Annotations]:
        """Image id -> what is annotated in it, in the order of the file."""
        kept: dict[int, Annotations] = {}
        for first, rows in document.annotations():
            for image_id, instances in self._instances(first, rows, document.twins).items():
                more = self.keep(instances)
                kept[image_id] = operator.add(kept[image_id], more) if image_id in kept else more
        return {image_id: kept[image_id] if image_id in kept else self.keep(()) for image_id in self.sizes}

    def _instances(
        self, first: int, rows: Sequence[Mapping[str, Any]], twins: frozenset[int]
    ) -> dict[int, list[Instance]]:
        """Image id -> instances, of a stretch of the annotations."""
        found: defaultdict[int, list[Instance]] = defaultdict(list)
        image_ids = [integer(row.get("image_id")) for row in rows]
        sizes = [None if image_id is None else self.sizes.get(image_id) for image_id in image_ids]
        quick = read_polygons([row.get("segmentation") for row in rows], sizes)
        for index, (row, image_id, size, parts) in enumerate(zip(rows, image_ids, sizes, quick, strict=True), first):
            category_id = row.get("category_id")
            category = self.categories.get(category_id) if type(category_id) is int else None
            if image_id is None or size is None or category is None:
                self._refuse(row, size, index)
            elif index not in twins or not self._is_repeated(row, index):
                shape = parts or read_shape(row.get("segmentation"), size, self._place(index), self.findings)
                if shape:
                    found[image_id].append(Instance(category, shape, bool(row.get("iscrowd"))))
        return found

    def _place(self, index: int) -> str:
        return f"{self.where}: annotations[{index}]"

    def _refuse(self, row: Mapping[str, Any], size: Size | None, index: int) -> None:
        key, whose = ("image_id", "an image") if size is None else ("category_id", "a category")
        rule = f"must be the id of {whose} of this file"
        self.findings.fault(self._place(index), rule, field=key, value=reprlib.repr(row.get(key)))

    def _is_repeated(self, row: Mapping[str, Any], index: int) -> bool:
        key = hashlib.blake2b(annotation_key(row), digest_size=16).digest()
        if key in self.seen:
            self.findings.repair("duplicate annotations removed", self._place(index))
            return True
        self.seen.add(key)
        return False
