"""Reading a dataset to disk: what was read is there, and what reading took is gone with its process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from segsweep.dataset.formats.registry import read_dataset
from segsweep.dataset.preparing.batch import CHUNK_IMAGES
from segsweep.dataset.preparing.reading import Reading, read_to_disk
from segsweep.dataset.preparing.roster import Roster
from segsweep.dataset.records import ImageRecord, RawDataset
from segsweep.dataset.spool import Span
from segsweep.errors import ConfigError, DatasetError, SegsweepError

MAKE = Callable[..., Path]
MANY = 4000  # files, and more: such a dataset is read in a process of its own

in_a_process = [pytest.mark.slow(reason="starts a Python process"), pytest.mark.timeout(60)]


class WatchedReading(Reading):
    """A reading that leaves the number of the process it happens in."""

    def __call__(self) -> tuple[RawDataset, Roster]:
        (self.work / "process").write_text(str(os.getpid()))
        return super().__call__()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def facts(records: tuple[ImageRecord, ...]) -> Iterator[tuple[object, ...]]:
    for one in records:
        rings = [(own.category, own.crowd, [ring.tolist() for part in own.parts for ring in part.rings])
                 for own in one.instances]  # fmt: skip
        yield one.path, one.name, one.group, one.split, one.size, rings


def test_a_dataset_that_was_read_to_disk_is_the_one_that_is_read_into_memory(small_yolo: Path, work: Path):
    dataset, roster = read_to_disk(Reading(small_yolo, None, (), work))
    expected = read_dataset(small_yolo, None)
    assert (dataset.format, dataset.classes, dataset.notes, dataset.problems) == ("yolo", ("cat", "dog"), (), ())
    assert dataset.images == ()
    assert len(roster) == 12
    assert [*facts(roster.images())] == [*facts(expected.images)]


def test_annotations_lie_in_the_work_folder_and_not_in_memory(small_yolo: Path, work: Path):
    _, roster = read_to_disk(Reading(small_yolo, None, (), work))
    (spool,) = work.glob("*.spool")
    assert {path.name for path in work.iterdir()} == {spool.name, "roster"}
    spans = [record.annotations for record in roster.images()]
    assert all(isinstance(span, Span) and span.file == str(spool) for span in spans)


def test_images_come_so_many_at_a_time(make_yolo: MAKE, work: Path):
    source = make_yolo({f"train/{i:02}": None for i in range(CHUNK_IMAGES + 1)})
    _, roster = read_to_disk(Reading(source, None, (), work))
    assert [len(chunk) for chunk in roster.chunks()] == [CHUNK_IMAGES, 1]
    assert all(record.instances == () for record in roster.images())


def test_what_a_killed_reading_left_is_removed_and_nothing_else(small_yolo: Path, work: Path):
    for name in ("old.spool", "older.spool", "roster", "batches"):
        (work / name).write_bytes(b"left")
    _, roster = read_to_disk(Reading(small_yolo, None, (), work))
    assert len(list(work.glob("*.spool"))) == 1
    assert not (work / "old.spool").exists()
    assert (work / "batches").read_bytes() == b"left"
    assert len(roster.images()) == 12


def test_what_is_wrong_with_a_dataset_comes_along(make_yolo: MAKE, work: Path):
    dataset, roster = read_to_disk(Reading(make_yolo({"train/a": "0 0.5 0.5 0.1 0.1\n"}), None, (), work))
    assert [problem.where for problem in dataset.problems] == ["labels/train/a.txt:1"]
    assert len(roster) == 1


@pytest.mark.parametrize(
    ("format_name", "classes", "error"), [("voc", (), ConfigError), ("yolo", ("cat",), ConfigError)]
)
def test_what_cannot_be_read_is_told(
    small_yolo: Path, work: Path, format_name: str, classes: tuple[str, ...], error: type[SegsweepError]
):
    with pytest.raises(error):
        read_to_disk(Reading(small_yolo, format_name, classes, work))
    assert not (work / "roster").exists()


def test_a_dataset_that_is_not_there_is_told(work: Path):
    with pytest.raises(DatasetError, match="no such file or folder"):
        read_to_disk(Reading(work / "gone", None, (), work))


def test_format_and_classes_arrive(tmp_path: Path, make_image: MAKE, work: Path):
    for name in "ab":
        make_image(tmp_path / "raw" / "images" / f"{name}.png")
        mask = make_image(tmp_path / "raw" / "masks" / f"{name}.png")
        cv2.imwrite(str(mask), np.pad(np.full((10, 10), 255, np.uint8), ((10, 10), (10, 20))))
    dataset, roster = read_to_disk(Reading(tmp_path / "raw", "mask_png", ("leaf",), work))
    assert (dataset.format, dataset.classes) == ("mask_png", ("leaf",))
    assert [len(record.instances) for record in roster.images()] == [1, 1]


def test_a_small_dataset_is_read_here(small_yolo: Path, work: Path):
    read_to_disk(WatchedReading(small_yolo, None, (), work))
    assert (work / "process").read_text() == str(os.getpid())


class TestManyFiles:
    pytestmark = in_a_process

    @pytest.fixture
    def large(self, small_yolo: Path) -> Path:
        """The small dataset among many files that are none of its own."""
        folder = small_yolo / "notes" / "2026"
        folder.mkdir(parents=True)
        for number in range(MANY):
            (folder / f"{number}.txt").touch()
        return small_yolo

    def test_a_large_dataset_is_read_in_a_process_that_is_gone_afterwards(self, large: Path, work: Path):
        dataset, roster = read_to_disk(WatchedReading(large, None, (), work))
        process = int((work / "process").read_text())
        assert process != os.getpid()
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
        assert (dataset.classes, dataset.images) == (("cat", "dog"), ())
        assert [*facts(roster.images())] == [*facts(read_dataset(large, None).images)]

    def test_a_large_file_is_read_there_too(self, tmp_path: Path, make_image: MAKE, work: Path):
        make_image(tmp_path / "raw" / "images" / "a.png")
        content = {
            "info": {"description": "x" * 8_000_000},
            "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
            "annotations": [],
            "categories": [{"id": 1, "name": "cat"}],
        }
        source = tmp_path / "raw" / "instances.json"
        source.write_text(json.dumps(content))
        dataset, roster = read_to_disk(WatchedReading(source, None, (), work))
        assert (work / "process").read_text() != str(os.getpid())
        assert (dataset.format, len(roster)) == ("coco", 1)

    def test_what_is_wrong_there_is_told_here_as_it_is_of_a_small_one(self, large: Path, work: Path):
        (large / "data.yaml").unlink()
        with pytest.raises(DatasetError) as there:
            read_to_disk(Reading(large, None, (), work))
        with pytest.raises(DatasetError) as here:
            read_dataset(large, None)
        assert there.value.problems == here.value.problems
