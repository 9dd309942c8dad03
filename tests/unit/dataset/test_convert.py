from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segsweep.dataset import convert as module
from segsweep.dataset.convert import Source, convert
from segsweep.dataset.formats.names import FORMAT_NAMES
from segsweep.dataset.formats.protocol import Format
from segsweep.dataset.formats.registry import find_format, read_dataset
from segsweep.dataset.records import ImageRecord, Keep, RawDataset, in_memory
from segsweep.dataset.sample.synthetic import write_sample
from segsweep.errors import ConfigError, DatasetError, NoSpaceError


class Damaging:
    """A format that spoils what it is given before it writes."""

    def __init__(self, inner: Format, spoil: Callable[[ImageRecord], ImageRecord]) -> None:
        self._inner = inner
        self._spoil = spoil
        self.name = inner.name

    def detect(self, source: Path) -> bool:
        return self._inner.detect(source)

    def read(self, source: Path, keep: Keep = in_memory) -> RawDataset:
        return self._inner.read(source, keep)

    def write(self, dataset: RawDataset, folder: Path) -> None:
        self._inner.write(replace(dataset, images=tuple(map(self._spoil, dataset.images))), folder)


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[ImageRecord], ImageRecord]], None]:
    def install(function: Callable[[ImageRecord], ImageRecord]) -> None:
        monkeypatch.setattr(module, "find_format", lambda name: Damaging(find_format(name), function))

    return install


@pytest.mark.parametrize("target_format", FORMAT_NAMES)
@pytest.mark.slow(reason="reads every format")
@pytest.mark.timeout(20)
def test_any_format_becomes_any_other_and_yolo_again(tmp_path: Path, target_format: str):
    write_sample(tmp_path / "yolo", "yolo", images=6, imgsz=64)
    there = convert(Source(tmp_path / "yolo"), tmp_path / "there", target_format)
    back = convert(Source(tmp_path / "there", target_format), tmp_path / "back", "yolo")
    assert (there.source_format, there.target_format, back.source_format) == ("yolo", target_format, target_format)
    for conversion in (there, back):
        assert conversion.images == 6
        assert conversion.objects_in == conversion.objects_out == conversion.fidelity.objects > 0
        assert conversion.fidelity.lost == 0
        assert conversion.fidelity.mean_iou > 0.99
        assert conversion.notes == ()
    first, last = (read_dataset(tmp_path / name, "yolo") for name in ("yolo", "back"))
    assert first.classes == last.classes
    counts = [{r.split: len([s for s in d.images if s.split == r.split]) for r in d.images} for d in (first, last)]
    assert counts[0] == counts[1]


def test_the_facts_are_told_in_words_and_as_json(small_yolo: Path, tmp_path: Path):
    conversion = convert(Source(small_yolo), tmp_path / "out", "coco")
    lines = conversion.to_text().splitlines()
    assert lines[:4] == [
        f"{small_yolo} (yolo) -> {tmp_path / 'out'} (coco)",
        "images: 12, classes: cat, dog",
        "objects: 24 in, 24 out, 0 lost",
        "IoU with the source: mean 1.00000, minimum 1.00000",
    ]
    facts = conversion.to_json()
    assert facts["objects_in"] == facts["objects_out"] == facts["fidelity"]["objects"] == 24


def test_an_object_that_is_not_written_is_counted_and_named(
    small_yolo: Path, tmp_path: Path, spoil: Callable[[Callable[[ImageRecord], ImageRecord]], None]
):
    def drop_first(record: ImageRecord) -> ImageRecord:
        return replace(record, annotations=record.instances[1:]) if "val0" in record.name else record

    spoil(drop_first)
    conversion = convert(Source(small_yolo), tmp_path / "out", "coco")
    assert (conversion.objects_in, conversion.objects_out, conversion.fidelity.lost) == (24, 23, 1)
    (worst,) = conversion.fidelity.worst
    assert (worst.iou, worst.image, worst.object, worst.category) == (0.0, "images/val/val0.jpg", 0, "cat")
    assert "  0.00000  images/val/val0.jpg: object 0, cat" in conversion.to_text().splitlines()


def test_a_copy_of_a_picture_does_not_stand_in_for_another_that_lost_its_objects(
    make_yolo: Callable[..., Path], tmp_path: Path, spoil: Callable[[Callable[[ImageRecord], ImageRecord]], None]
):
    source = make_yolo(dict.fromkeys(("train/a", "train/b", "train/c"), "0 0.1 0.1 0.1 0.9 0.9 0.9\n"))
    for name in ("b", "c"):
        (source / f"images/train/{name}.jpg").write_bytes((source / "images/train/a.jpg").read_bytes())
    spoil(lambda record: replace(record, annotations=()) if record.name.endswith("b.jpg") else record)
    conversion = convert(Source(source), tmp_path / "out", "cityscapes")  # which names images anew
    assert (conversion.objects_in, conversion.objects_out, conversion.fidelity.lost) == (3, 2, 1)


def test_objects_of_another_class_are_lost(
    small_yolo: Path, tmp_path: Path, spoil: Callable[[Callable[[ImageRecord], ImageRecord]], None]
):
    def swap(record: ImageRecord) -> ImageRecord:
        return replace(record, annotations=tuple(replace(one, category=1 - one.category) for one in record.instances))

    spoil(swap)
    assert convert(Source(small_yolo), tmp_path / "out", "labelme").fidelity.min_iou < 0.5


