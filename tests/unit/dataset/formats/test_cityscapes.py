from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from examples import quick
from segsweep.core.geometry import Mask, Part, fill, overlap, trace
from segsweep.dataset.formats.cityscapes import CityscapesFormat
from segsweep.dataset.formats.cityscapes_splits import choose_val_cities
from segsweep.dataset.formats.index_png import encode_index
from segsweep.dataset.records import ImageRecord, Instance, RawDataset
from segsweep.dataset.sample.scene import CLASSES, render_scene
from segsweep.errors import ConfigError, DatasetError

WIDTH, HEIGHT = 16, 8
NAME = "train/aachen/aachen_000000_000019"


def write_image(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))
    return path


def write_scene(folder: Path, name: str, values: np.ndarray | None = None, document: Any = None) -> None:
    """An image, with instanceIds where values are given, with polygons where a document is."""
    write_image(folder / f"leftImg8bit/{name}_leftImg8bit.png")
    beside = folder / f"gtFine/{name}_gtFine"
    beside.parent.mkdir(parents=True, exist_ok=True)
    if values is not None:
        Path(f"{beside}_instanceIds.png").write_bytes(encode_index(values))
    if document is not None:
        text = document if isinstance(document, str) else json.dumps(document)
        Path(f"{beside}_polygons.json").write_text(text)


def ids() -> np.ndarray:
    """A street: road, two cars of which one has a hole, a group of cars, a caravan, a person."""
    values = np.zeros((HEIGHT, WIDTH), np.uint16)
    values[4:] = 7
    values[1:6, 1:5] = 26000
    values[3, 3] = 7
    values[1:6, 5:8] = 26001
    values[1:3, 9:12] = 26
    values[5:7, 9:11] = 29000
    values[0:5, 13:15] = 24000
    return values


def masks_of(record: ImageRecord) -> list[Mask]:
    assert record.size is not None
    width, height = record.size
    return [fill([part.scaled(width, height) for part in one.parts], height, width) for one in record.instances]


def found(dataset: RawDataset, index: int = 0) -> list[tuple[str, bool, int]]:
    record = dataset.images[index]
    pairs = zip(record.instances, masks_of(record), strict=True)
    return [(dataset.classes[one.category], one.crowd, int(mask.sum())) for one, mask in pairs]


def read(folder: Path, *classes: str) -> RawDataset:
    dataset = CityscapesFormat(classes).read(folder)
    assert [str(problem) for problem in dataset.problems] == []
    return dataset


def problems(folder: Path) -> list[str]:
    return [str(problem) for problem in CityscapesFormat().read(folder).problems]


def notes(dataset: RawDataset) -> dict[str, int]:
    return {note.rule: note.count for note in dataset.notes}


def test_the_evaluated_classes_are_read_and_groups_are_crowds(tmp_path: Path):
    write_scene(tmp_path, NAME, ids())
    assert CityscapesFormat().detect(tmp_path)
    dataset = read(tmp_path)
    (record,) = dataset.images
    assert dataset.format == "cityscapes"
    assert dataset.classes == ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
    assert (record.name, record.group, record.size) == (
        f"leftImg8bit/{NAME}_leftImg8bit.png",
        "aachen",
        (WIDTH, HEIGHT),
    )
    assert found(dataset) == [("car", True, 6), ("person", False, 10), ("car", False, 19), ("car", False, 15)]
    assert np.array_equal(masks_of(record)[2], ids() == 26000)
    assert notes(dataset) == {"objects of classes not asked for left out": 1}


def test_any_labels_are_read_by_name_in_the_order_asked_for(tmp_path: Path):
    write_scene(tmp_path, NAME, ids())
    dataset = read(tmp_path, "road", "caravan", "person", "road")
    assert dataset.classes == ("road", "caravan", "person")
    # What has no objects of its own is one instance, however many pieces it has, and no crowd.
    road = int((ids() == 7).sum())
    assert found(dataset) == [("road", False, road), ("person", False, 10), ("caravan", False, 4)]


