from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segsweep.core.geometry import Mask, Part, fill, trace
from segsweep.dataset.formats.labelme import LabelmeFormat
from segsweep.dataset.records import ImageRecord, Instance, RawDataset
from segsweep.errors import DatasetError

WIDTH, HEIGHT = 40, 30
SQUARE = [[2, 3], [12, 3], [12, 13], [2, 13]]

MakeLabelme = Callable[..., Path]


def polygon(points: list[list[float]] | None = None, **more: Any) -> dict[str, Any]:
    shape = {"label": "cat", "points": points or SQUARE, "group_id": None, "shape_type": "polygon", "flags": {}}
    return {**shape, **more}


def png(mask: Any) -> str:
    done, data = cv2.imencode(".png", np.asarray(mask, dtype=np.uint8))
    assert done
    return base64.b64encode(data.tobytes()).decode()


@pytest.fixture
def make_labelme(tmp_path: Path, make_image: Callable[..., Path]) -> MakeLabelme:
    """Writes one image of 40x30 and its JSON; `name` may lead into a folder, `more` changes the JSON."""

    def make(shapes: list[Any], name: str = "a", image: bool = True, **more: Any) -> Path:
        folder = tmp_path / "raw"
        file = folder / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        if image:
            make_image(file.with_suffix(".jpg"))
        head = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{file.stem}.jpg", "imageData": None}
        file.write_text(json.dumps({**head, "imageHeight": HEIGHT, "imageWidth": WIDTH, **more}))
        return folder

    return make


def read(folder: Path) -> RawDataset:
    assert LabelmeFormat().detect(folder)
    return LabelmeFormat().read(folder)


def masks(record: ImageRecord) -> list[Mask]:
    return [fill([part.scaled(WIDTH, HEIGHT) for part in one.parts], HEIGHT, WIDTH) for one in record.instances]


def rectangle_mask(x0: int, y0: int, x1: int, y1: int) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def rules(dataset: RawDataset) -> list[str]:
    return [note.rule for note in dataset.notes]


def test_polygons_and_rectangles_are_their_pixels(make_labelme: MakeLabelme):
    dataset = read(make_labelme([polygon(), polygon([[30, 20], [20, 10]], shape_type="rectangle", label="dog")]))
    assert dataset.problems == dataset.notes == ()
    assert dataset.classes == ("cat", "dog")
    (record,) = dataset.images
    assert (record.name, record.size, record.split) == ("a.jpg", (WIDTH, HEIGHT), "")
    assert [one.category for one in record.instances] == [0, 1]
    assert np.array_equal(masks(record), [rectangle_mask(2, 3, 12, 13), rectangle_mask(20, 10, 30, 20)])


