from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from examples import quick
from segsweep.core.geometry import Mask, fill, trace
from segsweep.dataset.formats.mask_png import MaskPngFormat
from segsweep.dataset.records import ImageRecord, Instance, RawDataset, source_group
from segsweep.dataset.sample.scene import CLASSES, render_scene
from segsweep.errors import ConfigError, DatasetError

WIDTH, HEIGHT = 12, 8


def write_png(path: Path, values: np.ndarray) -> Path:
    """Numbers as they are; colours are red, green, blue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".png", values[..., ::-1] if values.ndim == 3 else values)
    assert done
    path.write_bytes(data.tobytes())
    return path


def write_image(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))
    return path


def index_mask(dtype: type = np.uint8) -> np.ndarray:
    """Two objects: 1 touches 7 and has a hole."""
    values = np.zeros((HEIGHT, WIDTH), dtype)
    values[1:6, 1:6] = 1
    values[3, 3] = 0
    values[1:6, 6:9] = 7
    return values


def masks_of(record: ImageRecord) -> list[Mask]:
    assert record.size is not None
    width, height = record.size
    return [fill([part.scaled(width, height) for part in one.parts], height, width) for one in record.instances]


def read(folder: Path, *classes: str) -> RawDataset:
    dataset = MaskPngFormat(classes).read(folder)
    assert [str(problem) for problem in dataset.problems] == []
    return dataset


def problems(folder: Path) -> list[str]:
    return [str(problem) for problem in MaskPngFormat().read(folder).problems]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("PNGImages/FudanPed00001.png", "PedMasks/FudanPed00001_mask.png"),
        ("images/a.jpg", "masks/a.png"),
        ("images/deep/er/a.jpg", "masks/deep/er/a_mask.png"),
        ("JPEGImages/a b ü [1].jpg", "SegmentationObject/a b ü [1].png"),
    ],
)
def test_every_number_of_an_index_mask_is_an_object(tmp_path: Path, image: str, mask: str, dtype: type):
    write_image(tmp_path / image)
    write_png(tmp_path / mask, index_mask(dtype))
    assert MaskPngFormat().detect(tmp_path)
    dataset = read(tmp_path)
    (record,) = dataset.images
    assert (dataset.format, dataset.classes, record.name, record.split) == ("mask_png", ("object",), image, "")
    assert record.size == (WIDTH, HEIGHT)
    first, second = masks_of(record)
    assert np.array_equal(first, index_mask() == 1)
    assert np.array_equal(second, index_mask() == 7)
    assert [one.category for one in record.instances] == [0, 0]


def test_the_one_class_can_be_named(tmp_path: Path):
    write_image(tmp_path / "images/a.jpg")
    write_png(tmp_path / "masks/a.png", index_mask())
    assert read(tmp_path, "pedestrian").classes == ("pedestrian",)
    with pytest.raises(ConfigError, match="--classes: cat, dog: masks without a table are of one class"):
        MaskPngFormat(["cat", "dog"])


@pytest.mark.parametrize("layout", ["{split}/images/{name}.jpg {split}/masks/{name}.png", "{i} {m}"])
def test_splits_are_known_by_their_folders_outside_and_inside(tmp_path: Path, layout: str):
    for split, name in (("train", "a"), ("validation", "b"), ("test", "c")):
        inside = {"i": f"images/{split}/{name}.jpg", "m": f"masks/{split}/{name}.png"}
        image, mask = layout.format(split=split, name=name, **inside).split()
        write_image(tmp_path / image)
        write_png(tmp_path / mask, index_mask())
    assert sorted(record.split for record in read(tmp_path).images) == ["test", "train", "val"]


def test_a_folder_of_masks_is_an_object_a_file_and_objects_may_overlap(tmp_path: Path):
    first, second = index_mask() == 1, index_mask() > 0
    write_image(tmp_path / "0a1b/images/0a1b.png")
    for name, mask in (("x", first), ("y", second)):
        write_png(tmp_path / f"0a1b/masks/{name}.png", mask.astype(np.uint8) * 255)
    write_image(tmp_path / "background/images/b.png")
    (tmp_path / "background/masks").mkdir()
    assert MaskPngFormat().detect(tmp_path)
    dataset = read(tmp_path)
    record, background = dataset.images
    assert [mask.tolist() for mask in masks_of(record)] == [first.tolist(), second.tolist()]
    assert (record.name, background.name, background.instances) == (
        "0a1b/images/0a1b.png",
        "background/images/b.png",
        (),
    )
    assert dataset.notes == ()


def test_a_split_without_masks_is_left_out_and_told(tmp_path: Path):
    write_image(tmp_path / "stage1_train/a/images/a.png")
    write_png(tmp_path / "stage1_train/a/masks/1.png", (index_mask() == 1).astype(np.uint8))
    write_image(tmp_path / "stage1_test/b/images/b.png")
    dataset = read(tmp_path)
    assert [(record.name, record.split) for record in dataset.images] == [("stage1_train/a/images/a.png", "train")]
    assert [(note.rule, note.examples) for note in dataset.notes] == [
        ("folders without masks left out", ("stage1_test",))
    ]


def test_masks_may_lie_in_a_folder_called_as_the_image(tmp_path: Path):
    write_image(tmp_path / "images/a.jpg")
    for value in (1, 7):
        write_png(tmp_path / f"masks/a/{value}.png", (index_mask() == value).astype(np.uint8))
    assert [int(mask.sum()) for mask in masks_of(read(tmp_path).images[0])] == [24, 15]


def test_a_smooth_mask_of_one_object_is_told(tmp_path: Path):
    write_image(tmp_path / "a/images/a.png")
    write_png(tmp_path / "a/masks/a.png", index_mask() * 20)
    write_png(tmp_path / "a/masks/empty.png", index_mask() * 0)
    rules = [note.rule for note in read(tmp_path).notes]
    assert rules == [
        "masks of one object with several values: all above 0 taken as the object",
        "masks without a pixel removed",
    ]


RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (224, 224, 192)


def colour_mask() -> np.ndarray:
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colours[1:3, 1:3] = RED
    colours[3, 3] = RED  # touches at a corner: the same object
    colours[6, 1:4] = RED
    colours[1:5, 6:9] = GREEN
    colours[7] = WHITE
    return colours


@pytest.mark.parametrize(
    "table",
    [
        "classes: {cat: [255, 0, 0], dog: '#00ff00'}\nignore: ['#E0E0C0']",
        "cat: [255, 0, 0]\ndog: '#00ff00'\nborder: [224, 224, 192]",
    ],
)
def test_connected_pieces_of_a_colour_are_objects_and_that_is_told(tmp_path: Path, table: str):
    write_image(tmp_path / "images/a.jpg")
    write_png(tmp_path / "masks/a.png", colour_mask())
    (tmp_path / "colours.yaml").write_text(table)
    dataset = read(tmp_path)
    (record,) = dataset.images
    found = [
        (dataset.classes[one.category], int(mask.sum()))
        for one, mask in zip(record.instances, masks_of(record), strict=True)
    ]
    assert found[:3] == [("cat", 5), ("cat", 3), ("dog", 12)]
    assert found[3:] == ([("border", 12)] if "border" in table else [])
    assert [note.rule for note in dataset.notes] == [
        "objects taken to be the connected pieces of a class, for the masks do not tell them apart"
    ]


def test_a_palette_is_read_by_colour_where_the_table_has_colours_and_by_number_where_it_has_numbers(tmp_path: Path):
    image_module = pytest.importorskip("PIL.Image")
    image = image_module.fromarray(index_mask())
    image.putpalette([0, 0, 0, *RED, *([0] * 15), *RED])
    write_image(tmp_path / "images/a.jpg")
    (tmp_path / "masks").mkdir()
    image.save(tmp_path / "masks/a.png")
    for table, areas in (("cat: '#ff0000'", [39]), ("cat: 1\ndog: 7", [24, 15])):
        (tmp_path / "classes.yaml").write_text(table)
        assert [int(mask.sum()) for mask in masks_of(read(tmp_path).images[0])] == areas
    (tmp_path / "classes.yaml").write_text("classes: [cat]\nignore: [7]")
    assert [int(mask.sum()) for mask in masks_of(read(tmp_path).images[0])] == [24]


def test_grey_that_was_saved_as_colour_is_an_index_mask(tmp_path: Path):
    write_image(tmp_path / "images/a.jpg")
    write_png(tmp_path / "masks/a.png", np.dstack([index_mask()] * 3))
    assert [int(mask.sum()) for mask in masks_of(read(tmp_path).images[0])] == [24, 15]


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ("cat: [255, 0, 0]\ndog: 3", "must have colours for all classes, or numbers for all"),
        ("cat: [255, 0]", r"cat = \[255, 0\]: must be a colour"),
        ("cat: 70000", "cat = 70000: must be a colour"),
        ("cat: 1\ndog: 1", "dog = 1: is another class already"),
        ("cat: 0", "cat = 0: 0 and black are the background"),
        ("1: 2", "classes.yaml: 1: a class name must be printable text"),
        ("[cat, dog]", "a list must hold one class name"),
        ("cat", "must map class names"),
        ("classes: {cat: 1}\nignore: [red]", "ignore = 'red': must be a list of values of the same kind"),
        ("classes: {cat: 1}\nignored: [3]", "ignored: is not known, only classes and ignore are"),
        ("cat: [", "classes.yaml: must be YAML"),
        ("\ud800".encode("utf-8", "surrogatepass"), "classes.yaml: must be YAML"),
        ("#" * (1 << 20) + "\na: 1", "classes.yaml: cannot be read: it has 1048581 bytes, it may have 1048576"),
        (
            "a: &a [1, 1, 1, 1]\n"
            + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)),
            "holds more than 1000000 values",
        ),
    ],
)
def test_a_table_that_is_wrong_is_told_before_any_mask_is_read(tmp_path: Path, table: str | bytes, rule: str):
    write_image(tmp_path / "images/a.jpg")
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.yaml").write_bytes(table if isinstance(table, bytes) else table.encode())
    (problem,) = problems(tmp_path)
    assert re.search(rule, problem), problem


def test_everything_that_is_wrong_with_masks_is_told_at_once_with_file_and_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    for name in ("bare", "cut", "fine", "jpeg", "large", "photo", "colour"):
        write_image(
            tmp_path / f"images/{name}.jpg", 300 if name == "photo" else WIDTH, 500 if name == "photo" else HEIGHT
        )
    write_png(tmp_path / "masks/fine.png", index_mask())
    cut = write_png(tmp_path / "masks/cut.png", index_mask())
    cut.write_bytes(cut.read_bytes()[:-20])
    write_image(tmp_path / "masks/jpeg.jpg")
    write_png(tmp_path / "masks/large.png", np.zeros((HEIGHT + 1, WIDTH), np.uint8))
    write_png(tmp_path / "masks/photo.png", np.random.default_rng(0).integers(0, 255, (500, 300)).astype(np.uint8))
    write_png(tmp_path / "masks/colour.png", colour_mask())
    write_png(tmp_path / "masks/orphan.png", index_mask())
    assert sorted(problems(tmp_path)) == [
        "images/bare.jpg: looked for masks/bare.png: has no mask (add one, all 0 if the image shows no object)",
        "images/jpeg.jpg: looked for masks/jpeg.png: has no mask (jpeg.jpg is no PNG)",
        "masks/colour.png: has colours, not numbers, and no table says what they mean "
        "(say which colour is which class in a colours.yaml beside the masks)",
        "masks/cut.png: the mask is no PNG that can be read: it is truncated (write it again as PNG)",
        "masks/large.png: 12x9: a mask must have the size of its image, large.jpg is 12x8",
        "masks/orphan.png: is a mask without an image (add the image or remove the mask)",
        "masks/photo.png: is no mask of objects: its values change at least 149406 times, as a photograph's do "
        "(put the mask here, not the image)",
    ]
    assert capfd.readouterr() == ("", "")


def test_colours_that_no_class_has_are_told_with_their_number(tmp_path: Path):
    write_image(tmp_path / "images/a.jpg")
    write_png(tmp_path / "masks/a.png", colour_mask())
    (tmp_path / "colors.yml").write_text("cat: '#ff0000'")
    (problem,) = problems(tmp_path)
    assert problem.startswith("masks/a.png: #00ff00, #e0e0c0, 24 pixels: has colours that no class has (add them")


def test_an_object_folder_without_masks_or_with_several_images_is_told(tmp_path: Path):
    for name in ("a", "b", "c"):
        write_image(tmp_path / name / f"images/{name}.png")
    write_png(tmp_path / "a/masks/1.png", (index_mask() == 1).astype(np.uint8))
    write_png(tmp_path / "a/masks/2.png", np.ones((3, 3), np.uint8))
    write_image(tmp_path / "a/masks/3.jpg")
    (tmp_path / "c/masks").mkdir()
    write_image(tmp_path / "c/images/d.png")
    assert sorted(problems(tmp_path)) == [
        "a/masks/2.png: 3x3: the masks of an image must have one size, the first is 12x8",
        "a/masks/3.jpg: a mask must be a PNG (other formats change what is drawn)",
        "b: must hold images/ and masks/, as the folders beside it do (an image without an object has an empty masks/)",
        "c/images: 2 images: must hold one image, whose objects are in masks/ beside it",
    ]


def test_a_picture_turned_by_its_camera_may_have_a_mask_of_either_way(tmp_path: Path):
    write_image(tmp_path / "images/a.jpg", HEIGHT, WIDTH)
    write_png(tmp_path / "masks/a.png", index_mask())
    assert read(tmp_path).images[0].size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("made", [(), ("images",), ("masks",), ("a/images", "b/masks")])
def test_other_folders_are_not_taken_for_masks(tmp_path: Path, made: tuple[str, ...]):
    for name in made:
        (tmp_path / name).mkdir(parents=True)
    assert not MaskPngFormat().detect(tmp_path)
    with pytest.raises(DatasetError, match="must hold folders images/ and masks/"):
        MaskPngFormat().read(tmp_path)


def test_folders_without_an_image_are_told(tmp_path: Path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    assert problems(tmp_path) == [f"{tmp_path}: holds no image with a mask"]


# What is written.


def instance_of(mask: Mask, category: int = 0, *, crowd: bool = False) -> Instance:
    height, width = mask.shape
    return Instance(category, tuple(part.scaled(1 / width, 1 / height) for part in trace(mask)), crowd)


def a_dataset(folder: Path, *images: tuple[Instance, ...], **fields: Any) -> RawDataset:
    records = []
    for number, instances in enumerate(images):
        path = write_image(folder / f"source/{number}.jpg", 11, 9)
        facts = {"split": "", "size": (11, 9), "group": f"scene {number}"} | fields
        records.append(ImageRecord(path, f"some/where/{number}.jpg", annotations=instances, **facts))
    return RawDataset("test", ("cat", "dog"), tuple(records))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new folder at each turn, for properties."""
    return (tmp_path_factory.mktemp("masks") for _ in range(10_000))


