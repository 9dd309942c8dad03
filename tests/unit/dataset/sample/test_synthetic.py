from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from segsweep.dataset.fidelity import measure
from segsweep.dataset.formats.registry import FORMAT_NAMES, read_dataset
from segsweep.dataset.sample.synthetic import write_sample
from segsweep.errors import ConfigError, DatasetError


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("format_name", FORMAT_NAMES)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, format_name: str):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_sample(tmp_path / name, format_name, images=4, seed=seed, imgsz=64)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert hashes(tmp_path / "a") != hashes(tmp_path / "c")


@pytest.mark.parametrize("format_name", FORMAT_NAMES)
def test_a_sample_reads_back_without_a_fault_and_with_every_shape(tmp_path: Path, format_name: str):
    written = write_sample(tmp_path / "sample", format_name, images=5, imgsz=64)
    read = read_dataset(tmp_path / "sample", None)
    assert read.format == format_name
    assert read.problems == read.notes == ()
    assert read.classes == written.classes
    originals = {Path(record.name).stem: record for record in written.images}
    for record in read.images:
        original = originals[record.path.stem.partition("_")[0]]  # Cityscapes appends numbers
        assert original.size is not None
        assert len(record.instances) == len(original.instances)
        assert set(measure(original.instances, record.instances, *original.size)) == {1.0}


def test_a_yolo_sample_comes_split_and_a_coco_sample_does_not(tmp_path: Path):
    names = ("yolo", "coco")
    for name in names:
        write_sample(tmp_path / name, name, images=7, imgsz=64)
    yolo, coco = (Counter(one.split for one in read_dataset(tmp_path / name, None).images) for name in names)
    assert yolo == {"train": 5, "val": 1, "test": 1}
    assert coco == {"": 7}


def test_some_images_are_png(tmp_path: Path):
    write_sample(tmp_path / "sample", "coco", images=8, imgsz=64)
    assert Counter(path.suffix for path in (tmp_path / "sample/images").iterdir()) == {".jpg": 7, ".png": 1}


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match="must be absent or an empty folder"):
        write_sample(tmp_path, "yolo", images=3, imgsz=64)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_used(tmp_path: Path):
    (tmp_path / "sample").mkdir()
    write_sample(tmp_path / "sample", "yolo", images=3, imgsz=64)
    assert (tmp_path / "sample/data.yaml").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_all_wrong_arguments_are_told_at_once(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        write_sample(tmp_path / "sample", "yolo", images=2, seed=-1, imgsz=8)
    assert [problem.where for problem in caught.value.problems] == ["--images", "--imgsz", "--seed"]
    assert list(tmp_path.iterdir()) == []