@pytest.mark.parametrize("name", ["cars", "license plate"])
def test_a_label_that_no_mask_holds_is_told_with_those_there_are(tmp_path: Path, name: str):
    write_scene(tmp_path, NAME, ids())
    with pytest.raises(ConfigError, match=f"--classes: {name}: must be labels that masks hold .*person, rider, car"):
        CityscapesFormat(["car", name]).read(tmp_path)


def test_official_val_becomes_test_and_train_is_dealt_by_city(tmp_path: Path):
    for city, images in (("aachen", 4), ("bochum", 4), ("zurich", 1)):
        for number in range(images):
            write_scene(tmp_path, f"train/{city}/{city}_{number:06d}_000019", ids())
    write_scene(tmp_path, "val/frankfurt/frankfurt_000000_000294", ids())
    write_scene(tmp_path, "test/berlin/berlin_000000_000019", np.zeros((HEIGHT, WIDTH), np.uint16))
    write_scene(tmp_path, "train_extra/bayreuth/bayreuth_000000_000019")
    dataset = read(tmp_path)
    splits = {record.group: record.split for record in dataset.images}
    assert splits == {"aachen": "train", "bochum": "train", "zurich": "val", "frankfurt": "test"}
    assert len(dataset.images) == 10
    told = notes(dataset)
    assert told["official test images left out: their labels are hidden"] == 1
    assert told["images of train_extra left out: they have no fine labels"] == 1
    assert told["official val taken as test: the labels of the official test images are hidden"] == 1
    assert told["cities of official train taken as val"] == 1


# https://www.cityscapes-dataset.com: images of each training city, 2,975 in all.
TRAIN_CITIES = {
    "aachen": 174, "bochum": 96, "bremen": 316, "cologne": 154, "darmstadt": 85, "dusseldorf": 221, "erfurt": 109,
    "hamburg": 248, "hanover": 196, "jena": 119, "krefeld": 99, "monchengladbach": 94, "strasbourg": 365,
    "stuttgart": 196, "tubingen": 144, "ulm": 95, "weimar": 142, "zurich": 122,
}  # fmt: skip


def test_four_cities_of_cityscapes_are_held_back():
    cities = choose_val_cities(TRAIN_CITIES)
    assert cities == {"aachen", "darmstadt", "erfurt", "jena"}
    assert sum(TRAIN_CITIES[city] for city in cities) / sum(TRAIN_CITIES.values()) == pytest.approx(487 / 2975)


@pytest.mark.parametrize(
    ("images", "held"),
    [({}, set()), ({"one": 5}, set()), ({"big": 100, "small": 2}, {"small"}), ({"a": 50, "b": 60}, {"a"})],
)
def test_of_several_cities_one_is_held_back_and_one_is_left(images: Mapping[str, int], held: set[str]):
    assert choose_val_cities(images) == held


def polygon(label: str, left: int, top: int, right: int, bottom: int, **fields: Any) -> dict[str, Any]:
    """A box with its border, as Cityscapes draws polygons."""
    corners = [[left, top], [right - 1, top], [right - 1, bottom - 1], [left, bottom - 1]]
    return {"label": label, "polygon": corners, **fields}


def document(*objects: Any, **fields: Any) -> dict[str, Any]:
    return {"imgWidth": WIDTH, "imgHeight": HEIGHT, "objects": list(objects)} | fields


def test_polygons_alone_are_drawn_each_over_those_before_it(tmp_path: Path):
    objects = [
        polygon("road", 0, 4, 16, 8),
        polygon("car", 0, 0, 6, 4),
        polygon("license plate", 1, 1, 2, 2),
        polygon("car", 1, 1, 3, 3),  # is covered by the bus
        polygon("caravan", 14, 0, 15, 1),
        polygon("person", 9, 0, 12, 4, deleted=1),
        polygon("bus", 1, 1, 4, 4),
        polygon("cargroup", 8, 0, 12, 2),
        polygon("polegroup", 9, 1, 10, 8),
        polygon("bicycle", 13, 6, 99, 99),
    ]
    write_scene(tmp_path, NAME, document=document(*objects))
    dataset = read(tmp_path)
    assert found(dataset) == [("car", True, 7), ("car", False, 15), ("bus", False, 9), ("bicycle", False, 6)]
    # `polegroup` is a label of its own, no group of poles.
    assert found(read(tmp_path, "pole", "polegroup")) == [("polegroup", False, 7)]
    covered = next(note for note in dataset.notes if "cover wholly" in note.rule)
    assert covered.examples == (f"gtFine/{NAME}_gtFine_polygons.json: objects[3]",)
    assert notes(dataset)["instances drawn from polygons, for there is no instanceIds.png"] == 1


