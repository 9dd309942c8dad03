from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segsweep.core.geometry import fill, trace
from segsweep.dataset.formats.yolo import YoloFormat
from segsweep.dataset.records import ImageRecord, Instance, RawDataset
from segsweep.errors import DatasetError

ROW = "0 0.1 0.1 0.1 0.9 0.9 0.9\n"
MAKE = Callable[..., Path]


def problems_of(folder: Path) -> list[str]:
    return [str(problem) for problem in YoloFormat().read(folder).problems]


def notes_of(folder: Path) -> dict[str, tuple[str, ...]]:
    dataset = YoloFormat().read(folder)
    assert dataset.problems == ()
    return {note.rule: note.examples for note in dataset.notes}


def test_images_and_their_rows_are_read_split_by_split(make_yolo: MAKE):
    dataset = YoloFormat().read(make_yolo({"train/a": ROW + "1" + ROW[1:], "val/b": "", "test/c": ROW}))
    assert dataset.classes == ("cat", "dog")
    assert [(one.name, one.split, len(one.instances)) for one in dataset.images] == [
        ("images/test/c.jpg", "test", 1),
        ("images/train/a.jpg", "train", 2),
        ("images/val/b.jpg", "val", 0),
    ]
    assert dataset.notes == ()


@pytest.mark.parametrize("names", ["[cat, dog]", "{0: cat, 1: dog}", "{1: dog, 0: cat}"])
def test_names_may_be_a_list_or_a_mapping(make_yolo: MAKE, names: str):
    assert YoloFormat().read(make_yolo({"train/a": ROW}, f"train: images/train\nnames: {names}")).classes == (
        "cat",
        "dog",
    )


@pytest.mark.parametrize(
    ("names", "note"),
    [
        ('names: \'["cat", "dog"]\'', "names that are a list written as text read as a list"),
        ('names: "{0: cat, 1: dog}"', "names that are a list written as text read as a list"),
        ("names: {'0': cat, '1': dog}", ""),
        ("names: [cat, dog]\nnc: '2'", ""),
        ("names: [cat, dog]\nnc: 2.0", ""),
    ],
)
def test_names_and_their_number_may_be_spelled_as_text(make_yolo: MAKE, names: str, note: str):
    dataset = YoloFormat().read(make_yolo({"train/a": ROW}, f"train: images/train\n{names}"))
    assert dataset.problems == ()
    assert dataset.classes == ("cat", "dog")
    assert [one.rule for one in dataset.notes] == ([note] if note else [])


def test_classes_without_names_are_numbered_and_noted(make_yolo: MAKE):
    dataset = YoloFormat().read(make_yolo({"train/a": "1" + ROW[1:]}, "train: images/train\nnc: 2"))
    assert dataset.classes == ("class_0", "class_1")
    assert [one.rule for one in dataset.notes] == ["classes without names called class_<id>, as Ultralytics does"]


def test_class_ids_may_have_gaps(make_yolo: MAKE):
    dataset = YoloFormat().read(make_yolo({"train/a": "7" + ROW[1:]}, "train: images/train\nnames: {0: cat, 7: dog}"))
    assert dataset.classes == ("cat", "dog")
    assert dataset.images[0].instances[0].category == 1


@pytest.mark.parametrize("prefix", ["../", "../../", ""])
def test_folders_named_as_roboflow_names_them_are_found_beside_data_yaml(make_yolo: MAKE, prefix: str):
    folder = make_yolo({"valid/a": ROW}, f"train: {prefix}images/train\nval: {prefix}images/valid\nnames: [cat]")
    dataset = YoloFormat().read(folder)
    assert [(one.name, one.split) for one in dataset.images] == [("images/valid/a.jpg", "val")]
    assert notes_of(folder) == {"data.yaml names a folder that is not there": (f"train: {prefix}images/train",)}