objects = st.lists(st.tuples(arrays(np.bool_, (9, 11)), st.integers(0, 1), st.booleans()), max_size=5)


@settings(quick, max_examples=15)  # each writes a folder
@given(objects, st.sampled_from(["", "train", "val", "test"]))
def test_what_is_written_is_read_back_whatever_overlaps(folders: Iterator[Path], drawn: list[Any], split: str):
    folder = next(folders)
    instances = tuple(instance_of(mask, category, crowd=crowd) for mask, category, crowd in drawn if mask.any())
    dataset = a_dataset(folder, instances, split=split)
    MaskPngFormat().write(dataset, folder / "written")
    again = read(folder / "written")
    (record,) = again.images
    assert (again.classes, again.notes, record.name) == (("cat", "dog"), (), "images/0.jpg")
    assert (record.split, record.group, record.size) == (split, "scene 0", (11, 9))
    wanted = sorted((category, crowd, mask.tolist()) for mask, category, crowd in drawn if mask.any())
    found = [(o.category, o.crowd, m.tolist()) for o, m in zip(record.instances, masks_of(record), strict=True)]
    assert sorted(found) == wanted


def test_rendered_scenes_with_holes_and_parts_are_read_back_exactly(tmp_path: Path):
    for seed in range(4):
        scene = render_scene(96, 64, np.random.default_rng(seed))
        instances = tuple(instance_of(mask, category) for category, mask in scene.shapes)
        path = tmp_path / f"{seed}.png"
        assert cv2.imwrite(str(path), scene.picture)
        record = ImageRecord(path, path.name, source_group(path.name), instances)
        MaskPngFormat().write(RawDataset("test", CLASSES, (record,)), tmp_path / f"w{seed}")
        (again,) = read(tmp_path / f"w{seed}").images
        assert not (tmp_path / f"w{seed}/overlaps").exists()
        assert again.path.read_bytes() == path.read_bytes()
        found = [(one.category, mask.tolist()) for one, mask in zip(again.instances, masks_of(again), strict=True)]
        assert found == [(category, mask.tolist()) for category, mask in scene.shapes]


