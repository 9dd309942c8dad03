"""The formats there are, and which one a folder holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segsweep.dataset.formats.cityscapes import CityscapesFormat
from segsweep.dataset.formats.coco import CocoFormat
from segsweep.dataset.formats.labelme import LabelmeFormat
from segsweep.dataset.formats.mask_png import MaskPngFormat
from segsweep.dataset.formats.protocol import Format
from segsweep.dataset.formats.spelling import check_names
from segsweep.dataset.formats.yolo import YoloFormat
from segsweep.dataset.records import Keep, RawDataset, in_memory
from segsweep.errors import ConfigError, DatasetError, Problem
from segsweep.storage.files import disk_errors

_FORMATS: tuple[Format, ...] = (YoloFormat(), CocoFormat(), LabelmeFormat(), CityscapesFormat(), MaskPngFormat())
FORMAT_NAMES = tuple(format_.name for format_ in _FORMATS)


def find_format(name: str) -> Format:
    """The format of this name.

    Raises:
        ConfigError: There is none.
    """
    for format_ in _FORMATS:
        if format_.name == name:
            return format_
    raise ConfigError(Problem("--format", f"must be one of {', '.join(FORMAT_NAMES)}", value=name))


def read_dataset(
    source: Path, format_name: str | None, keep: Keep = in_memory, classes: Sequence[str] = ()
) -> RawDataset:
    """Read a raw dataset, in the format named or the one detected.

    Args:
        source: Folder or file.
        format_name: None to detect it.
        keep: Where each image's instances go; `Spool.keep` for datasets of any size.
        classes: Names, for formats that take them: which labels of Cityscapes to read, what the one class of masks is.

    Raises:
        ConfigError: There is no such format, or it takes no such classes.
        DatasetError: There is no such dataset here, or it is like no format, or like several.
        StorageError: The place cannot be read.
    """
    named = find_format(format_name) if format_name else None
    with disk_errors(str(source)):
        if not source.exists():
            raise DatasetError(Problem(str(source), "no such file or folder", fix="name the folder of a raw dataset"))
        return check_names(_with_classes(named or _detect_format(source), classes).read(source, keep), str(source))


def _with_classes(format_: Format, classes: Sequence[str]) -> Format:
    if not classes:
        return format_
    if isinstance(format_, CityscapesFormat):
        return CityscapesFormat(classes)
    if isinstance(format_, MaskPngFormat):
        return MaskPngFormat(classes)
    rule = f"{format_.name} names its own classes, only cityscapes and mask_png take this option"
    raise ConfigError(Problem("--classes", rule, value=", ".join(classes)))


def _detect_format(source: Path) -> Format:
    matching = [format_ for format_ in _FORMATS if format_.detect(source)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = ", ".join(format_.name for format_ in matching)
        raise DatasetError(Problem(str(source), f"looks like several formats: {names}", fix="say which with --format"))
    expected = (
        "a data.yaml (yolo), annotations/*.json (coco), a JSON beside each image (labelme), "
        "leftImg8bit/ and gtFine/ (cityscapes) or images/ and masks/ (mask_png)"
    )
    raise DatasetError(Problem(str(source), f"must hold {expected}", fix="or name the format with --format"))