def test_path_is_the_root_of_the_folders(make_yolo: MAKE, tmp_path: Path):
    folder = make_yolo({"train/a": ROW}, f"path: {tmp_path}/raw/images\ntrain: train\nnames: [cat]")
    assert len(YoloFormat().read(folder).images) == 1


def test_a_split_may_be_a_list_file_or_several_folders(make_yolo: MAKE):
    folder = make_yolo({"x/a": ROW, "y/b": ROW, "z/c": ROW}, "train: [images/x, images/y]\nval: val.txt\nnames: [cat]")
    (folder / "val.txt").write_text("./images/z/c.jpg\n\n./images/z/missing.jpg\n")
    dataset = YoloFormat().read(folder)
    assert Counter(one.split for one in dataset.images) == {"train": 2, "val": 1}
    assert [str(problem) for problem in dataset.problems] == [
        f"{folder}/val.txt:3: ./images/z/missing.jpg: names an image that is not there"
        " (correct the line: Ultralytics would train without it)"
    ]


@pytest.mark.parametrize("place", ["raw", "datasets/raw"])
def test_path_may_be_relative_to_where_one_works(
    make_yolo: MAKE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
):
    folder = make_yolo({"train/a": ROW})
    (tmp_path / "work" / place).parent.mkdir(parents=True)
    folder.rename(tmp_path / "work" / place)
    (tmp_path / "raw.yaml").write_text("path: raw\ntrain: images/train\nnames: [cat]")
    monkeypatch.chdir(tmp_path / "work")
    (record,) = YoloFormat().read(tmp_path / "raw.yaml").images
    assert record.path == tmp_path / "work" / place / "images/train/a.jpg"


@pytest.mark.parametrize(
    "line", ["images/z/c.jpg", "./images/z/c.jpg", ".\\images\\z\\c.jpg", "{folder}/images/z/c.jpg"]
)
@pytest.mark.parametrize("place", ["train.txt", "lists/train.txt"])
def test_a_list_file_names_images_from_itself_from_the_dataset_or_from_the_root(make_yolo: MAKE, place: str, line: str):
    folder = make_yolo({"z/c": ROW}, f"train: {place}\nnames: [cat]")
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).write_text(line.format(folder=folder) + "\r\n")
    dataset = YoloFormat().read(folder)
    assert dataset.problems == ()
    assert [record.name for record in dataset.images] == ["images/z/c.jpg"]


def test_parts_and_holes_come_back_as_they_were_written(tmp_path: Path, make_image: MAKE):
    mask = np.zeros((30, 40), np.bool_)
    mask[4:20, 4:30] = True
    mask[8:12, 8:12] = mask[:, 16:18] = False
    parts = tuple(part.scaled(1 / 40, 1 / 30) for part in trace(mask))
    record = ImageRecord(make_image(tmp_path / "a.jpg"), "a.jpg", "a", (Instance(0, parts),), "train", (40, 30))
    YoloFormat().write(RawDataset("yolo", ("cat",), (record,)), tmp_path / "out")
    ((instance,),) = (one.instances for one in YoloFormat().read(tmp_path / "out").images)
    assert sorted((len(part.exterior), len(part.holes)) for part in instance.parts) == sorted(
        (len(part.exterior), len(part.holes)) for part in parts
    )


def test_an_image_without_a_label_file_is_background_and_noted(make_yolo: MAKE):
    assert notes_of(make_yolo({"train/a": ROW, "train/b": None})) == {
        "images without a label file taken as background": ("images/train/b.jpg",)
    }


def test_a_label_without_an_image_is_told(make_yolo: MAKE):
    folder = make_yolo({"train/a": ROW})
    (folder / "labels/train/b.txt").write_text(ROW)
    (folder / "labels/train/classes.txt").write_text("cat\ndog\n")
    assert problems_of(folder) == [
        "labels/train/b.txt: is a label without an image (add the image or remove the label)"
    ]


