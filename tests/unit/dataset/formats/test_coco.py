from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segsweep.core.geometry import Mask, fill, trace
from segsweep.dataset.formats import json_rows
from segsweep.dataset.formats.coco import CocoFormat
from segsweep.dataset.formats.rle import encode_counts, encode_mask
from segsweep.dataset.records import ImageRecord, Instance, RawDataset
from segsweep.dataset.spool import Span, Spool
from segsweep.errors import DatasetError

SQUARE = [4, 4, 12, 4, 12, 12, 4, 12]
MAKE = Callable[..., Path]


def mask_of(record: ImageRecord, index: int = 0) -> Mask:
    assert record.size is not None
    width, height = record.size
    return fill([part.scaled(width, height) for part in record.instances[index].parts], height, width)


def square_mask() -> Mask:
    mask = np.zeros((30, 40), np.bool_)
    mask[4:12, 4:12] = True
    return mask


def annotation(segmentation: Any, **fields: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation, **fields}


def problems_of(folder: Path) -> list[str]:
    return [str(problem) for problem in CocoFormat().read(folder).problems]


@pytest.mark.parametrize(
    "segmentation",
    [
        [SQUARE],
        {"size": [30, 40], "counts": encode_mask(square_mask())},
        {"size": [30, 40], "counts": encode_counts(encode_mask(square_mask()))},
    ],
)
def test_polygons_and_both_spellings_of_masks_are_the_same_shape(make_coco: MAKE, segmentation: Any):
    (record,) = CocoFormat().read(make_coco([annotation(segmentation)])).images
    assert np.array_equal(mask_of(record), square_mask())


def test_several_polygons_of_one_annotation_are_parts_of_one_object(make_coco: MAKE):
    second = [value + 14 for value in SQUARE]
    (record,) = CocoFormat().read(make_coco([annotation([SQUARE, second])])).images
    assert [len(one.parts) for one in record.instances] == [2]
    assert mask_of(record).sum() == 128


def test_a_hole_in_a_mask_survives(make_coco: MAKE):
    mask = square_mask()
    mask[7:9, 7:9] = False
    (record,) = CocoFormat().read(make_coco([annotation({"size": [30, 40], "counts": encode_mask(mask)})])).images
    assert np.array_equal(mask_of(record), mask)


@pytest.mark.parametrize("ids", [(0, 1), (3, 90), (90, 3)])
def test_category_ids_may_start_at_zero_have_gaps_and_come_in_any_order(make_coco: MAKE, ids: tuple[int, int]):
    categories = [{"id": ids[0], "name": "cat"}, {"id": ids[1], "name": "dog"}]
    folder = make_coco([annotation([SQUARE], category_id=ids[1])], categories=categories)
    dataset = CocoFormat().read(folder)
    assert dataset.problems == ()
    assert dataset.classes == (("cat", "dog") if ids[0] < ids[1] else ("dog", "cat"))
    assert dataset.classes[dataset.images[0].instances[0].category] == "dog"


def test_a_crowd_is_known_as_one(make_coco: MAKE):
    (record,) = CocoFormat().read(make_coco([annotation([SQUARE], iscrowd=1)])).images
    assert record.instances[0].crowd


def test_images_may_lie_in_subfolders(make_coco: MAKE):
    images = [{"id": 7, "file_name": "berlin/a.jpg", "width": 40, "height": 30}]
    (record,) = CocoFormat().read(make_coco([annotation([SQUARE], image_id=7)], images)).images
    assert record.name == "images/berlin/a.jpg"
    assert record.path.is_file()


