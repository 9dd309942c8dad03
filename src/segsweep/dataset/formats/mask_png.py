"""Masks as PNG: one index mask an image, one mask an object, or colours with a table."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segsweep.dataset.formats.index_mask import Layer, draw_layers
from segsweep.dataset.formats.index_png import encode_index
from segsweep.dataset.formats.mask_folders import (
    MaskedImage,
    find_roots,
    list_masked,
    shown,
    without_masks,
)
from segsweep.dataset.formats.mask_list import (
    LIST_NAME,
    ListedImage,
    ListedMask,
    MaskObject,
    format_header,
    format_image,
    read_classes,
    read_list,
)
from segsweep.dataset.formats.mask_objects import objects_by_list, objects_by_table, objects_of_files, read_mask
from segsweep.dataset.formats.mask_size import check_size
from segsweep.dataset.formats.mask_table import TABLE_NAMES, MaskTable, find_table, read_table
from segsweep.dataset.pictures.picture import is_file, picture_size
from segsweep.dataset.records import Findings, ImageRecord, Instance, Keep, RawDataset, in_memory, source_group
from segsweep.dataset.stems import unique_stems
from segsweep.errors import ConfigError, DatasetError, Problem

_LOGGER = logging.getLogger(__name__)


class MaskPngFormat:
    """Images with PNG masks; reads what others write, and writes one layout that loses nothing.

    Read:
        - `images/a.jpg` with `masks/a.png` or `masks/a_mask.png`: every number of the mask is an object (Penn-Fudan);
        - `<id>/images/a.png` with `<id>/masks/*.png`, or `images/a.jpg` with `masks/a/*.png`: every file is an object
          (2018 Data Science Bowl);
        - the first of these with a `classes.yaml` or `colours.yaml`: every connected piece of a class's colour or
          number is an object;
        - all of these in `train/`, `val/` and `test/`, outside or inside;
        - `masks.jsonl`, which says of each mask what its numbers or colours are.

    Written: `images/`, `masks/<stem>.png` with 16-bit numbers, and `masks.jsonl` with class, crowd, split and group.
    Objects that overlap others go into `overlaps/1/<stem>.png`, then `2` and so on: one file an object would keep them
    apart as well, but takes a hundred files for a street, and other tools read the first file of this layout as it is.
    All that is lost is an object that covers the centre of no pixel; it is told in a warning.

    Args:
        classes: The name of the one class, for masks that no table names; `object` if empty.
    """

    name = "mask_png"

    def __init__(self, classes: Sequence[str] = ()) -> None:
        if len(classes) > 1:
            rule = "masks without a table are of one class"
            fix = f"say which values are which class in a {TABLE_NAMES[0]} beside the masks"
            raise ConfigError(Problem("--classes", rule, value=", ".join(classes), fix=fix))
        self._table = MaskTable(tuple(classes)) if classes else MaskTable()

    def detect(self, source: Path) -> bool:
        """Whether there is a list of masks, or folders of images and of masks."""
        return (source / LIST_NAME).is_file() or bool(find_roots(source))

    def read(self, source: Path, keep: Keep = in_memory) -> RawDataset:
        """Read all masks."""
        findings = Findings()
        if is_file(source / LIST_NAME):
            images, classes = _read_listed(source, keep, findings)
        else:
            images, classes = self._read_folders(source, keep, findings)
        if not images and not findings.problems:
            findings.fault(str(source), "holds no image with a mask")
        return RawDataset(
            format=self.name,
            classes=classes,
            images=tuple(sorted(images, key=lambda record: record.name)),
            notes=findings.notes,
            problems=tuple(findings.problems),
        )

    def write(self, dataset: RawDataset, folder: Path) -> None:
        """Write images, masks and their list."""
        stems = unique_stems([record.name for record in dataset.images])
        for name in ("images", "masks"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        with (folder / LIST_NAME).open("w", encoding="utf-8", newline="\n") as listed:
            listed.write(format_header(dataset.classes))
            for number, record in enumerate(dataset.images, start=2):
                image = f"images/{stems[record.name]}{record.path.suffix.lower()}"
                shutil.copyfile(record.path, folder / image)
                masks = _write_masks(record, stems[record.name], folder)
                row = ListedImage(number, image, record.split, record.group, masks)
                listed.write(format_image(row, dataset.classes))

    def _read_folders(self, source: Path, keep: Keep, findings: Findings) -> tuple[list[ImageRecord], tuple[str, ...]]:
        roots = find_roots(source)
        if not roots:
            rule = "must hold folders images/ and masks/"
            fix = "or <id>/images/ and <id>/masks/ for each image, or name another --format"
            raise DatasetError(Problem(str(source), rule, fix=fix))
        table = self._table
        file = find_table(source)
        if file is not None:
            table = read_table(file, findings)
            if findings.problems:  # without a table every mask would be a further fault
                return [], table.classes
        for folder in without_masks(source):
            findings.repair("folders without masks left out", shown(folder, source))
        images = []
        for root, split in roots:
            for masked in list_masked(root, split, source, findings):
                images.append(_read_masked(masked, table, source, keep, findings))
        return images, table.classes


def _read_masked(masked: MaskedImage, table: MaskTable, source: Path, keep: Keep, findings: Findings) -> ImageRecord:
    name = shown(masked.image, source)
    names = [shown(mask, source) for mask in masked.masks]
    instances: list[Instance] = []
    size = None
    if masked.is_folder:
        instances, size = objects_of_files(masked.masks, names, masked.image, findings)
    else:
        raster = read_mask(masked.masks[0], names[0], findings)
        if raster is not None and check_size(masked.image, raster.size, names[0], findings):
            size = raster.size
            instances = objects_by_table(raster, table, names[0], findings)
    return ImageRecord(masked.image, name, source_group(name), keep(instances), masked.split, size)


def _read_listed(source: Path, keep: Keep, findings: Findings) -> tuple[list[ImageRecord], tuple[str, ...]]:
    file = source / LIST_NAME
    classes = read_classes(file, findings)
    if not classes:
        return [], ()
    images: dict[str, ImageRecord] = {}
    for row in read_list(file, classes, findings):
        at = f"{LIST_NAME}:{row.line}"
        if row.image in images:
            findings.fault(at, "an image must be listed once", value=row.image)
            continue
        path = source / row.image
        if not is_file(path):
            findings.fault(at, "the image file is not there", value=row.image)
            continue
        instances: list[Instance] = []
        size = None
        for mask in row.masks:
            raster = read_mask(source / mask.file, mask.file, findings)
            if raster is not None and check_size(path, raster.size, mask.file, findings, size):
                size = raster.size
                instances += objects_by_list(raster, mask, findings)
        group = row.group or source_group(row.image)
        images[row.image] = ImageRecord(path, row.image, group, keep(instances), row.split, size)
    return list(images.values()), classes


def _write_masks(record: ImageRecord, stem: str, folder: Path) -> tuple[ListedMask, ...]:
    width, height = record.size or picture_size(record.path)
    instances = record.instances
    masks = []
    for number, layer in enumerate(draw_layers(instances, height, width)):
        file = f"overlaps/{number}/{stem}.png" if number else f"masks/{stem}.png"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(encode_index(layer.values))
        masks.append(ListedMask(file, is_colour=False, objects=_objects(layer, instances)))
    if not masks:
        # A mask of nothing, for tools that expect one beside every image.
        file = f"masks/{stem}.png"
        (folder / file).write_bytes(encode_index(np.zeros((height, width), np.uint16)))
        masks.append(ListedMask(file, is_colour=False, objects=()))
    lost = len(instances) - sum(len(mask.objects) for mask in masks)
    if lost:
        _LOGGER.warning("%s: %d objects cover the centre of no pixel, no mask can show them", record.name, lost)
    return tuple(masks)


def _objects(layer: Layer, instances: Sequence[Instance]) -> tuple[MaskObject, ...]:
    drawn = [instances[index] for index in layer.objects]
    return tuple(MaskObject(number, one.category, one.crowd) for number, one in enumerate(drawn, start=1))