def test_every_fault_of_every_file_is_told_with_its_line(make_yolo: MAKE):
    folder = make_yolo({"train/a": ROW + "0 0.5 0.5 0.1 0.1\n", "val/b": "5" + ROW[1:]})
    (folder / "labels/val/b.txt").write_bytes(b"\xff\xfe\x00")
    assert [found.partition(": ")[0] for found in problems_of(folder)] == ["labels/train/a.txt:2", "labels/val/b.txt"]


def test_hidden_files_are_no_images(make_yolo: MAKE, make_image: MAKE):
    folder = make_yolo({"train/a": ROW})
    make_image(folder / "images/train/._a.jpg")
    make_image(folder / "images/train/.thumbs/b.jpg")
    assert len(YoloFormat().read(folder).images) == 1


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("train: images/train", "names = None: must list the classes"),
        ("train: images/train\nnames: cat", "names = 'cat': must list the classes"),
        ("train: images/train\nnames: {cat: 0}", "names = ['cat']: class ids must be whole numbers from 0"),
        ("train: images/train\nnames: [cat, cat]", "names = cat: class names must differ and not be empty"),
        ("train: images/train\nnames: [cat]\nnc: 2", "nc = 2: must be the number of names, 1"),
        ("train: images/train\nnames: [cat]\nnc: many", "nc = 'many': must be the number of names, 1"),
        ("train: images/train\nnames: '[cat'", "names = '[cat': must list the classes"),
        ("train: images/train\nnc: 1000000000", "names = None: must list the classes"),
        ("train: 5\nnames: [cat]", "train = 5: must be a folder, a list file or a list of them"),
        ("path: 5\ntrain: images/train\nnames: [cat]", "path = 5: must be a folder"),
        ("train: elsewhere\nnames: [cat]", "names no folder with images"),
        ("names: [cat]", "names no folder with images"),
    ],
)
def test_a_wrong_data_yaml_is_told_by_field(make_yolo: MAKE, data: str, problem: str):
    folder = make_yolo({"train/a": ROW}, data)
    (found,) = problems_of(folder)
    assert found.startswith(f"{folder}/data.yaml: {problem}")


@pytest.mark.parametrize("data", ["a: [", "- 1", "\x01", "2001-99-99"])
def test_a_data_yaml_of_another_shape_is_refused(make_yolo: MAKE, data: str):
    with pytest.raises(DatasetError, match=r"data\.yaml: must be"):
        YoloFormat().read(make_yolo({"train/a": ROW}, data))


def test_what_is_written_reads_back_with_its_splits(tmp_path: Path, make_image: MAKE):
    mask = np.zeros((30, 40), np.bool_)
    mask[4:20, 4:30] = True
    mask[8:12, 8:12] = mask[:, 16:18] = False
    shape = Instance(1, tuple(part.scaled(1 / 40, 1 / 30) for part in trace(mask)))
    records = tuple(
        ImageRecord(make_image(tmp_path / folder / "a b.jpg"), f"{folder}/a b.jpg", folder, (shape,), split, (40, 30))
        for folder, split in (("p", "train"), ("q", "train"), ("r", "val"))
    )
    YoloFormat().write(RawDataset("yolo", ("cat", "dog"), records), tmp_path / "out")
    back = YoloFormat().read(tmp_path / "out")
    assert back.problems == back.notes == ()
    assert Counter(one.split for one in back.images) == {"train": 2, "val": 1}
    for record in back.images:
        (instance,) = record.instances
        assert instance.category == 1
        assert np.array_equal(fill([part.scaled(40, 30) for part in instance.parts], 30, 40), mask)


def test_an_unsplit_dataset_is_written_as_one_folder(tmp_path: Path, make_image: MAKE):
    records = (ImageRecord(make_image(tmp_path / "a.jpg"), "a.jpg", "a", ()),)
    YoloFormat().write(RawDataset("yolo", ("cat",), records), tmp_path / "out")
    assert [one.split for one in YoloFormat().read(tmp_path / "out").images] == ["train"]