def test_images_may_be_links_and_what_is_no_file_is_none(make_coco: MAKE):
    folder = make_coco([])
    images = folder / "images"
    (images / "linked.jpg").symlink_to(images / "a.jpg")
    (images / "circle.jpg").symlink_to(images / "circle.jpg")
    (images / "nowhere.jpg").symlink_to(images / "gone")
    (images / "folder.jpg").mkdir()
    names = ("a.jpg", "./linked.jpg", "circle.jpg", "nowhere.jpg", "folder.jpg")
    rows = [{"id": i, "file_name": name, "width": 40, "height": 30} for i, name in enumerate(names)]
    file = folder / "annotations.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"images": rows}))
    dataset = CocoFormat().read(folder)
    assert [record.name for record in dataset.images] == ["images/a.jpg", "images/linked.jpg"]
    assert [problem.value for problem in dataset.problems] == ["circle.jpg", "nowhere.jpg", "folder.jpg"]


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("annotations/instances_train2017.json", "train"),
        ("annotations/instances_val.json", "val"),
        ("annotations/test.json", "test"),
        ("annotations.json", ""),
        ("valid/_annotations.coco.json", "val"),
    ],
)
def test_the_split_is_in_the_name_of_the_file_or_its_folder(make_coco: MAKE, file: str, split: str):
    (record,) = CocoFormat().read(make_coco([annotation([SQUARE])], file=file)).images
    assert record.split == split


def test_classes_of_several_files_are_told_apart_by_name(make_coco: MAKE):
    folder = make_coco([annotation([SQUARE])], file="annotations/instances_train.json")
    images = [{"id": 1, "file_name": "b.jpg", "width": 40, "height": 30}]
    categories = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    make_coco([annotation([SQUARE])], images, categories, file="annotations/instances_val.json")
    dataset = CocoFormat().read(folder)
    assert dataset.classes == ("cat", "dog")
    assert [(one.split, dataset.classes[one.instances[0].category]) for one in dataset.images] == [
        ("train", "cat"),
        ("val", "dog"),
    ]


def test_the_category_that_roboflow_makes_of_the_project_is_left_out_and_noted(make_coco: MAKE):
    categories = [
        {"id": 0, "name": "pets", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "pets"},
    ]
    dataset = CocoFormat().read(make_coco([annotation([SQUARE])], categories=categories))
    assert dataset.classes == ("cat",)
    assert [note.examples for note in dataset.notes] == [("pets",)]


def test_an_annotation_written_twice_is_kept_once_and_noted(make_coco: MAKE):
    dataset = CocoFormat().read(make_coco([annotation([SQUARE]), annotation([SQUARE], id=2)]))
    assert len(dataset.images[0].instances) == 1
    assert dataset.notes[0].examples == ("annotations.json: annotations[1]",)


def test_annotations_that_only_begin_and_end_alike_are_both_kept(make_coco: MAKE):
    other = [*SQUARE[:5], 11, *SQUARE[6:]]
    dataset = CocoFormat().read(
        make_coco([annotation([SQUARE]), annotation([other], id=2), annotation([SQUARE], id=3)])
    )
    assert len(dataset.images[0].instances) == 2
    assert [note.count for note in dataset.notes] == [1]


@pytest.mark.parametrize("order", [("annotations", "images", "categories"), ("categories", "annotations", "images")])
@pytest.mark.parametrize("window", [50, 1 << 16])
def test_the_lists_may_come_in_any_order_and_annotations_of_an_image_anywhere(
    make_coco: MAKE, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...], window: int
):
    monkeypatch.setattr(json_rows, "_WINDOW", window)
    rows = [
        annotation([[x, y, x + 5, y, x + 5, y + 5]], id=10 * x + y, image_id=1 + y % 2, category_id=1 + x % 2)
        for x in range(6)
        for y in range(6)
    ]
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} for i in (1, 2)]
    folder = make_coco(rows, images)
    file = folder / "annotations.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps({key: document[key] for key in order}))
    dataset = CocoFormat().read(folder)
    assert dataset.problems == ()
    for index, record in enumerate(dataset.images, start=1):
        found = [(one.category, *(one.parts[0].exterior[0] * (40, 30)).round().tolist()) for one in record.instances]
        assert found == [(x % 2, x, y) for x in range(6) for y in range(6) if 1 + y % 2 == index]