def test_the_same_dataset_is_written_as_the_same_bytes_and_looks_as_documented(tmp_path: Path):
    left, over = np.zeros((2, 9, 11), np.bool_)
    left[2:5, 2:5], over[4:8, 4:8] = True, True
    dataset = a_dataset(tmp_path, (instance_of(left), instance_of(over, 1, crowd=True)), (), split="train")
    for name in ("one", "two"):
        MaskPngFormat().write(dataset, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert [file.as_posix() for file in files] == [
        "images/0.jpg",
        "images/1.jpg",
        "masks/0.png",
        "masks/1.png",
        "masks.jsonl",
        "overlaps/1/0.png",
    ]
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
    lines = [json.loads(line) for line in (tmp_path / "one/masks.jsonl").read_text().splitlines()]
    assert lines == [
        {"format": "mask_png", "version": 1, "classes": ["cat", "dog"]},
        {
            "image": "images/0.jpg",
            "split": "train",
            "group": "scene 0",
            "masks": [
                {"file": "masks/0.png", "objects": [{"index": 1, "class": "cat"}]},
                {"file": "overlaps/1/0.png", "objects": [{"index": 1, "class": "dog", "crowd": True}]},
            ],
        },
        {
            "image": "images/1.jpg",
            "split": "train",
            "group": "scene 1",
            "masks": [{"file": "masks/1.png", "objects": []}],
        },
    ]


def test_an_object_too_thin_for_any_pixel_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    thin = Instance(0, (trace(np.ones((1, 1), np.bool_))[0].scaled(0.01, 0.01),))
    with caplog.at_level(logging.WARNING):
        MaskPngFormat().write(a_dataset(tmp_path, (thin,)), tmp_path / "written")
    assert caplog.messages == ["some/where/0.jpg: 1 objects cover the centre of no pixel, no mask can show them"]


def test_objects_may_be_listed_by_colour(tmp_path: Path):
    write_image(tmp_path / "images/a.jpg")
    write_png(tmp_path / "masks/a.png", colour_mask())
    wanted = [
        {"colour": RED, "class": "cat"},
        {"colour": "#00ff00", "class": "cat"},
        {"colour": WHITE, "class": "border"},
    ]
    row = {"image": "images/a.jpg", "masks": [{"file": "masks/a.png", "objects": wanted}]}
    header = {"format": "mask_png", "version": 1, "classes": ["cat", "border"]}
    (tmp_path / "masks.jsonl").write_text(f"{json.dumps(header)}\n\n{json.dumps(row)}\n")
    (record,) = read(tmp_path).images
    areas = [(one.category, int(mask.sum())) for one, mask in zip(record.instances, masks_of(record), strict=True)]
    assert areas == [(0, 12), (1, 12), (0, 8)]  # in order of the colours' numbers


HEADER = {"format": "mask_png", "version": 1, "classes": ["cat"]}
ROW = {"image": "images/a.jpg", "masks": [{"file": "masks/a.png", "objects": [{"index": 1, "class": "cat"}]}]}


def one_object(**fields: Any) -> dict[str, Any]:
    return {**ROW, "masks": [{"file": "masks/a.png", "objects": [{"index": 1, "class": "cat", **fields}]}]}


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ([], "masks.jsonl:1: the first line must hold the classes"),
        (["{"], "masks.jsonl:1: must be JSON"),
        ([[]], "masks.jsonl:1: list: must be an object"),
        ([{**HEADER, "version": 2}], "masks.jsonl:1: 'mask_png' 2: must be format mask_png, version 1"),
        ([{**HEADER, "classes": "cat"}], "masks.jsonl:1: classes = 'cat': must be a list of printable names"),
        ([{**HEADER, "classes": ["\ud800"]}], "must be a list of printable names"),
        ([{**HEADER, "classes": ["cat", "cat"]}], "names must differ"),
        ([HEADER, "{", ROW], "masks.jsonl:2: must be JSON"),
        ([HEADER, "[" * 100_000, ROW], "masks.jsonl:2: must be JSON"),
        (
            [HEADER, {**ROW, "image": "../a.jpg"}],
            "masks.jsonl:2: image = '../a.jpg': must be a path inside the dataset",
        ),
        ([HEADER, {**ROW, "image": "/a.jpg"}], "must be a path inside the dataset"),
        ([HEADER, {**ROW, "image": "a\0.jpg"}], "must be a path inside the dataset"),
        ([HEADER, {**ROW, "image": "images/b.jpg"}], "masks.jsonl:2: images/b.jpg: the image file is not there"),
        ([HEADER, {**ROW, "image": "b" * 5000}], "the image file is not there"),
        ([HEADER, ROW, ROW], "masks.jsonl:3: images/a.jpg: an image must be listed once"),
        ([HEADER, {**ROW, "split": "dev"}], "split = 'dev': must be one of train, val, test"),
        ([HEADER, {**ROW, "group": 3}], "group = 3: must be text"),
        ([HEADER, {**ROW, "masks": None}], "masks = None: must be a list"),
        ([HEADER, {**ROW, "masks": [{"file": "m.png"}]}], r"masks\[0\] = .*: needs a file inside the dataset"),
        (
            [HEADER, {**ROW, "masks": [{"file": "m.png", "objects": []}]}],
            "m.png: the mask cannot be read: No such file",
        ),
        ([HEADER, one_object(index=0)], r"masks\[0\].objects\[0\] = .*: needs an index"),
        ([HEADER, one_object(index=True)], "needs an index"),
        ([HEADER, one_object(colour="#ff0000")], "needs an index"),
        ([HEADER, one_object(**{"class": "dog"})], r"objects\[0\].class = 'dog': must be one of the classes"),
        ([HEADER, one_object(crowd="no")], "= 'no': crowd must be true or false"),
        ([HEADER, one_object(index=2)], "masks/a.png: 1: has numbers that no class has"),
    ],
)
def test_a_line_that_is_wrong_is_told_with_its_number(tmp_path: Path, lines: list[Any], rule: str):
    write_image(tmp_path / "images/a.jpg")
    write_png(tmp_path / "masks/a.png", np.minimum(index_mask(), 1))
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (tmp_path / "masks.jsonl").write_text(text)
    found = problems(tmp_path)
    assert len(found) == 1
    assert re.search(rule, found[0]), found[0]


