"""Augmented copies of a bundle's images: aligned with their labels, and the same wherever they are made."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segsweep.config.augmentation import parse_augmentation
from segsweep.core.part import Part
from segsweep.dataset.augmentation.augment import Augmentation
from segsweep.dataset.augmentation.transforms import albumentations
from segsweep.dataset.preparing.batch import Chunk, StoredImage, read_index, store
from segsweep.dataset.preparing.conversion import Recipe, convert
from segsweep.dataset.preparing.copies import CopyChunk, previews
from segsweep.dataset.records import ImageRecord, Instance

albumentations()  # imported with this file: it takes longer than a test may

CORNER = Part(np.array([[0.1, 0.2], [0.4, 0.2], [0.4, 0.6], [0.1, 0.6]]))
MIDDLE = Part(np.array([[0.3, 0.3], [0.7, 0.3], [0.7, 0.7], [0.3, 0.7]]))
RECIPE = Recipe(imgsz=60)


def augmentation(*transforms: dict[str, Any], copies: int = 2, **more: Any) -> Augmentation:
    return Augmentation(parse_augmentation({"offline": {"copies": copies, "transforms": [*transforms]}, **more}, "f"))


FLIP = augmentation({"HorizontalFlip": {"p": 1.0}})
TURN = augmentation({"Rotate": {"limit": [-40, 40], "p": 1.0}})


def record(folder: Path, name: str = "a.png", *instances: Instance, size: tuple[int, int] = (120, 80)) -> ImageRecord:
    """A smooth picture, the same under every name, and an object in its corner."""
    width, height = size
    x, y = np.meshgrid(np.linspace(0, 5, width), np.linspace(0, 4, height))
    picture = (127 + 120 * np.dstack([np.sin(x), np.cos(y), np.sin(x + y)])).astype(np.uint8)
    cv2.imwrite(str(folder / name), picture)
    return ImageRecord(folder / name, name, name, instances or (Instance(1, (CORNER,)),))


def made(folder: Path, conversion: CopyChunk, *records: ImageRecord) -> tuple[list[StoredImage], dict[str, bytes]]:
    """What the batch says, and the files in it: image and labels in one piece, by name and suffix."""
    images = read_index(folder / store(conversion(Chunk("x.batch", records)), folder))
    data = (folder / "x.batch").read_bytes()
    return images, {
        image.name + view.suffix: data[view.offset : view.offset + view.image_bytes + view.label_bytes]
        for image in images
        for view in image.views
    }


def test_a_copy_is_the_bundles_image_transformed_with_its_labels(tmp_path: Path):
    given = record(tmp_path)
    (image,), files = made(tmp_path, CopyChunk(RECIPE, FLIP, 0), given)
    assert [(view.suffix, view.instances) for view in image.views] == [("-copy1", ((1, 1),)), ("-copy2", ((1, 1),))]
    (original,) = convert(given, RECIPE).views
    plain = cv2.imdecode(np.frombuffer(original.image, np.uint8), cv2.IMREAD_COLOR)
    for view in image.views:
        data = files["a.png" + view.suffix]
        picture = cv2.imdecode(np.frombuffer(data[: view.image_bytes], np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (40, 60, 3)
        assert np.abs(picture[:, ::-1].astype(int) - plain).mean() < 2
        category, *ring = map(float, data[view.image_bytes :].split())
        points = np.array(ring).reshape(-1, 2)
        assert category == 1
        assert np.allclose([points.min(0), points.max(0)], [[0.6, 0.2], [0.9, 0.6]], atol=0.5 / 40)


def test_a_copy_depends_on_no_other_image_and_on_no_order(tmp_path: Path):
    a, b, c = (record(tmp_path, name) for name in ("a.png", "b.png", "c.png"))
    conversion = CopyChunk(RECIPE, TURN, 0)
    together = made(tmp_path, conversion, a, b, c)[1]
    assert made(tmp_path, pickle.loads(pickle.dumps(conversion)), c, b, a)[1] == together
    alone: dict[str, bytes] = {}
    for one in (b, c, a):
        alone |= made(tmp_path, conversion, one)[1]
    assert alone == together
    assert len(set(together.values())) == 6  # of one picture under three names


def test_another_seed_makes_other_copies_and_the_same_seed_the_same(tmp_path: Path):
    given = record(tmp_path)
    first, again, other = (made(tmp_path, CopyChunk(RECIPE, TURN, seed), given)[1] for seed in (0, 0, 1))
    assert first == again
    assert not set(first.values()) & set(other.values())


def test_more_copies_leave_the_first_ones_as_they_were(tmp_path: Path):
    given = record(tmp_path)
    turn = {"Rotate": {"limit": [-40, 40], "p": 1.0}}
    few, many = (made(tmp_path, CopyChunk(RECIPE, augmentation(turn, copies=count), 0), given)[1] for count in (1, 3))
    assert list(many) == ["a.png-copy1", "a.png-copy2", "a.png-copy3"]
    assert few.items() <= many.items()


def test_every_tile_has_copies_of_its_own(tmp_path: Path):
    recipe = Recipe(imgsz=80, resize="tile", overlap=0.2)
    (image,), files = made(tmp_path, CopyChunk(recipe, TURN, 0), record(tmp_path))
    tiles = [view.suffix for view in convert(record(tmp_path), recipe).views]
    assert len(tiles) > 1
    assert [view.suffix for view in image.views] == [f"{tile}-copy{n}" for tile in tiles for n in (1, 2)]
    assert len(set(files.values())) == len(files)


def test_crowds_are_no_objects_of_a_copy_and_what_leaves_the_picture_is_gone(tmp_path: Path):
    crowd = Instance(0, (MIDDLE,), crowd=True)
    crop = augmentation({"Crop": {"x_min": 36, "x_max": 60, "y_min": 0, "y_max": 40, "p": 1.0}}, copies=1)
    given = record(tmp_path, "a.png", Instance(1, (CORNER,)), crowd, Instance(0, (MIDDLE,)))
    (turned,), _ = made(tmp_path, CopyChunk(RECIPE, FLIP, 0), given)
    assert [view.instances for view in turned.views] == [((0, 1), (1, 1))] * 2
    (cut,), _ = made(tmp_path, CopyChunk(RECIPE, crop, 0), given)
    assert [view.instances for view in cut.views] == [((0, 1),)]


def test_a_background_image_has_copies_with_empty_labels(tmp_path: Path):
    given = record(tmp_path)
    empty = ImageRecord(given.path, given.name, given.group, ())
    (image,), _ = made(tmp_path, CopyChunk(RECIPE, FLIP, 0), empty)
    assert [(view.label_bytes, view.instances) for view in image.views] == [(0, ()), (0, ())]


def test_what_cannot_be_copied_is_a_problem_of_its_image_and_the_others_are_copied(tmp_path: Path):
    crop = augmentation({"RandomCrop": {"height": 40, "width": 40, "p": 1.0}}, copies=1)
    low = record(tmp_path, "low.png", size=(120, 40))  # 60x20 in the bundle
    gone = ImageRecord(tmp_path / "gone.png", "gone.png", "gone", ())
    images, files = made(tmp_path, CopyChunk(RECIPE, crop, 0), low, record(tmp_path), gone)
    assert [(image.name, len(image.views), len(image.problems)) for image in images] == [
        ("low.png", 0, 1),
        ("a.png", 1, 0),
        ("gone.png", 0, 1),
    ]
    assert str(images[0].problems[0]).startswith("low.png: the transforms cannot be applied to 60x20 pixels")
    assert images[2].problems[0].where == str(tmp_path / "gone.png")
    assert list(files) == ["a.png-copy1"]


def test_no_images_are_an_empty_batch(tmp_path: Path):
    assert made(tmp_path, CopyChunk(RECIPE, FLIP, 0)) == ([], {})


def test_settings_say_all_that_decides_a_copy_and_nothing_else():
    flip: dict[str, Any] = {"HorizontalFlip": {"p": 1.0}}
    first = CopyChunk(RECIPE, FLIP, 0).settings
    assert CopyChunk(Recipe(imgsz=60), augmentation(flip, online=[{"Blur": {}}]), 0).settings == first
    others = [
        CopyChunk(Recipe(imgsz=61), FLIP, 0),
        CopyChunk(RECIPE, FLIP, 1),
        CopyChunk(RECIPE, augmentation(flip, copies=3), 0),
        CopyChunk(RECIPE, augmentation({"HorizontalFlip": {"p": 0.9}}), 0),
    ]
    assert len({first, *(one.settings for one in others)}) == 5


def test_the_first_six_images_that_show_something_are_previewed(tmp_path: Path):
    shown = [record(tmp_path, f"{i}.png") for i in range(8)]
    background = ImageRecord(shown[0].path, "background.png", "b", ())
    crowd = record(tmp_path, "crowd.png", Instance(0, (MIDDLE,), crowd=True))
    found = previews([background, crowd, *shown], RECIPE, FLIP, 0)
    assert [one.caption for one in found] == [f"{i}.png: original, then copies 1 to 2" for i in range(6)]
    assert previews([background, crowd], RECIPE, FLIP, 0) == ()
    assert previews([], RECIPE, FLIP, 0) == ()


def test_of_a_tiled_image_the_first_tile_that_shows_something_is_previewed(tmp_path: Path):
    right = Part(CORNER.exterior + np.array([0.55, 0.2]))
    given = record(tmp_path, "a.png", Instance(0, (right,)))
    (found,) = previews([given], Recipe(imgsz=50, resize="tile", overlap=0.0), FLIP, 0)
    assert found.caption == "a.png-r0c1: original, then copies 1 to 2"


def test_a_preview_shows_the_copies_that_the_bundle_holds(tmp_path: Path):
    given = record(tmp_path)
    (image,), files = made(tmp_path, CopyChunk(RECIPE, TURN, 7), given)
    found, other = (
        cv2.imdecode(np.frombuffer(previews([given], RECIPE, TURN, seed)[0].jpeg, np.uint8), cv2.IMREAD_COLOR)
        for seed in (7, 8)
    )
    data = files["a.png-copy1"][: image.views[0].image_bytes]
    copy = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    height, width = found.shape[0], round(60 * found.shape[0] / 40)
    gap = (found.shape[1] - 3 * width) // 2
    left = width + gap
    expected = cv2.resize(copy, (width, height), interpolation=cv2.INTER_CUBIC).astype(int)
    far = [np.median(np.abs(row[:, left : left + width] - expected)) for row in (found, other)]
    assert far[0] < 3 < far[1]
