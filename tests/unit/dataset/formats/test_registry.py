from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segsweep.core.geometry import Part
from segsweep.dataset.formats import names
from segsweep.dataset.formats.registry import FORMAT_NAMES, find_format, read_dataset
from segsweep.dataset.records import ImageRecord, Instance, RawDataset
from segsweep.errors import ConfigError, DatasetError


def test_there_are_these_formats():
    assert FORMAT_NAMES == names.FORMAT_NAMES
    assert [find_format(name).name for name in FORMAT_NAMES] == list(FORMAT_NAMES)


def test_the_format_is_detected(small_yolo: Path, make_coco: Callable[..., Path]):
    coco = make_coco([])
    assert read_dataset(small_yolo, None).format == "yolo"
    assert read_dataset(small_yolo / "data.yaml", None).format == "yolo"
    assert read_dataset(coco, None).format == "coco"
    assert read_dataset(coco / "annotations.json", None).format == "coco"


def test_a_folder_like_two_formats_needs_to_be_told_which(small_yolo: Path, make_coco: Callable[..., Path]):
    coco = make_coco([])
    (small_yolo / "annotations.json").write_bytes((coco / "annotations.json").read_bytes())
    with pytest.raises(DatasetError, match="looks like several formats: yolo, coco"):
        read_dataset(small_yolo, None)
    assert read_dataset(small_yolo, "yolo").format == "yolo"


def test_a_folder_like_no_format_says_what_it_should_hold(tmp_path: Path):
    (tmp_path / "settings.json").write_text('{"colour": "blue"}')
    with pytest.raises(DatasetError, match=r"must hold a data\.yaml \(yolo\), annotations/\*\.json \(coco\)"):
        read_dataset(tmp_path, None)


@pytest.mark.parametrize("format_name", FORMAT_NAMES)
def test_what_is_written_is_detected_as_that_and_nothing_else(
    tmp_path: Path, make_image: Callable[..., Path], format_name: str
):
    square = Part(np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]))
    path = make_image(tmp_path / "a.jpg")
    record = ImageRecord(path, "a.jpg", "a", (Instance(0, (square,)),), "train", (40, 30))
    written = tmp_path / "written"
    written.mkdir()
    find_format(format_name).write(RawDataset("test", ("cat",), (record,)), written)
    dataset = read_dataset(written, None)
    assert (dataset.format, dataset.problems, dataset.classes) == (format_name, (), ("cat",))
    assert [len(record.instances) for record in dataset.images] == [1]


def test_classes_are_handed_to_formats_that_take_them(tmp_path: Path, small_yolo: Path):
    for name in ("images", "masks"):
        (tmp_path / "m" / name).mkdir(parents=True)
    assert read_dataset(tmp_path / "m", None, classes=["nucleus"]).classes == ("nucleus",)
    for name in ("leftImg8bit", "gtFine"):
        (tmp_path / "c" / name).mkdir(parents=True)
    assert read_dataset(tmp_path / "c", None, classes=["road", "car"]).classes == ("road", "car")
    with pytest.raises(ConfigError, match="--classes: cat: yolo names its own classes, only cityscapes and mask_png"):
        read_dataset(small_yolo, None, classes=["cat"])


@pytest.mark.parametrize("format_name", [None, "coco", "yolo"])
def test_a_folder_that_is_not_there_is_told(tmp_path: Path, format_name: str | None):
    with pytest.raises(DatasetError, match="no such file or folder"):
        read_dataset(tmp_path / "nothing", format_name)


def test_an_unknown_format_is_told_with_those_there_are(tmp_path: Path):
    with pytest.raises(ConfigError, match="--format: voc: must be one of yolo, coco, "):
        read_dataset(tmp_path, "voc")
