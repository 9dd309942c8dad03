from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from segsweep.core.geometry import Mask, Part, trace
from segsweep.dataset.formats.coco_writer import write_documents
from segsweep.dataset.records import ImageRecord, Instance, RawDataset

WIDTH, HEIGHT = 40, 30
SQUARE = np.array([[4.0, 4.0], [12.0, 4.0], [12.0, 12.0], [4.0, 12.0]])
MAKE = Callable[..., Path]


def instance_of(mask: Mask, **fields: Any) -> Instance:
    return Instance(0, tuple(part.scaled(1 / WIDTH, 1 / HEIGHT) for part in trace(mask)), **fields)


@pytest.fixture
def write(tmp_path: Path, make_image: MAKE) -> Callable[..., dict[str, Any]]:
    """Writes images with the same instances, one a split, and reads the JSON of each."""

    def write(instances: list[Instance], splits: tuple[str, ...] = ("train",)) -> dict[str, Any]:
        records = tuple(
            ImageRecord(make_image(tmp_path / f"{i}.png"), f"{i}.png", str(i), tuple(instances), split)
            for i, split in enumerate(splits)
        )
        write_documents(RawDataset("coco", ("cat", "dog"), records), tmp_path / "out")
        files = sorted((tmp_path / "out/annotations").iterdir())
        return {file.name: json.loads(file.read_text()) for file in files}

    return write


def masks() -> list[Mask]:
    square = np.zeros((HEIGHT, WIDTH), np.bool_)
    square[4:12, 4:12] = True
    holed, cut, edge = square.copy(), square.copy(), np.zeros_like(square)
    holed[6:9, 6:9] = False
    cut[:, 7] = False
    edge[:, -3:] = edge[-2:] = True
    edge[3, -2] = False
    return [square, holed, cut, edge]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("crowd", [False, True])
def test_pycocotools_reads_the_mask_that_was_written(
    write: Callable[..., dict[str, Any]], tmp_path: Path, index: int, crowd: bool
):
    mask = masks()[index]
    write([instance_of(mask, crowd=crowd)])
    coco = COCO(tmp_path / "out/annotations/instances_train.json")
    (row,) = coco.loadAnns(coco.getAnnIds())
    if isinstance(row["segmentation"], dict):  # it draws the border of polygons, too
        assert np.array_equal(coco.annToMask(row), mask)
        assert row["area"] == coco_mask.area(coco.annToRLE(row))
    assert row["area"] == mask.sum()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    expected = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    assert row["bbox"] == pytest.approx(expected, abs=0.02)
    assert row["iscrowd"] == crowd


def test_a_polygon_is_written_with_two_decimals_of_a_pixel(write: Callable[..., dict[str, Any]]):
    ring = SQUARE + 1 / 3
    document = write([Instance(1, (Part(ring / (WIDTH, HEIGHT)),))])["instances_train.json"]
    (row,) = document["annotations"]
    assert row["segmentation"] == [[4.33, 4.33, 12.33, 4.33, 12.33, 12.33, 4.33, 12.33]]
    assert row["category_id"] == 2
    assert row["bbox"] == [4.33, 4.33, 8.0, 8.0]


def test_ids_of_annotations_go_on_from_split_to_split(write: Callable[..., dict[str, Any]]):
    one = Instance(0, (Part(SQUARE / (WIDTH, HEIGHT)),))
    documents = write([one, one], ("train", "val", ""))
    ids = {name: [row["id"] for row in document["annotations"]] for name, document in documents.items()}
    assert ids == {"instances_train.json": [1, 2], "instances_val.json": [3, 4], "instances.json": [5, 6]}


def test_a_dataset_without_annotations_is_written_with_empty_lists(write: Callable[..., dict[str, Any]]):
    document = write([])["instances_train.json"]
    assert document["annotations"] == []
    assert [row["name"] for row in document["categories"]] == ["cat", "dog"]
    assert [row["file_name"] for row in document["images"]] == ["0.png"]


def test_instances_are_asked_for_one_image_at_a_time(tmp_path: Path, make_image: MAKE):
    asked = []

    class Watched:
        def __init__(self, name: str) -> None:
            self.name = name

        def load(self) -> tuple[Instance, ...]:
            asked.append((self.name, (tmp_path / "out/annotations/instances_train.json").stat().st_size))
            big = Part(np.random.default_rng(0).random((2000, 2)))
            return (Instance(0, (big,)),) * 5

    records = tuple(
        ImageRecord(make_image(tmp_path / f"{i}.png"), f"{i}.png", str(i), Watched(str(i)), "train") for i in range(3)
    )
    write_documents(RawDataset("coco", ("cat",), records), tmp_path / "out")
    assert [name for name, _ in asked] == ["0", "1", "2"]
    sizes = [size for _, size in asked]
    assert sizes[0] < sizes[1] < sizes[2]