def test_what_is_kept_on_disk_is_what_is_kept_in_memory(
    make_coco: MAKE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(json_rows, "_WINDOW", 200)  # so that an image is kept in several pieces
    folder = make_coco([annotation([[x, 0, x + 5, 0, x + 5, 5], SQUARE]) for x in range(9)])
    with Spool(tmp_path / "spool") as spool:
        on_disk = CocoFormat().read(folder, spool.keep)
    (expected,), (found,) = CocoFormat().read(folder).images, on_disk.images
    assert isinstance(found.annotations, Span)
    assert len(found.annotations.pieces) > 1
    shapes = [
        [[part.exterior.tolist() for part in one.parts] for one in record.instances] for record in (expected, found)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.slow(reason="reads 30,000 annotations while every allocation is counted")
@pytest.mark.timeout(60)
def test_memory_does_not_grow_with_the_annotations(make_coco: MAKE, tmp_path: Path):
    """Ten times the annotations: the same peak, but for a few numbers of each."""
    peaks = []
    for count in (3_000, 30_000):
        points = np.random.default_rng(0).integers(0, 30, (count, 48)).tolist()
        rows = [annotation([polygon], id=i, image_id=1 + i % 20) for i, polygon in enumerate(points)]
        images = [{"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} for i in range(1, 21)]
        folder = make_coco(rows, images)
        with Spool(tmp_path / "spool") as spool:
            tracemalloc.start()
            CocoFormat().read(folder, spool.keep)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] - peaks[0] < 27_000 * 32  # bytes; as text each has about 200, as numbers 400


def test_a_list_that_is_there_twice_is_told(make_coco: MAKE):
    folder = make_coco([annotation([SQUARE])])
    file = folder / "annotations.json"
    file.write_text(file.read_text().replace('"categories"', '"annotations": [], "categories"'))
    assert problems_of(folder) == ["annotations.json: annotations: must be there once"]


def test_a_name_with_half_a_surrogate_pair_is_refused(make_coco: MAKE):
    (found, *_) = problems_of(make_coco([], categories=[{"id": 1, "name": "\ud800"}]))
    assert "categories[0]: {'id': 1, 'name': '\\ud800'" in found


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (annotation(None), "annotations[0]: segmentation = None: must be a list of polygons or a run-length mask"),
        (annotation([]), "annotations[0]: segmentation = []: must be a list of polygons"),
        (annotation([[1, 1, 2, 2]]), "annotations[0]: segmentation = [1, 1, 2, 2]: a polygon needs at least 3 points"),
        (annotation([[1, 1, 2, 2, 3]]), "annotations[0]: segmentation = [1, 1, 2, 2, 3]: a polygon needs"),
        (annotation([["a"] * 6]), "annotations[0]: segmentation = ['a', 'a', 'a', 'a', 'a', 'a']: a polygon needs"),
        (annotation([[0, 0, 50, 0, 50, 10]]), "annotations[0]: 1.25: coordinates must be fractions"),
        (annotation([[0, 0, 10**400, 0, 50, 10]]), "annotations[0]: inf: coordinates must be fractions"),
        (annotation({"size": [40, 30], "counts": [1200]}), "annotations[0]: segmentation.size = [40, 30]: must be"),
        (annotation({"size": [30, 40], "counts": [7]}), "annotations[0]: segmentation.counts = [7]: cannot be decoded"),
        (annotation({"size": [30, 40], "counts": "\u0001"}), "annotations[0]: segmentation.counts = '\\x01': cannot"),
        (annotation({"size": [30, 40], "counts": None}), "annotations[0]: segmentation.counts = None: cannot"),
        (annotation([SQUARE], image_id=2), "annotations[0]: image_id = 2: must be the id of an image of this file"),
        (annotation([SQUARE], image_id=[1]), "annotations[0]: image_id = [1]: must be the id of an image"),
        (annotation([SQUARE], category_id=9), "annotations[0]: category_id = 9: must be the id of a category"),
        (annotation([SQUARE], category_id={}), "annotations[0]: category_id = {}: must be the id of a category"),
    ],
)
def test_a_wrong_annotation_is_told_with_its_number(make_coco: MAKE, wrong: dict[str, Any], problem: str):
    (found,) = problems_of(make_coco([wrong]))
    assert found.startswith(f"annotations.json: {problem}")


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("id", "1", "images[0]: id = '1': must be a whole number"),
        ("width", 0, "images[0]: 0 x 30: needs width and height in pixels"),
        ("height", 10**9, "images[0]: 40 x 1000000000: needs width and height in pixels"),
        ("file_name", "../../a.jpg", "images[0]: file_name = '../../a.jpg': must be a path inside the dataset"),
        ("file_name", "/etc/passwd", "images[0]: file_name = '/etc/passwd': must be a path inside the dataset"),
        ("file_name", 5, "images[0]: file_name = 5: must be a path inside the dataset"),
        ("file_name", "b.jpg", "images[0]: b.jpg: the image file is not there (looked in ., images)"),
        ("file_name", "x" * 5000, "images[0]: "),
    ],
)
def test_a_wrong_image_is_told_with_its_number(make_coco: MAKE, field: str, value: Any, problem: str):
    folder = make_coco([])
    file = folder / "annotations.json"
    document = json.loads(file.read_text())
    document["images"][0][field] = value
    file.write_text(json.dumps(document))
    (found,) = problems_of(folder)
    assert found.startswith(f"annotations.json: {problem}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "must be JSON"),
        ("[]", "images = NoneType: must be a list of objects"),
        ('{"images": [1], "annotations": [], "categories": []}', "images = list: must be a list of objects"),
        (
            '{"images": [], "annotations": [], "categories": [{"id": [], "name": {}}]}',
            "categories[0]: {'id': [], 'name'",
        ),
    ],
)
def test_a_file_of_another_shape_is_told(tmp_path: Path, text: str, told: str):
    (tmp_path / "annotations.json").write_text(text)
    assert told in problems_of(tmp_path)[0]


