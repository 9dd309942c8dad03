"""From the pixels of mask files to instances, by what the file, a table or a list says that its values are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from segsweep.dataset.formats.index_mask import Region, split_regions
from segsweep.dataset.formats.index_png import Raster, Values, read_png
from segsweep.dataset.formats.mask_list import ListedMask
from segsweep.dataset.formats.mask_size import check_size
from segsweep.dataset.formats.mask_table import MaskTable
from segsweep.dataset.records import Findings, Instance
from segsweep.errors import DatasetError

COMPONENTS_NOTE = "objects taken to be the connected pieces of a class, for the masks do not tell them apart"
GREY_NOTE = "masks of one object with several values: all above 0 taken as the object"

_SHOWN_VALUES = 5


def objects_by_table(raster: Raster, table: MaskTable, where: str, findings: Findings) -> list[Instance]:
    """Objects of one mask that no list describes.

    Without codes in the table every number is an object; else the connected pieces of each class are.

    Args:
        raster: The mask.
        table: What its values mean.
        where: The mask, for messages.
        findings: Takes faults and repairs.
    """
    values = _values(raster, where, is_colour=table.is_colour, findings=findings)
    if values is None:
        return []
    if not table.codes:
        if table.ignored:
            values = np.where(np.isin(values, list(table.ignored)), 0, values)
        return _instances(values, raster.size, where, findings, lambda region: [(0, False, region)])
    classes = np.zeros(values.shape, np.uint16)
    unknown = (values != 0) & ~np.isin(values, list(table.ignored))
    for code, category in table.codes:
        found = values == code
        classes[found] = category + 1
        unknown &= ~found
    if unknown.any():
        pixels = f", {np.count_nonzero(unknown)} pixels"
        _tell_unknown(values[unknown], where, pixels, is_colour=table.is_colour, findings=findings)
        return []

    def pieces(region: Region) -> Iterator[tuple[int, bool, Region]]:
        for piece in region.components():
            yield region.value - 1, False, piece

    found_objects = _instances(classes, raster.size, where, findings, pieces)
    if found_objects:
        findings.repair(COMPONENTS_NOTE, where)
    return found_objects


def objects_by_list(raster: Raster, mask: ListedMask, findings: Findings) -> list[Instance]:
    """Objects of one mask that `masks.jsonl` describes; a value that it does not know is a fault.

    Args:
        raster: The mask.
        mask: What its values are.
        findings: Takes faults and repairs.
    """
    values = _values(raster, mask.file, is_colour=mask.is_colour, findings=findings)
    if values is None:
        return []
    known = {one.code: one for one in mask.objects}
    unknown: list[int] = []
    seen = set()

    def named(region: Region) -> list[tuple[int, bool, Region]]:
        one = known.get(region.value)
        if one is None:
            unknown.append(region.value)
            return []
        seen.add(region.value)
        return [(one.category, one.crowd, region)]

    instances = _instances(values, raster.size, mask.file, findings, named)
    if unknown:
        _tell_unknown(np.array(unknown), mask.file, "", is_colour=mask.is_colour, findings=findings)
    for code in sorted(known.keys() - seen):
        findings.repair("listed objects without a pixel left out", f"{mask.file}: {code}")
    return instances


def objects_of_files(
    files: Sequence[Path], names: Sequence[str], image: Path, findings: Findings
) -> tuple[list[Instance], tuple[int, int] | None]:
    """Objects that have a mask file each, and the size of the masks; one file is in memory at a time.

    Args:
        files: The mask files.
        names: Of them, for messages.
        image: Their image; each mask must have its size.
        findings: Takes faults and repairs.
    """
    instances: list[Instance] = []
    size = None
    for file, name in zip(files, names, strict=True):
        raster = read_mask(file, name, findings)
        if raster is None or not check_size(image, raster.size, name, findings, size):
            continue
        size = raster.size
        values = raster.values if raster.values.ndim == 2 else raster.colours()
        drawn = values != 0
        if not drawn.any():
            findings.repair("masks without a pixel removed", name)
            continue
        if values[drawn].min() != values.max():
            findings.repair(GREY_NOTE, name)
        whole = drawn.astype(np.uint8)
        instances += _instances(whole, size, name, findings, lambda region: [(0, False, region)])
    return instances, size


def read_mask(file: Path, name: str, findings: Findings) -> Raster | None:
    """The pixels of a mask file; what is wrong with it becomes a fault."""
    try:
        return read_png(file, name)
    except DatasetError as exc:
        for problem in exc.problems:
            findings.fault(problem.where, problem.rule, field=problem.field, value=problem.value, fix=problem.fix)
        return None


def few(values: Sequence[object]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else ""
    return ", ".join(str(value) for value in values[:_SHOWN_VALUES]) + more


def _values(raster: Raster, where: str, *, is_colour: bool, findings: Findings) -> Values | None:
    """Numbers or colours, (height, width); None if the mask has no such thing."""
    if is_colour:
        if raster.values.dtype == np.uint8:
            return raster.colours()
        findings.fault(where, "a mask of colours must have 8 bits a channel, this has 16")
        return None
    if raster.values.ndim == 2:
        return raster.values
    colours = raster.values
    if (colours[..., 0] == colours[..., 1]).all() and (colours[..., 0] == colours[..., 2]).all():
        return np.ascontiguousarray(colours[..., 0])  # grey that was saved as colour
    fix = "say which colour is which class in a colours.yaml beside the masks"
    findings.fault(where, "has colours, not numbers, and no table says what they mean", fix=fix)
    return None


def _instances(
    values: Values,
    size: tuple[int, int],
    where: str,
    findings: Findings,
    meaning: Callable[[Region], Iterable[tuple[int, bool, Region]]],
) -> list[Instance]:
    try:
        return [
            Instance(category, region.parts(size), crowd)
            for number in split_regions(values)
            for category, crowd, region in meaning(number)
        ]
    except ValueError as exc:
        findings.fault(where, f"is no mask of objects: {exc}", fix="put the mask here, not the image")
        return []


def _tell_unknown(values: Values, where: str, pixels: str, *, is_colour: bool, findings: Findings) -> None:
    found = np.unique(values).tolist()
    shown = few([f"#{value:06x}" if is_colour else value for value in found])
    kind = "colours" if is_colour else "numbers"
    fix = "add them to the table; if they lie along edges, the mask was saved with smoothing" if is_colour else ""
    findings.fault(where, f"has {kind} that no class has", value=f"{shown}{pixels}", fix=fix)