def test_a_list_that_is_no_text_is_told(tmp_path: Path):
    (tmp_path / "masks.jsonl").write_bytes(b"\xff\xfe\x00")
    assert "masks.jsonl: must be UTF-8: invalid start byte" in problems(tmp_path)


@pytest.mark.parametrize("name", ["masks.jsonl", "classes.yaml", "masks/a.png", "images/a.jpg"])
def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(tmp_path: Path, name: str):
    write_image(tmp_path / "images/a.jpg")
    write_png(tmp_path / "masks/a.png", index_mask())
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    MaskPngFormat().read(tmp_path)


def test_a_listed_object_without_a_pixel_is_told(tmp_path: Path):
    write_image(tmp_path / "images/a.jpg")
    write_png(tmp_path / "masks/a.png", index_mask() * 0)
    (tmp_path / "masks.jsonl").write_text(f"{json.dumps(HEADER)}\n{json.dumps(ROW)}")
    dataset = read(tmp_path)
    assert [(note.rule, note.examples) for note in dataset.notes] == [
        ("listed objects without a pixel left out", ("masks/a.png: 1",))
    ]


def test_instances_are_handed_over_an_image_at_a_time(tmp_path: Path):
    for name in ("a", "b"):
        write_image(tmp_path / f"images/{name}.jpg")
        write_png(tmp_path / f"masks/{name}.png", index_mask())
    counts: list[int] = []
    keep: Callable[[Any], Any] = lambda instances: counts.append(len(instances)) or ()  # noqa: E731
    MaskPngFormat().read(tmp_path, keep)
    assert counts == [2, 2]