@pytest.mark.parametrize("radius", [0.6, 3.0, 5.5, 12.0])
def test_a_circle_has_the_area_of_a_circle(make_labelme: MakeLabelme, radius: float):
    (record,) = read(make_labelme([polygon([[20, 15], [20 + radius, 15]], shape_type="circle")])).images
    ring = record.instances[0].parts[0].exterior * (WIDTH, HEIGHT)
    x, y = ring.T
    area = (x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    assert area == pytest.approx(np.pi * radius**2)
    assert np.abs(np.hypot(x - 20, y - 15) - radius).max() < 0.1


def test_a_circle_over_the_edge_is_cut_there(make_labelme: MakeLabelme):
    dataset = read(make_labelme([polygon([[2, 2], [8, 2]], shape_type="circle")]))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    expected = np.hypot(x - 2, y - 2) < 6
    assert np.count_nonzero(masks(dataset.images[0])[0] ^ expected) <= 1
    assert rules(dataset) == ["circles cut at the edge of the image"]


@pytest.mark.parametrize("values", [{0: 0, 1: 1}, {0: 0, 1: 255}])
def test_a_mask_lies_in_its_box_which_includes_both_corners(make_labelme: MakeLabelme, values: dict[int, int]):
    inside = np.array([[1, 0, 1], [1, 1, 1]])
    text = png(np.vectorize(values.get)(inside))
    (record,) = read(make_labelme([polygon([[5, 6], [7, 7]], shape_type="mask", mask=text)])).images
    expected = rectangle_mask(5, 6, 8, 8)
    expected[6, 6] = False
    assert np.array_equal(masks(record), [expected])


def test_a_mask_of_sixteen_bits_is_no_empty_mask(make_labelme: MakeLabelme):
    done, data = cv2.imencode(".png", np.ones((2, 3), np.uint16))
    assert done
    text = base64.b64encode(data.tobytes()).decode()
    (record,) = read(make_labelme([polygon([[5, 6], [7, 7]], shape_type="mask", mask=text)])).images
    assert np.array_equal(masks(record), [rectangle_mask(5, 6, 8, 8)])


def test_a_group_of_one_label_is_one_object_and_groups_of_others_are_others(make_labelme: MakeLabelme):
    far = [[20, 20], [25, 20], [25, 25]]
    dataset = read(
        make_labelme(
            [polygon(group_id=1), polygon(far, group_id=1), polygon(far, group_id=1, label="dog"), polygon(far)]
        )
    )
    (record,) = dataset.images
    assert [(one.category, len(one.parts)) for one in record.instances] == [(0, 2), (1, 1), (0, 1)]


def test_crowds_are_flagged(make_labelme: MakeLabelme):
    (record,) = read(make_labelme([polygon(flags={"crowd": True}), polygon(SQUARE[:3], flags={"crowd": False})])).images
    assert [one.crowd for one in record.instances] == [True, False]


def test_version_3_has_no_shape_type_no_size_and_numbers_its_objects(make_labelme: MakeLabelme):
    shapes = [("cat-1", SQUARE), ("cat-1", [[20, 20], [25, 20], [25, 25]]), ("cat-2", SQUARE[:3]), ("t-shirt", SQUARE)]
    old = [{"label": label, "points": points, "line_color": None, "fill_color": None} for label, points in shapes]
    folder = make_labelme(old, version="3.16.7", imageHeight=None, imageWidth=None, lineColor=[0, 255, 0, 128])
    dataset = read(folder)
    assert dataset.problems == ()
    assert dataset.classes == ("cat", "t-shirt")
    assert dataset.images[0].size == (WIDTH, HEIGHT)
    assert [len(one.parts) for one in dataset.images[0].instances] == [2, 1, 1]
    assert rules(dataset) == ["labels of LabelMe 3 that number the objects, class-number, read as class and object"]


def test_a_label_that_ends_in_a_number_is_a_class_where_there_are_groups(make_labelme: MakeLabelme):
    assert read(make_labelme([polygon(label="type-2")])).classes == ("type-2",)


def test_classes_come_in_the_order_of_labels_txt(make_labelme: MakeLabelme):
    folder = make_labelme([polygon(label="cat"), polygon(label="bird")])
    (folder / "labels.txt").write_text("__ignore__\n_background_\ndog\ncat\n\n")
    assert read(folder).classes == ("dog", "cat", "bird")


def test_splits_are_folders_wherever_they_lie(make_labelme: MakeLabelme):
    for name in ("train/a", "valid/b", "set/test/c", "d"):
        folder = make_labelme([polygon()], name=name)
    dataset = read(folder)
    assert {record.name: record.split for record in dataset.images} == {
        "train/a.jpg": "train",
        "valid/b.jpg": "val",
        "set/test/c.jpg": "test",
        "d.jpg": "",
    }


def test_an_image_without_a_json_is_background_and_told(make_labelme: MakeLabelme, make_image: Callable[..., Path]):
    folder = make_labelme([polygon()])
    make_image(folder / "empty.png")
    dataset = read(folder)
    assert [(record.name, len(record.instances)) for record in dataset.images] == [("a.jpg", 1), ("empty.png", 0)]
    assert rules(dataset) == ["images without a JSON file taken as background"]


@pytest.mark.parametrize(
    "said", ["../pictures/b.jpg", "..\\pictures\\b.jpg", "./b.jpg", "C:\\Users\\me\\b.jpg", "/home/me/b.jpg"]
)
def test_an_image_is_found_where_the_json_says_or_beside_it(
    make_labelme: MakeLabelme, make_image: Callable[..., Path], said: str
):
    folder = make_labelme([polygon()], name="labels/b", image=False, imagePath=said)
    path = make_image(folder / ("pictures" if said.startswith("..") else "labels") / "b.jpg")
    dataset = read(folder)
    assert [record.path for record in dataset.images] == [path]
    moved = [] if said.startswith(".") else ["images found beside the JSON rather than where it says"]
    assert (rules(dataset), dataset.problems) == (moved, ())


@pytest.mark.parametrize("place", ["raw", "."])
def test_a_file_outside_the_dataset_is_not_opened(
    make_labelme: MakeLabelme, make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, place: str
):
    folder = make_labelme([polygon()], image=False, imagePath="../secret.jpg")
    make_image(folder.parent / "secret.jpg")
    monkeypatch.chdir(folder if place == "." else folder.parent)
    (problem,) = read(Path(place)).problems
    assert problem.rule == "the image is not there, and not in the file either"


def test_links_to_nothing_are_told(make_labelme: MakeLabelme):
    folder = make_labelme([polygon()])
    for name in ("b.json", "c.jpg"):
        (folder / name).symlink_to("nowhere")
    assert [str(problem) for problem in read(folder).problems] == [
        "b.json: is a link to nothing, or no file",
        "c.jpg: is a link to nothing, or no file",
    ]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp"])
def test_an_embedded_image_is_unpacked_as_it_is(
    make_labelme: MakeLabelme, make_image: Callable[..., Path], suffix: str
):
    folder = make_labelme([polygon()], image=False)
    data = make_image(folder.parent / f"lone{suffix}").read_bytes()
    make_labelme([polygon()], image=False, imageData=base64.b64encode(data).decode())
    dataset = read(folder)
    assert dataset.problems == ()
    (record,) = dataset.images
    assert record.name == f"a{suffix}"
    assert record.path.suffix == suffix
    assert record.path.read_bytes() == data
    assert not record.path.is_relative_to(folder)
    assert [path.name for path in folder.iterdir()] == ["a.json"]


def test_a_file_beside_is_preferred_to_the_embedded_image(make_labelme: MakeLabelme):
    folder = make_labelme([polygon()], imageData="bm90IGFuIGltYWdl")
    assert [record.path for record in read(folder).images] == [folder / "a.jpg"]


@pytest.mark.parametrize("kind", ["line", "linestrip", "point", "points"])
def test_shapes_without_an_area_are_left_out_and_told(make_labelme: MakeLabelme, kind: str):
    dataset = read(make_labelme([polygon(), polygon(SQUARE[:2], shape_type=kind, label="dog")]))
    assert dataset.classes == ("cat",)
    assert rules(dataset) == [f"shapes without an area left out ({kind})"]


def test_shapes_that_are_no_objects_are_left_out_and_told(make_labelme: MakeLabelme):
    flat = [[2, 3], [12, 3], [7, 3]]
    dataset = read(make_labelme([polygon(label="_background_"), polygon(), polygon(), polygon(flat)]))
    assert len(dataset.images[0].instances) == 1
    assert rules(dataset) == [
        "shapes labelled __ignore__ or _background_ left out",
        "duplicate shapes removed",
        "shapes of no extent removed",
    ]


HUGE = 10**400
OUTSIDE = "coordinates must be fractions of the image's size, 0 to 1"
MASK = {"shape_type": "mask"}


@pytest.mark.parametrize(
    ("shape", "field", "rule"),
    [
        (7, "", "must be a mapping with label and points"),
        (polygon(label=3), "label", "must be the name of a class"),
        (polygon(label=" "), "label", "must be the name of a class"),
        (polygon(label="a\nb"), "label", "must be the name of a class"),
        (polygon(label="\ud800"), "label", "must be the name of a class"),
        (polygon(group_id=[1]), "group_id", "must be a number, or null"),
        (polygon(shape_type="ellipse"), "shape_type", "must be one of polygon, rectangle, circle, mask"),
        (polygon(shape_type=["mask"]), "shape_type", "must be one of polygon, rectangle, circle, mask"),
        (polygon(points=[[1, 2, 3]] * 3), "points", "must be a list of [x, y] in pixels"),
        (polygon(points=[["1", 2]] * 3), "points", "must be a list of [x, y] in pixels"),
        (polygon(points="here"), "points", "must be a list of [x, y] in pixels"),
        (polygon(SQUARE[:2]), "", "a polygon needs at least 3 points"),
        (polygon([[1, 1], [2, 2], [HUGE, 3]]), "", OUTSIDE),
        (polygon([[1, 1], [2, 2], [float("nan"), 3]]), "", OUTSIDE),
        (polygon([[1, 1], [2, 2], [80, 3]]), "", OUTSIDE),
        (polygon(SQUARE[:3], shape_type="rectangle"), "", "a rectangle needs 2 opposite corners"),
        (polygon(SQUARE[:3], shape_type="circle"), "", "a circle needs 2 points, its centre and one on its edge"),
        (polygon([[90, 1], [91, 1]], shape_type="circle"), "", OUTSIDE),
        (polygon([[1, 1], [1, 40]], **MASK), "points", "a mask needs 2 points inside the image"),
        (polygon([[HUGE, 1], [1, 1]], **MASK), "points", "a mask needs 2 points inside the image"),
        (polygon([[3, 3], [1, 1]], **MASK), "points", "a mask needs 2 points inside the image"),
        (polygon([[1, 1], [2, 2]], **MASK), "mask", "must be a PNG in base64"),
        (polygon([[1, 1], [2, 2]], mask="a", **MASK), "mask", "must be a PNG in base64"),
        (polygon([[1, 1], [2, 2]], mask="abcd", **MASK), "mask", "must be a whole PNG of the size of its box, 2x2"),
        (polygon([[1, 1], [2, 2]], mask=png(np.ones((3, 2))), **MASK), "mask", "must be a whole PNG of the size"),
    ],
)  # fmt: skip
def test_a_wrong_shape_is_told_with_its_file_and_number(make_labelme: MakeLabelme, shape: Any, field: str, rule: str):
    dataset = read(make_labelme([polygon(), shape]))
    (problem,) = dataset.problems
    assert (problem.where, problem.field) == ("a.json: shapes[1]", field)
    assert problem.rule.startswith(rule)
    assert len(dataset.images[0].instances) == 1


@pytest.mark.parametrize(
    ("more", "field", "rule"),
    [
        ({"shapes": None}, "shapes", "must be a list"),
        ({"imagePath": None}, "imagePath", "must be a file"),
        ({"imagePath": "/"}, "imagePath", "must be a file"),
        ({"imagePath": "b.jpg"}, "imagePath", "the image is not there, and not in the file either"),
        ({"imagePath": "\0.jpg"}, "imagePath", "must be a file"),
        ({"imagePath": "\ud800.jpg"}, "imagePath", "must be a file"),
        ({"imagePath": "b" * 300}, "imagePath", "the image is not there, and not in the file either"),
        ({"imagePath": "b.jpg", "imageData": 7}, "imageData", "must be an image file"),
        ({"imagePath": "b.jpg", "imageData": "a"}, "imageData", "must be base64"),
        ({"imagePath": "b.jpg", "imageData": "é"}, "imageData", "must be base64"),
        ({"imagePath": "b.jpg", "imageData": "bm8="}, "imageData", "must be an image file, starts with b'no'"),
        ({"imageWidth": "40"}, "", "needs imageWidth and imageHeight in pixels"),
        ({"imageWidth": -40}, "", "needs imageWidth and imageHeight in pixels"),
        ({"imageWidth": 10**9}, "", "needs imageWidth and imageHeight in pixels"),
    ],
)
def test_a_wrong_file_is_told(make_labelme: MakeLabelme, more: dict[str, Any], field: str, rule: str):
    folder = make_labelme([polygon()])
    document = json.loads((folder / "a.json").read_text())
    (folder / "a.json").write_text(json.dumps({**document, **more}))
    (problem,) = read(folder).problems
    assert (problem.where, problem.field) == ("a.json", field)
    assert problem.rule.startswith(rule)


@pytest.mark.parametrize("text", ["{", "\x00", '{"shapes": ' + "[" * 100_000, '{"x": ' + "9" * 5000 + "}"])
def test_a_file_that_is_no_json_is_told(make_labelme: MakeLabelme, text: str):
    folder = make_labelme([polygon()])
    (folder / "b.json").write_text(text)
    (problem,) = read(folder).problems
    assert problem.where == "b.json"
    assert problem.rule.startswith("must be JSON")


def test_files_of_others_are_passed_over_and_told(make_labelme: MakeLabelme):
    folder = make_labelme([polygon()], version="0.4.30")
    (folder / "settings.json").write_text('{"colour": "blue"}')
    dataset = read(folder)
    assert dataset.problems == ()
    assert rules(dataset) == [
        "files of another version than 3 to 5 read as 5",
        "JSON files that are none of LabelMe passed over",
    ]


def test_an_image_that_two_files_annotate_is_told(make_labelme: MakeLabelme):
    make_labelme([polygon()])
    (problem,) = read(make_labelme([polygon()], name="b", image=False, imagePath="a.jpg")).problems
    assert (problem.where, problem.value) == ("b.json", "a.jpg")


def test_one_file_is_a_dataset_of_one_image(make_labelme: MakeLabelme):
    make_labelme([polygon()], name="b")
    folder = make_labelme([polygon()])
    assert [record.name for record in read(folder / "a.json").images] == ["a.jpg"]


def test_no_json_is_no_dataset(tmp_path: Path):
    assert not LabelmeFormat().detect(tmp_path)
    with pytest.raises(DatasetError, match="must hold JSON files of LabelMe"):
        LabelmeFormat().read(tmp_path)


def test_a_coco_file_is_not_taken_for_labelme(make_coco: Callable[..., Path]):
    assert not LabelmeFormat().detect(make_coco([]))


def write(folder: Path, image: Path, instances: list[Instance], split: str = "") -> RawDataset:
    record = ImageRecord(image, "a.jpg", "a", tuple(instances), split, (WIDTH, HEIGHT))
    folder.mkdir()
    LabelmeFormat().write(RawDataset("test", ("cat", "dog"), (record,)), folder)
    return read(folder)


def instance_of(mask: Mask, category: int = 0, crowd: bool = False) -> Instance:
    return Instance(category, tuple(part.scaled(1 / WIDTH, 1 / HEIGHT) for part in trace(mask)), crowd)


def test_what_is_written_is_what_labelme_writes(tmp_path: Path, make_image: Callable[..., Path]):
    ring = rectangle_mask(2, 2, 9, 9)
    ring[4:6, 4:6] = False
    two = rectangle_mask(20, 2, 25, 9) | rectangle_mask(30, 2, 35, 9)
    objects = [instance_of(ring), instance_of(two, 1, crowd=True), instance_of(rectangle_mask(5, 15, 9, 19), 1)]
    dataset = write(tmp_path / "out", make_image(tmp_path / "a.jpg"), objects, split="val")
    document = json.loads((tmp_path / "out/val/a.json").read_text())
    assert [(s["label"], s["shape_type"], s["group_id"]) for s in document["shapes"]] == [
        ("cat", "mask", None),
        ("dog", "polygon", 2),
        ("dog", "polygon", 2),
        ("dog", "polygon", None),
    ]
    assert document["shapes"][0]["points"] == [[2, 2], [8, 8]]
    assert document["imagePath"] == "a.jpg"
    assert (tmp_path / "out/val/a.jpg").read_bytes() == (tmp_path / "a.jpg").read_bytes()
    assert (dataset.classes, dataset.images[0].split) == (("cat", "dog"), "val")
    assert [(one.category, one.crowd) for one in dataset.images[0].instances] == [(0, False), (1, True), (1, False)]


def test_a_class_that_nothing_shows_is_kept(tmp_path: Path, make_image: Callable[..., Path]):
    assert write(tmp_path / "out", make_image(tmp_path / "a.jpg"), []).classes == ("cat", "dog")


def test_an_object_with_a_hole_and_no_pixel_is_kept(tmp_path: Path, make_image: Callable[..., Path]):
    outline = np.array([[0.11, 0.11], [0.115, 0.11], [0.115, 0.115]])
    tiny = Instance(0, (Part(outline, (outline * 1.001,)),))
    dataset = write(tmp_path / "out", make_image(tmp_path / "a.jpg"), [tiny])
    assert len(dataset.images[0].instances) == 1


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(30)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(drawn=st.lists(arrays(np.bool_, (HEIGHT // 3, WIDTH // 4)), max_size=3, unique_by=lambda mask: mask.tobytes()))
def test_any_mask_with_holes_and_parts_comes_back_exactly(
    drawn: list[Mask], tmp_path_factory: pytest.TempPathFactory, make_image: Callable[..., Path]
):
    folder = tmp_path_factory.mktemp("round")
    before = [np.kron(mask, np.ones((3, 4), np.bool_)) for mask in drawn if mask.any()]
    dataset = write(folder / "out", make_image(folder / "a.jpg"), [instance_of(mask) for mask in before])
    assert dataset.problems == ()
    assert np.array_equal(masks(dataset.images[0]), before)
