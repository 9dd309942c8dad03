from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from segsweep.core.part import Part
from segsweep.dataset.preparing.conversion import CROWDS, Converted, Recipe, convert
from segsweep.dataset.records import ImageRecord, Instance

SQUARE = Part(np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]))


def picture(width: int = 120, height: int = 80) -> np.ndarray:
    """A smooth picture: JPEG keeps it well, and its halves look different."""
    x, y = np.meshgrid(np.linspace(0, 5, width), np.linspace(0, 4, height))
    return (127 + 120 * np.dstack([np.sin(x), np.cos(y), np.sin(x + y)])).astype(np.uint8)


def record(path: Path, *instances: Instance, size: tuple[int, int] | None = None) -> ImageRecord:
    return ImageRecord(path, path.name, path.stem, instances or (Instance(1, (SQUARE,)),), size=size)


def write(path: Path, shape: tuple[int, int] = (120, 80), *options: int) -> Path:
    cv2.imwrite(str(path), picture(*shape), list(options))
    return path


def only(found: Converted) -> tuple[np.ndarray, str]:
    (view,) = found.views
    return cv2.imdecode(np.frombuffer(view.image, np.uint8), cv2.IMREAD_COLOR), view.labels.decode()


def test_an_image_becomes_a_jpeg_of_the_right_size_with_its_labels_and_is_measured(tmp_path: Path):
    found = convert(record(write(tmp_path / "a.png")), Recipe(imgsz=60))
    image, labels = only(found)
    assert image.shape == (40, 60, 3)
    assert labels.startswith("1 0.25")
    assert dict(found.views[0].instances) == {1: 1}
    assert (found.categories, found.ious, found.problems) == ((1,), (1.0,), ())


def test_a_plain_jpeg_of_the_right_size_is_not_encoded_again(tmp_path: Path):
    path = write(tmp_path / "a.jpg", (120, 80), cv2.IMWRITE_JPEG_QUALITY, 60)
    (view,) = convert(record(path), Recipe(imgsz=120)).views
    assert view.image == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "options"), [("a.png", ()), ("a.jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1))], ids=["png", "progressive"]
)
def test_any_other_file_of_the_right_size_is_encoded(tmp_path: Path, name: str, options: tuple[int, ...]):
    path = write(tmp_path / name, (120, 80), *options)
    (view,) = convert(record(path), Recipe(imgsz=120)).views
    assert view.image != path.read_bytes()
    assert view.image.startswith(b"\xff\xd8")


def test_a_truncated_jpeg_of_the_right_size_is_told_all_the_same(tmp_path: Path):
    path = write(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:-400])
    found = convert(record(path), Recipe(imgsz=120))
    assert found.views == ()
    assert found.problems[0].where == str(path)
    assert "truncated" in found.problems[0].rule
    assert found.categories == (1,)  # what the image would have held is known


def test_a_missing_file_is_a_problem(tmp_path: Path):
    (problem,) = convert(record(tmp_path / "gone.jpg"), Recipe()).problems
    assert problem.where == str(tmp_path / "gone.jpg")


def test_what_is_wrong_with_an_image_that_was_unpacked_is_told_by_its_name(tmp_path: Path):
    (tmp_path / "17.jpg").write_bytes(b"x")
    (problem,) = convert(ImageRecord(tmp_path / "17.jpg", "val/a.jpg", "a", ()), Recipe(imgsz=60)).problems
    assert problem.where == "val/a.jpg"
    (problem,) = convert(ImageRecord(tmp_path / "17.jpg", "17.jpg", "a", ()), Recipe(imgsz=60)).problems
    assert problem.where == str(tmp_path / "17.jpg")


def test_crowds_are_left_out_and_told(tmp_path: Path):
    path = write(tmp_path / "a.png")
    found = convert(record(path, Instance(0, (SQUARE,)), Instance(1, (SQUARE,), crowd=True)), Recipe(imgsz=60))
    assert only(found)[1].count("\n") == 1
    assert CROWDS in [rule for _, rule, _ in found.actions]
    assert found.categories == (0,)


def test_small_objects_are_listed_and_kept(tmp_path: Path):
    tiny = Part(np.array([[0.1, 0.1], [0.15, 0.1], [0.15, 0.15], [0.1, 0.15]]))
    found = convert(record(write(tmp_path / "a.png"), Instance(0, (tiny,)), Instance(0, (SQUARE,))), Recipe(imgsz=60))
    ((number, area),) = found.small
    assert (number, round(area)) == (0, 6)  # 3 by 2 pixels
    assert only(found)[1].count("\n") == 2


def test_tiles_share_an_object_and_the_measure_sees_it_whole(tmp_path: Path):
    recipe = Recipe(imgsz=50, resize="tile", overlap=0.2)
    found = convert(record(write(tmp_path / "a.png")), recipe)
    assert [view.suffix for view in found.views] == ["-r0c0", "-r0c1", "-r0c2", "-r1c0", "-r1c1", "-r1c2"]
    assert sum(sum(view.instances.values()) for view in found.views) > 1
    assert found.ious == (1.0,)


def test_a_picture_is_decoded_at_a_reduced_scale_where_that_is_enough_and_looks_the_same(tmp_path: Path):
    path = write(tmp_path / "a.jpg", (480, 320), cv2.IMWRITE_JPEG_QUALITY, 95)
    reduced, _ = only(convert(record(path), Recipe(imgsz=120)))
    whole = cv2.resize(cv2.imread(str(path)), (120, 80), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - whole).mean() < 2


def test_an_image_that_becomes_too_narrow_is_a_problem(tmp_path: Path):
    (problem,) = convert(record(write(tmp_path / "a.png", (400, 20))), Recipe(imgsz=60)).problems
    assert problem.value == "60x3 after resizing"


def test_the_hash_is_left_out_where_nobody_needs_it(tmp_path: Path):
    path = write(tmp_path / "a.png")
    assert convert(record(path), Recipe(imgsz=60)).hash is not None
    assert convert(record(path), Recipe(imgsz=60, has_hash=False)).hash is None