def test_polygons_are_drawn_as_cityscapes_own_tool_draws_them(tmp_path: Path):
    image, draw = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageDraw")
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    shapes = [
        np.rint(
            rng.uniform(60, 150) * rng.uniform(0.7, 1, 40)[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
            + centre
        )
        for centre in ((180, 200), (260, 180), (420, 300))
    ]
    canvas = image.new("I", (640, 480), 0)
    for number, shape in enumerate(shapes):
        draw.Draw(canvas).polygon([tuple(point) for point in shape.astype(int).tolist()], fill=26000 + number)
    rows = [{"label": "car", "polygon": shape.astype(int).tolist()} for shape in shapes]
    write_scene(tmp_path, NAME, document={"imgWidth": 640, "imgHeight": 480, "objects": rows})
    write_image(tmp_path / f"leftImg8bit/{NAME}_leftImg8bit.png", 640, 480)
    official = np.asarray(canvas)
    for number, mask in enumerate(masks_of(read(tmp_path).images[0])):
        theirs = official == 26000 + number
        assert overlap(mask, theirs) > 0.995
    # Filled without its border, as elsewhere, the last shape agrees less.
    assert overlap(fill([Part(shapes[-1])], 480, 640), theirs) < 0.99


def test_instance_ids_win_over_polygons(tmp_path: Path):
    write_scene(tmp_path, NAME, ids(), document())
    assert len(read(tmp_path).images[0].instances) == 4


@pytest.mark.parametrize(
    ("content", "rules"),
    [
        ("{", ["must be JSON: Expecting property name"]),
        ("[" * 100_000, ["must be JSON"]),
        ("[]", ["list: must be an object"]),
        (document(imgWidth=0), ["imgWidth, imgHeight = (0, 8): needs the image's width and height"]),
        (document(imgWidth=10**6, imgHeight=10**6), ["needs the image's width and height"]),
        (document(imgWidth=True), ["needs the image's width and height"]),
        (document(imgWidth=17), ["17x8: a mask must have the size of its image"]),
        (document(objects={}), ["objects = {}: must be a list"]),
        (
            document(7, {"label": ["car"]}, polygon("tram", 0, 0, 4, 4), polygon("tramgroup", 0, 0, 4, 4)),
            [
                "objects[0]: label = 7: must be a label that is known (list it in gtFine/labels.json)",
                "objects[1]: label = ['car']",
                "objects[2]: label = 'tram'",
                "objects[3]: label = 'tramgroup'",
            ],
        ),
        (
            document(
                {"label": "car"},
                {"label": "car", "polygon": [[0, 0], [1, 1]]},
                {"label": "car", "polygon": [[0, 0], [1, 1], [2, "3"]]},
                {"label": "car", "polygon": [[0, 0], [1, 1], [2, 3, 4]]},
                {"label": "car", "polygon": [[0, 0], [1, 1], [2, float("nan")]]},
                {"label": "car", "polygon": [[0, 0], [1, 1], [2, 10**400]]},
                {"label": "car", "polygon": [[0, 0], [1, 1], [2, 1 << 30]]},
            ),
            ["objects[0]: polygon = None: must be a list of at least 3 points, each [x, y]"]
            + [f"objects[{i}]: polygon" for i in range(1, 7)],
        ),
        (document(*[polygon("car", 0, 0, 4, 4)] * 1001), ["objects[1000]: car: an image holds at most 1000 objects"]),
    ],
)
def test_polygons_that_are_wrong_are_told_all_at_once_with_file_and_record(
    tmp_path: Path, content: Any, rules: list[str]
):
    write_scene(tmp_path, NAME, document=content)
    told = problems(tmp_path)
    assert len(told) == len(rules), told
    assert all(problem.startswith(f"gtFine/{NAME}_gtFine_polygons.json: ") for problem in told)
    assert all(rule in problem for rule, problem in zip(rules, told, strict=True)), told


def test_everything_that_is_wrong_with_a_tree_is_told_at_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    write_scene(tmp_path, "train/a/a_000000_000000")
    write_scene(tmp_path, "train/a/a_000001_000000", np.full((HEIGHT, WIDTH), 35, np.uint16))
    write_scene(tmp_path, "train/a/a_000002_000000", np.array([[41000, 7001, 26000, 64, 65535, 40, 50]], np.uint16))
    write_image(tmp_path / "leftImg8bit/train/a/a_000002_000000_leftImg8bit.png", 7, 1)
    write_scene(tmp_path, "train/a/a_000003_000000", np.zeros((HEIGHT, WIDTH + 1), np.uint16))
    write_scene(tmp_path, "train/a/a_000004_000000", ids())
    cut = tmp_path / "gtFine/train/a/a_000004_000000_gtFine_instanceIds.png"
    cut.write_bytes(cut.read_bytes()[:50])
    write_image(tmp_path / "gtFine/train/a/a_000005_000000_gtFine_instanceIds.png")
    write_image(tmp_path / "leftImg8bit/train/a/a_000005_000000_leftImg8bit.png")
    write_scene(tmp_path, "train/a/a_000006_000000", ids())
    (tmp_path / "leftImg8bit/train/a/a_000006_000000_leftImg8bit.png").unlink()
    write_image(tmp_path / "leftImg8bit/train/loose_leftImg8bit.png")
    annotations = "gtFine/train/a/a_00000"
    assert sorted(problems(tmp_path)) == [
        f"{annotations}1_000000_gtFine_instanceIds.png: 35: holds numbers of no label (list it in gtFine/labels.json)",
        f"{annotations}2_000000_gtFine_instanceIds.png: 40, 50, 64, 7001, 41000 and 1 more: holds numbers of no label "
        "(list it in gtFine/labels.json)",
        f"{annotations}3_000000_gtFine_instanceIds.png: 17x8: a mask must have the size of its image, "
        "a_000003_000000_leftImg8bit.png is 16x8",
        f"{annotations}4_000000_gtFine_instanceIds.png: the mask is no PNG that can be read: it is truncated "
        "(write it again as PNG)",
        f"{annotations}5_000000_gtFine_instanceIds.png: must hold numbers, not colours "
        "(use *_gtFine_instanceIds.png as it is)",
        f"{annotations}6_000000_gtFine_instanceIds.png: is an annotation without an image (add the image or remove it)",
        "leftImg8bit/train/a/a_000000_000000_leftImg8bit.png: looked for "
        f"{annotations}0_000000_gtFine_instanceIds.png: has no annotation",
        "leftImg8bit/train/loose_leftImg8bit.png: must be leftImg8bit/<split>/<city>/*_leftImg8bit.png",
    ]
    assert capfd.readouterr() == ("", "")


def test_a_photograph_in_place_of_a_mask_is_told(tmp_path: Path):
    noise = np.random.default_rng(0).integers(26000, 26999, (400, 400)).astype(np.uint16)
    write_scene(tmp_path, NAME, noise)
    write_image(tmp_path / f"leftImg8bit/{NAME}_leftImg8bit.png", 400, 400)
    (problem,) = problems(tmp_path)
    assert "is no mask of objects: its values change at least" in problem


@pytest.mark.parametrize("half", ["leftImg8bit", "gtFine"])
def test_one_half_of_the_download_is_told(tmp_path: Path, half: str):
    (tmp_path / half).mkdir()
    assert CityscapesFormat().detect(tmp_path)
    with pytest.raises(
        DatasetError, match=r"must hold both leftImg8bit/ and gtFine/ \(unpack leftImg8bit_trainvaltest"
    ):
        CityscapesFormat().read(tmp_path)


def test_zips_may_be_unpacked_into_folders_of_their_own(tmp_path: Path):
    write_scene(tmp_path, NAME, ids())
    for half in ("leftImg8bit", "gtFine"):
        (tmp_path / half).rename(tmp_path / "moved")
        (tmp_path / f"{half}_trainvaltest").mkdir()
        (tmp_path / "moved").rename(tmp_path / f"{half}_trainvaltest" / half)
    dataset = read(tmp_path)
    assert dataset.images[0].name == f"leftImg8bit_trainvaltest/leftImg8bit/{NAME}_leftImg8bit.png"


def test_splits_and_cities_may_be_links_and_what_lies_elsewhere_is_told(tmp_path: Path):
    write_scene(tmp_path / "disk", NAME, ids())
    for half in ("leftImg8bit", "gtFine"):
        (tmp_path / half).mkdir()
        (tmp_path / half / "train").symlink_to(tmp_path / "disk" / half / "train")
    assert len(read(tmp_path).images) == 1
    for name in ("a", "train/b", "train/aachen/c", "train/aachen/in/d_leftImg8bit"):
        write_image(tmp_path / f"leftImg8bit/{name}.png")
    told = [problem.partition(": ")[0] for problem in problems(tmp_path)]
    assert told == [
        f"leftImg8bit/{name}.png" for name in ("a", "train/b", "train/aachen/c", "train/aachen/in/d_leftImg8bit")
    ]


def test_a_tree_without_images_is_told(tmp_path: Path):
    for half in ("leftImg8bit", "gtFine"):
        (tmp_path / half).mkdir()
    assert problems(tmp_path) == [f"{tmp_path}: leftImg8bit holds no image that can be used"]


def test_a_broken_table_of_labels_is_told_alone(tmp_path: Path):
    write_scene(tmp_path, NAME, ids())
    (tmp_path / "gtFine/labels.json").write_text("[]")
    assert problems(tmp_path) == ["gtFine/labels.json: must be format cityscapes, version 1"]


# What is written.


def instance_of(mask: Mask, category: int = 0, *, crowd: bool = False) -> Instance:
    height, width = mask.shape
    return Instance(category, tuple(part.scaled(1 / width, 1 / height) for part in trace(mask)), crowd)


def a_record(folder: Path, name: str, *instances: Instance, split: str = "", group: str = "g") -> ImageRecord:
    path = write_image(folder / f"source/{name}.jpg", 11, 9)
    return ImageRecord(path, f"{name}.jpg", group, instances, split, (11, 9))


def write(folder: Path, *records: ImageRecord, classes: tuple[str, ...] = ("cat", "car")) -> Path:
    CityscapesFormat().write(RawDataset("test", classes, records), folder / "written")
    return folder / "written"


def test_a_written_tree_looks_like_cityscapes_and_keeps_splits_groups_and_classes(tmp_path: Path):
    mask = np.zeros((9, 11), np.bool_)
    mask[2:5, 2:5] = True
    one = instance_of(mask, 1)
    written = write(
        tmp_path,
        a_record(tmp_path, "a", one, split="train", group="some/old_town"),
        a_record(tmp_path, "b", one, split="train", group="some/old_town"),
        a_record(tmp_path, "c", split="test", group="old-town"),
        a_record(tmp_path, "d", one, group="ü"),
    )
    images = sorted(path.relative_to(written).as_posix() for path in written.rglob("*.jpg"))
    assert [image.split("/")[1] for image in images] == ["test", "train", "train", "train_extra"]
    dataset = read(written)
    assert dataset.classes == ("cat", "car")
    assert [record.split for record in dataset.images] == ["test", "train", "train", ""]
    assert len({record.group for record in dataset.images}) == 3
    assert len({record.group for record in dataset.images[1:3]}) == 1
    assert not any("_" in record.group for record in dataset.images)
    assert json.loads((written / "gtFine/labels.json").read_text()) == {
        "format": "cityscapes",
        "version": 1,
        "splits": {"train": "train", "test": "test", "train_extra": ""},
        "labels": [{"name": "cat", "id": 34, "hasInstances": True}, {"name": "car", "id": 26, "hasInstances": True}],
    }
    values = cv2.imread(
        str(next(written.rglob("*train/*/*_000001_000000_gtFine_instanceIds.png"))), cv2.IMREAD_UNCHANGED
    )
    assert np.unique(values).tolist() == [0, 26000]
    assert notes(dataset) == {}


def test_an_unsplit_dataset_is_one_train_folder_and_stays_unsplit(tmp_path: Path):
    written = write(tmp_path, a_record(tmp_path, "a"), a_record(tmp_path, "b"))
    assert [path.name for path in (written / "leftImg8bit").iterdir()] == ["train"]
    assert [record.split for record in read(written).images] == ["", ""]


def test_some_classes_of_a_written_tree_can_be_read(tmp_path: Path):
    mask = np.ones((9, 11), np.bool_)
    written = write(tmp_path, a_record(tmp_path, "a", instance_of(mask)))
    assert read(written, "car").classes == ("car",)
    with pytest.raises(ConfigError, match="one of cat, car"):
        CityscapesFormat(["person"]).read(written)


def test_images_of_folders_that_the_table_does_not_name_are_left_out_and_told(tmp_path: Path):
    written = write(tmp_path, a_record(tmp_path, "a"))
    write_image(written / "leftImg8bit/more/x/x_000000_000000_leftImg8bit.png")
    dataset = read(written)
    assert (len(dataset.images), notes(dataset)) == (1, {"images of folders that no split names left out": 1})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new folder at each turn, for properties."""
    return (tmp_path_factory.mktemp("trees") for _ in range(10_000))


@settings(quick, max_examples=15)  # each writes a folder
@given(arrays(np.uint8, (9, 11), elements=st.integers(0, 5)), st.lists(st.integers(0, 1), min_size=6, max_size=6))
def test_what_does_not_overlap_is_read_back_exactly(folders: Iterator[Path], values: np.ndarray, categories: list[int]):
    folder = next(folders)
    present = [value for value in range(1, 6) if (values == value).any()]
    instances = [instance_of(values == value, categories[value]) for value in present]
    dataset = read(write(folder, a_record(folder, "a", *instances)))
    again = [
        (one.category, mask.tolist())
        for one, mask in zip(dataset.images[0].instances, masks_of(dataset.images[0]), strict=True)
    ]
    assert sorted(again) == sorted((categories[value], (values == value).tolist()) for value in present)


def test_rendered_scenes_with_holes_and_parts_are_read_back_exactly(tmp_path: Path):
    scene = render_scene(96, 64, np.random.default_rng(3))
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), scene.picture)
    instances = tuple(instance_of(mask, category) for category, mask in scene.shapes)
    written = write(tmp_path, ImageRecord(path, "a.png", "a", instances), classes=CLASSES)
    (record,) = read(written).images
    assert record.path.read_bytes() == path.read_bytes()
    again = [(one.category, mask.tolist()) for one, mask in zip(record.instances, masks_of(record), strict=True)]
    assert sorted(again) == sorted((category, mask.tolist()) for category, mask in scene.shapes)


def test_the_smaller_object_is_kept_whole_crowds_lie_below_and_what_is_covered_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    small, large, twin, crowd = np.zeros((4, 9, 11), np.bool_)
    small[3:5, 3:5], large[1:7, 1:7], twin[3:5, 3:5], crowd[6:9, 6:8] = True, True, True, True
    instances = [instance_of(small), instance_of(large), instance_of(twin, 1), instance_of(crowd, crowd=True)]
    with caplog.at_level(logging.WARNING):
        dataset = read(write(tmp_path, a_record(tmp_path, "a", *instances)))
    assert found(dataset) == [("cat", True, 5), ("car", False, 4), ("cat", False, 32)]
    assert caplog.messages == ["a.jpg: 1 objects lie wholly under others or between pixels, their mask lacks them"]


def test_more_objects_of_a_class_than_numbers_are_refused(tmp_path: Path):
    spot = np.zeros((9, 11), np.bool_)
    spot[0, 0] = True
    with pytest.raises(DatasetError, match=r"a\.jpg: 1001: masks of Cityscapes hold at most 1000 objects of one class"):
        write(tmp_path, a_record(tmp_path, "a", *[instance_of(spot)] * 1001))
