from __future__ import annotations

from pathlib import Path

import pytest

from segsweep.dataset.formats.spelling import check_names
from segsweep.dataset.records import ImageRecord, RawDataset
from segsweep.errors import Problem


def dataset(classes: tuple[str, ...], *names: str) -> RawDataset:
    images = tuple(ImageRecord(Path(name), name, name, ()) for name in names)
    return RawDataset("yolo", classes, images, problems=(Problem("a", "is wrong"),))


def test_names_in_any_language_are_fine():
    read = dataset(("cat", "Käfer", "猫", "👩‍🌾", "two words"), "a b.jpg", "é/ü.jpg", "new\nline.jpg", "'\"$.jpg")
    assert check_names(read, "raw") is read


@pytest.mark.parametrize("name", ["a\nb", "a\0", "\x1b[31mred", "\ud800", "a\u2028b"])
def test_a_class_whose_name_is_no_line_of_text_is_told(name: str):
    kept, found = check_names(dataset(("cat", name), "a.jpg"), "raw").problems
    assert kept == Problem("a", "is wrong")
    assert str(found) == f"raw: classes = {name!a}: the name of a class must be one line of text"


def test_a_file_whose_name_is_not_utf8_is_told_in_a_way_that_can_be_printed():
    found = check_names(dataset(("cat",), "train/\udcff.jpg", "b.jpg"), "raw").problems[1]
    assert str(found).encode() == b"train/\\udcff.jpg: the file's name must be UTF-8 (rename it)"