def test_classes_are_compared_by_name_whatever_their_order(
    small_yolo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def read_in_another_order(source: Path, *args: Any) -> RawDataset:
        if source == small_yolo:
            return read_dataset(source, *args)
        dataset = read_dataset(source, "coco")  # in memory: what goes to the spool cannot be loaded yet
        images = [
            replace(record, annotations=tuple(replace(one, category=1 - one.category) for one in record.instances))
            for record in dataset.images
        ]
        return replace(dataset, classes=dataset.classes[::-1], images=tuple(images))

    monkeypatch.setattr(module, "read_dataset", read_in_another_order)
    conversion = convert(Source(small_yolo), tmp_path / "out", "coco")
    assert conversion.classes == ("cat", "dog")
    assert conversion.fidelity.min_iou == 1.0


@pytest.mark.parametrize(("target_format", "crowds"), [("labelme", 1), ("mask_png", 1), ("cityscapes", 1), ("yolo", 0)])
def test_a_crowd_that_becomes_an_object_is_told(
    make_coco: Callable[..., Path], tmp_path: Path, target_format: str, crowds: int
):
    mask = {"size": [30, 40], "counts": [0, 300, 900]}
    source = make_coco([{"id": 1, "image_id": 1, "category_id": 1, "segmentation": mask, "iscrowd": 1}])
    conversion = convert(Source(source), tmp_path / "out", target_format)
    assert (conversion.crowds_in, conversion.crowds_out) == (1, crowds)
    assert ("crowds: 1 in, 0 out" in conversion.to_text()) == (crowds == 0)


def test_every_image_is_counted_twice_written_and_measured(small_yolo: Path, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    convert(Source(small_yolo), tmp_path / "out", "coco", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 24) for i in range(1, 25)]


def test_a_writer_that_fails_leaves_nothing(
    small_yolo: Path, tmp_path: Path, spoil: Callable[[Callable[[ImageRecord], ImageRecord]], None]
):
    def fail(record: ImageRecord) -> ImageRecord:
        raise OSError(28, "No space left on device")

    spoil(fail)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(NoSpaceError, match="out: no room to write"):
        convert(Source(small_yolo), tmp_path / "out", "coco")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_faults_of_the_source_are_all_told_and_nothing_is_written(make_yolo: Callable[..., Path], tmp_path: Path):
    source = make_yolo({"train/a": "0 0.1 0.1 0.2\n", "train/b": "7 0.1 0.1 0.1 0.9 0.9 0.9\n"})
    with pytest.raises(DatasetError) as caught:
        convert(Source(source), tmp_path / "out", "coco")
    assert [problem.where for problem in caught.value.problems] == ["labels/train/a.txt:1", "labels/train/b.txt:1"]
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_read_back_is_not_left_there(
    small_yolo: Path, tmp_path: Path, spoil: Callable[[Callable[[ImageRecord], ImageRecord]], None]
):
    def move_out(record: ImageRecord) -> ImageRecord:
        parts = [replace(one, parts=tuple(part.scaled(3, 3) for part in one.parts)) for one in record.instances]
        return replace(record, annotations=tuple(parts))

    spoil(move_out)
    with pytest.raises(DatasetError, match="the dataset cannot be written as yolo; reading it back: coordinates must"):
        convert(Source(small_yolo), tmp_path / "out", "yolo")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["full", "file", "raw/inside", "raw"])
def test_a_place_that_is_taken_or_lies_in_the_source_is_refused(small_yolo: Path, tmp_path: Path, place: str):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DatasetError, match=r"must be absent or an empty folder|must not lie inside the dataset"):
        convert(Source(small_yolo), tmp_path / place, "coco")
    assert (tmp_path / "full/mine.txt").read_text() == (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_is_used_and_the_way_there_is_made(small_yolo: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    convert(Source(small_yolo), tmp_path / "empty", "coco")
    convert(Source(small_yolo), tmp_path / "a/b", "coco")
    assert (tmp_path / "empty/annotations").is_dir()
    assert (tmp_path / "a/b/annotations").is_dir()


def test_unknown_formats_are_told_with_the_option_that_names_them(small_yolo: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="--format: voc: must be one of"):
        convert(Source(small_yolo), tmp_path / "out", "voc")
    with pytest.raises(ConfigError, match="--from: voc: must be one of"):
        convert(Source(small_yolo, "voc"), tmp_path / "out", "coco")


def test_classes_are_chosen_where_the_format_has_a_choice_and_refused_elsewhere(small_yolo: Path, tmp_path: Path):
    convert(Source(small_yolo), tmp_path / "tree", "cityscapes")
    dogs = convert(Source(tmp_path / "tree", classes=("dog",)), tmp_path / "dogs", "coco")
    assert (dogs.classes, dogs.objects_in, dogs.objects_out) == (("dog",), 12, 12)
    with pytest.raises(ConfigError, match="--classes: dog: yolo names its own classes"):
        convert(Source(small_yolo, classes=("dog",)), tmp_path / "out", "coco")


def test_a_source_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(DatasetError, match="nothing: no such file or folder"):
        convert(Source(tmp_path / "nothing"), tmp_path / "out", "coco")