def test_all_faults_of_all_files_are_told_at_once(make_coco: MAKE):
    folder = make_coco([annotation(None), annotation([[1, 1]])], file="annotations/train.json")
    make_coco([annotation([SQUARE], category_id=9)], file="annotations/val.json")
    places = [found.partition(": segmentation")[0].partition(": category")[0] for found in problems_of(folder)]
    assert places[:2] == ["annotations/train.json: annotations[0]", "annotations/train.json: annotations[1]"]
    assert places[2] == "annotations/val.json: annotations[0]"


def test_no_json_at_all_is_an_error_that_says_where_it_looked(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"must hold annotations/\*\.json"):
        CocoFormat().read(tmp_path)


def test_what_is_written_reads_back_with_holes_parts_crowds_and_splits(tmp_path: Path, make_image: MAKE):
    holed, cut = square_mask(), square_mask()
    holed[6:9, 6:9] = False
    cut[:, 7] = False
    shapes = [
        Instance(i % 2, tuple(part.scaled(1 / 40, 1 / 30) for part in trace(mask)), crowd=i == 2)
        for i, mask in enumerate([holed, cut, square_mask()])
    ]
    splits = ("train", "val", "test")
    records = tuple(
        ImageRecord(make_image(tmp_path / f"{split}.jpg"), f"{split}.jpg", split, tuple(shapes), split, (40, 30))
        for split in splits
    )
    CocoFormat().write(RawDataset("coco", ("cat", "dog"), records), tmp_path / "out")
    back = CocoFormat().read(tmp_path / "out")
    assert back.problems == ()
    assert back.classes == ("cat", "dog")
    assert sorted(record.split for record in back.images) == sorted(splits)
    for record in back.images:
        assert [(one.category, one.crowd) for one in record.instances] == [(0, False), (1, False), (0, True)]
        for index, mask in enumerate([holed, cut, square_mask()]):
            assert np.array_equal(mask_of(record, index), mask)


@pytest.mark.parametrize("value", [1e308, -1e308, float("inf"), float("nan")])
def test_coordinates_that_overflow_are_told_and_warn_of_nothing(make_coco: Callable[..., Path], value: float):
    rows = [
        {"id": i, "image_id": 1, "category_id": 1, "segmentation": [[value, 1, -value, 9, 9, value]]} for i in (1, 2)
    ]
    (problem,) = CocoFormat().read(make_coco(rows)).problems
    assert "fractions of the image's size" in problem.rule


def test_a_supercategory_nested_too_deep_to_print_is_none(make_coco: Callable[..., Path]):
    folder = make_coco([{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 1, 9, 9, 9]]}])
    file = folder / "annotations.json"
    nested = "[" * 900 + "]" * 900
    file.write_text(file.read_text().replace('"name": "cat"', f'"name": "cat", "supercategory": {nested}'))
    assert CocoFormat().read(folder).problems == ()
