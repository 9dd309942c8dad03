"""Augmented copies: shapes go where their pixels go, under every spatial transform; only train is touched."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from segsweep.config.augmentation import TransformSpec, parse_augmentation
from segsweep.core.geometry import Part, fill, overlap
from segsweep.dataset.augmentation.augment import Augmentation, Transforms, copy_seed, load_augmentation
from segsweep.dataset.augmentation.transforms import albumentations, is_spatial, offered
from segsweep.dataset.bundles.manifest import read_manifest
from segsweep.dataset.preparing.bundle import prepare
from segsweep.dataset.preparing.options import PrepareOptions
from segsweep.dataset.records import SPLITS, Instance
from segsweep.errors import ConfigError, DatasetError
from spatial import painted, shapes, spec

albumentations()  # imported with this file: it takes longer than a test may

SPATIAL = [name for name in offered() if is_spatial([spec(name)])]
SEEDS = range(5)
# Pixels on an outline are blended in the picture and decided in a mask: thin shapes of this size lose so much.
LEAST_IOU = 0.93


def masks_of(instances, height, width):
    """Category -> mask; the category of an instance that is gone is absent."""
    return {one.category: fill([part.scaled(width, height) for part in one.parts], height, width) for one in instances}


@pytest.mark.parametrize("name", SPATIAL)
def test_shapes_go_where_their_colours_go(name):
    picture, instances = shapes()
    transforms = Transforms((spec(name),))
    for seed in SEEDS:
        found, moved = transforms.apply(picture, instances, seed)
        height, width = found.shape[:2]
        masks = masks_of(moved, height, width)
        for category in (0, 1):
            shown = painted(found, category)
            mask = masks.get(category, np.zeros_like(shown))
            if min(shown.sum(), mask.sum()) > 50:
                assert overlap(mask, shown) >= LEAST_IOU, (seed, category)
            else:
                assert max(shown.sum(), mask.sum()) <= 100


def test_the_measure_sees_a_mask_that_is_one_pixel_off():
    picture, instances = shapes()
    found, moved = Transforms((spec("HorizontalFlip"),)).apply(picture, instances, 0)
    mask = masks_of(moved, *found.shape[:2])[1]
    assert overlap(mask, painted(found, 1)) == 1.0
    assert overlap(np.roll(mask, 1, axis=1), painted(found, 1)) < LEAST_IOU


def test_holes_and_separate_parts_survive():
    picture, instances = shapes()
    _, (ring, bars) = Transforms((spec("Rotate", limit=[40, 40]),)).apply(picture, instances, 0)
    assert [len(part.holes) for part in ring.parts] == [1]
    assert len(bars.parts) == 2


def test_overlapping_instances_stay_whole_and_apart_in_their_order():
    squares = [np.array([[x, 0.2], [x + 0.4, 0.2], [x + 0.4, 0.7], [x, 0.7]]) for x in (0.1, 0.3, 0.5)]
    instances = [Instance(i, (Part(square),), crowd=i == 2) for i, square in enumerate(squares)]
    _, moved = Transforms((spec("HorizontalFlip"),)).apply(np.zeros((40, 40, 3), np.uint8), instances, 0)
    assert [(one.category, one.crowd) for one in moved] == [(0, False), (1, False), (2, True)]
    for before, after in zip(masks_of(instances, 40, 40).values(), masks_of(moved, 40, 40).values(), strict=True):
        assert np.array_equal(before[:, ::-1], after)


def test_more_instances_than_a_layer_holds_all_come_back():
    cells = [
        Instance(i, (Part((np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) + divmod(i, 20)) / 20),)) for i in range(400)
    ]
    _, moved = Transforms((spec("VerticalFlip"),)).apply(np.zeros((40, 40, 3), np.uint8), cells, 0)
    assert [one.category for one in moved] == list(range(400))


def test_an_instance_that_leaves_the_picture_is_gone_and_a_cut_one_is_cut():
    picture, instances = shapes()
    _, moved = Transforms((spec("Crop", x_max=40, y_max=96),)).apply(picture, instances, 0)
    (ring,) = moved
    assert ring.category == 0
    assert ring.parts[0].exterior[:, 0].max() == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize("name", ["CoarseDropout", "Erasing", "GridDropout", "PixelDropout", "XYMasking"])
def test_a_dropout_hides_and_does_not_cut_unless_told(name):
    picture, instances = shapes()
    changes = {"mask_drop_value": None} if name == "PixelDropout" else {"fill_mask": None}
    found, moved = Transforms((spec(name, **changes),)).apply(picture, instances, 1)
    assert not np.array_equal(found, picture)
    before, after = masks_of(instances, 96, 96), masks_of(moved, 96, 96)
    assert all(np.array_equal(before[category], after[category]) for category in (0, 1))


def test_colours_alone_leave_every_coordinate():
    picture, instances = shapes()
    found, moved = Transforms((spec("GaussNoise"), spec("Blur"))).apply(picture, instances, 0)
    assert found.shape == picture.shape
    assert all(a is b for a, b in zip(moved, instances, strict=True))


def test_a_picture_grows_no_larger_than_it_was():
    picture, instances = shapes()
    found, moved = Transforms((spec("Pad", padding=[0, 48, 96, 48]),)).apply(picture, instances, 0)
    assert max(found.shape) == 96
    assert len(moved) == 2


@pytest.mark.parametrize(
    ("transform", "rule"),
    [
        (spec("RandomCrop", height=200, width=10), "cannot be applied to 96x96 pixels: Crop size"),
        (spec("CenterCrop", height=9, width=50), "must leave at least 10 pixels a side, this is 50x9"),
    ],
)
def test_a_transform_that_does_not_fit_the_picture_is_told(transform, rule):
    with pytest.raises(DatasetError, match=rule):
        Transforms((transform,)).apply(*shapes(), 0)


MIXED = {
    "offline": {
        "copies": 3,
        "transforms": [
            {"HorizontalFlip": {"p": 0.5}},
            {"Rotate": {"limit": 20, "p": 0.7}},
            {"GaussNoise": {"p": 0.5}},
            {"ElasticTransform": {"p": 0.5}},
        ],
    },
    "online": [{"GaussNoise": {"p": 0.3}}],
}


def test_a_copy_depends_on_its_seed_alone():
    picture, instances = shapes()
    augmentation = Augmentation(parse_augmentation(MIXED, "f"))
    expected = [augmentation.apply(picture, instances, seed) for seed in range(4)]
    before = cv2.getNumThreads()
    try:
        for threads in (0, 2):
            cv2.setNumThreads(threads)
            cv2.setRNGSeed(threads)
            np.random.seed(threads)
            fresh = pickle.loads(pickle.dumps(augmentation))
            for seed in (3, 0, 2, 1):
                found, moved = fresh.apply(picture, instances, seed)
                assert np.array_equal(found, expected[seed][0])
                rings = [ring for one in moved for part in one.parts for ring in part.rings]
                assert all(
                    np.array_equal(a, b)
                    for a, b in zip(
                        rings, (r for one in expected[seed][1] for part in one.parts for r in part.rings), strict=True
                    )
                )
    finally:
        cv2.setNumThreads(before)
    assert not np.array_equal(expected[0][0], expected[1][0])


def test_only_train_gets_copies():
    augmentation = Augmentation(parse_augmentation(MIXED, "f"))
    assert {split: augmentation.copies_of(split) for split in (*SPLITS, "")} == {"train": 3, "val": 0, "test": 0, "": 0}


@pytest.mark.slow(reason="prepares two bundles")
@pytest.mark.timeout(60)
def test_val_and_test_of_a_bundle_are_the_same_bytes_with_and_without(small_yolo: Path, tmp_path: Path):
    path = tmp_path / "augment.yaml"
    path.write_text(yaml.safe_dump(MIXED))
    found = []
    for augment in (None, path):
        options = PrepareOptions(imgsz=32, name="pets", augment=augment)
        uri = prepare(small_yolo, str(tmp_path / "bundles"), options).uri
        files = {file.path: file.sha256 for file in read_manifest(uri).files}
        found.append({split: {p: h for p, h in files.items() if f"/{split}/" in p} for split in SPLITS})
    plain, augmented = found
    assert (plain["val"], plain["test"]) == (augmented["val"], augmented["test"])
    assert plain["train"].items() <= augmented["train"].items()  # the originals are there as they were
    assert len(augmented["train"]) == 4 * len(plain["train"])


def test_the_digest_is_of_what_decides_the_copies():
    first = Augmentation(parse_augmentation(MIXED, "f"))
    online = Augmentation(parse_augmentation({**MIXED, "online": [{"Blur": {}}]}, "f"))
    more = Augmentation(parse_augmentation({**MIXED, "offline": {**MIXED["offline"], "copies": 4}}, "f"))
    assert first.digest == online.digest != more.digest
    assert first.to_flat() == MIXED["offline"]


def test_the_seeds_of_copies_differ_by_dataset_image_and_copy():
    assert len({copy_seed(*of) for of in ((0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2))}) == 4
    assert copy_seed(0, "a", 1) == copy_seed(0, "a", 1)


def test_a_file_is_loaded_with_every_mistake_of_both_lists(tmp_path: Path):
    online = [{"Blur": {"p": 0.1}}, 3, {"ElasticTransform": {}}]
    path = tmp_path / "augment.yaml"
    path.write_text(yaml.safe_dump({"offline": {"copies": -1, "transforms": [{"Rotat": {}}]}, "online": online}))
    with pytest.raises(ConfigError) as caught:
        load_augmentation(path)
    assert [str(problem).removeprefix(f"{path}: ").split(": ")[0] for problem in caught.value.problems] == [
        "offline.transforms[0].Rotat",
        "online[1] = 3",
        "online[2].ElasticTransform",
        "offline.copies = -1",
    ]
    path.write_text(yaml.safe_dump({**MIXED, "online": []}))
    loaded = load_augmentation(path)
    assert loaded.copies == 3
    assert loaded.offline.specs[0] == TransformSpec(name="HorizontalFlip", params={"p": 0.5})
