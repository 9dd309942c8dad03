"""One image of a tree like that of Cityscapes: between the numbers of its mask and instances."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segsweep.dataset.formats.cityscapes_labels import LABELS_NAME, PER_LABEL, Label, LabelTable
from segsweep.dataset.formats.cityscapes_polygons import draw_polygons
from segsweep.dataset.formats.cityscapes_tree import ANNOTATIONS, Scene
from segsweep.dataset.formats.index_mask import draw, split_regions
from segsweep.dataset.formats.index_png import Values
from segsweep.dataset.formats.mask_folders import shown
from segsweep.dataset.formats.mask_objects import few, read_mask
from segsweep.dataset.formats.mask_size import check_size
from segsweep.dataset.pictures.picture import picture_size
from segsweep.dataset.records import Findings, ImageRecord, Instance
from segsweep.errors import DatasetError, Problem

_LOGGER = logging.getLogger(__name__)


def read_scene(
    scene: Scene, table: LabelTable, classes: Sequence[str], source: Path, findings: Findings
) -> tuple[list[Instance], tuple[int, int] | None]:
    """The instances of an image, and width and height of its mask; of a mask that is wrong, none.

    Args:
        scene: The image and its annotations.
        table: The labels there are.
        classes: Names of those to read; an instance's category is the index of its own.
        source: The dataset's folder, to shorten messages.
        findings: Takes faults and repairs.
    """
    found = _find_values(scene, table, source, findings)
    if found is None:
        return [], None
    where, values, drawn = found
    size = (values.shape[1], values.shape[0])
    if not check_size(scene.image, size, where, findings):
        return [], None
    position = {name: index for index, name in enumerate(classes)}
    try:
        instances, present = _split(values, table, position, where, findings)
    except ValueError as exc:
        findings.fault(where, f"is no mask of objects: {exc}")
        return [], None
    for number, record in drawn.items():
        label = _label_of(number, table)
        if number not in present and label is not None and label.name in position:
            findings.repair("objects that others cover wholly left out", f"{where}: {record}")
    return instances, size


def draw_scene(record: ImageRecord, labels: Sequence[Label]) -> npt.NDArray[np.uint16]:
    """The numbers of an image's `instanceIds`, (height, width); what they cannot show is told in a warning.

    Args:
        record: The image.
        labels: The label of each class; its objects are told apart.

    Raises:
        DatasetError: The image has more objects of a class than numbers.
    """
    width, height = record.size or picture_size(record.path)
    values = np.zeros((height, width), np.uint16)
    count: Counter[int] = Counter()
    numbers, order = [], []
    instances = record.instances
    for index, one in enumerate(instances):
        number = labels[one.category].id
        if not one.crowd:
            number = number * PER_LABEL + count[one.category]
            count[one.category] += 1
        numbers.append(number)
        region = draw(one, height, width)
        if region is not None:
            order.append((not one.crowd, -np.count_nonzero(region.mask), index))
    if count and max(count.values()) > PER_LABEL:
        rule = f"masks of Cityscapes hold at most {PER_LABEL} objects of one class an image"
        fix = "write another format, e.g. coco"
        raise DatasetError(Problem(record.name, rule, value=str(max(count.values())), fix=fix))
    for _, _, index in sorted(order):
        region = draw(instances[index], height, width)  # again: the masks of all together may be large
        if region is not None:
            down, across = region.mask.shape
            values[region.top : region.top + down, region.left : region.left + across][region.mask] = numbers[index]
    lost = len(set(numbers)) - np.count_nonzero(np.unique(values))
    if lost:
        _LOGGER.warning(
            "%s: %d objects lie wholly under others or between pixels, their mask lacks them", record.name, lost
        )
    return values


def _find_values(
    scene: Scene, table: LabelTable, source: Path, findings: Findings
) -> tuple[str, Values, Mapping[int, str]] | None:
    """The annotation's name, its numbers, and for polygons which record has which number."""
    if scene.mask.is_file():
        where = shown(scene.mask, source)
        raster = read_mask(scene.mask, where, findings)
        if raster is not None and raster.values.ndim != 2:
            findings.fault(where, "must hold numbers, not colours", fix="use *_gtFine_instanceIds.png as it is")
            return None
        return None if raster is None else (where, raster.values, {})
    if scene.polygons.is_file():
        where = shown(scene.polygons, source)
        drawing = draw_polygons(scene.polygons, where, table.by_name, findings)
        if drawing is None:
            return None
        findings.repair("instances drawn from polygons, for there is no instanceIds.png", where)
        return where, drawing.values, drawing.records
    looked = f"looked for {shown(scene.mask, source)}"
    findings.fault(shown(scene.image, source), "has no annotation", value=looked)
    return None


def _split(
    values: Values, table: LabelTable, position: Mapping[str, int], where: str, findings: Findings
) -> tuple[list[Instance], set[int]]:
    """The instances of the classes asked for, and all numbers there are."""
    size = (values.shape[1], values.shape[0])
    instances = []
    present: set[int] = set()
    unknown: list[int] = []
    for region in split_regions(values):
        number = region.value
        present.add(number)
        label = _label_of(number, table)
        if label is None:
            unknown.append(number)
        elif label.name in position:
            is_crowd = label.has_instances and number < PER_LABEL
            instances.append(Instance(position[label.name], region.parts(size), is_crowd))
        elif label.has_instances:
            findings.repair("objects of classes not asked for left out", f"{where}: {label.name}")
    if unknown:
        fix = f"list it in {ANNOTATIONS}/{LABELS_NAME}"
        findings.fault(where, "holds numbers of no label", value=few(unknown), fix=fix)
    return instances, present


def _label_of(number: int, table: LabelTable) -> Label | None:
    label = table.by_id.get(number if number < PER_LABEL else number // PER_LABEL)
    return None if label is None or (number >= PER_LABEL and not label.has_instances) else label
