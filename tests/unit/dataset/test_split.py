from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from segsweep.core.geometry import Part
from segsweep.dataset.records import SPLITS, ImageRecord, Instance
from segsweep.dataset.split import DEFAULT_RATIOS, has_given_splits, split_by_ratio
from segsweep.errors import DatasetError

SHAPE = (Part(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])),)


def image(name: str, categories: tuple[int, ...] = (0,), group: str = "", split: str = "") -> ImageRecord:
    return ImageRecord(Path(name), name, group or name, tuple(Instance(one, SHAPE) for one in categories), split)


def sizes(dealt: dict[str, str]) -> dict[str, int]:
    return dict(Counter(dealt.values()))


@pytest.mark.parametrize(
    ("count", "ratios", "expected"),
    [
        (100, DEFAULT_RATIOS, {"train": 70, "val": 15, "test": 15}),
        (201, DEFAULT_RATIOS, {"train": 141, "val": 30, "test": 30}),
        (10, (8, 1, 1), {"train": 8, "val": 1, "test": 1}),
        (3, (0.98, 0.01, 0.01), {"train": 1, "val": 1, "test": 1}),
        (4, DEFAULT_RATIOS, {"train": 2, "val": 1, "test": 1}),
    ],
)
def test_sizes_meet_the_ratios_and_no_split_is_empty(
    count: int, ratios: tuple[float, float, float], expected: dict[str, int]
):
    assert sizes(split_by_ratio([image(f"{i}.jpg") for i in range(count)], ratios, 0)) == expected


@pytest.mark.parametrize("seed", range(5))
def test_sizes_meet_the_ratios_whatever_the_classes_ask_for(seed: int):
    rng = np.random.default_rng(seed)
    images = [image(f"{i}.jpg", tuple(set(rng.integers(0, 12, 3).tolist()))) for i in range(100)]
    found = sizes(split_by_ratio(images, DEFAULT_RATIOS, seed))
    assert all(abs(found[split] - 100 * share) <= 1 for split, share in zip(SPLITS, DEFAULT_RATIOS, strict=True))


def test_groups_stay_together():
    images = [image(f"{i}-{copy}.jpg", group=f"{i}") for i in range(60) for copy in range(1 + i % 3)]
    dealt = split_by_ratio(images, DEFAULT_RATIOS, 0)
    splits = {record.group: {dealt[other.name] for other in images if other.group == record.group} for record in images}
    assert all(len(found) == 1 for found in splits.values())
    assert abs(sizes(dealt)["train"] - 0.7 * len(images)) <= 3


@pytest.mark.parametrize("seed", range(5))
def test_every_class_is_dealt_in_the_same_shares(seed: int):
    rng = np.random.default_rng(seed)
    images = [image(f"{i}.jpg", tuple(set(rng.integers(0, 4, 2).tolist()))) for i in range(200)]
    dealt = split_by_ratio(images, DEFAULT_RATIOS, seed)
    for category in range(4):
        holding = [record for record in images if category in {one.category for one in record.instances}]
        shares = Counter(dealt[record.name] for record in holding)
        for split, share in zip(SPLITS, DEFAULT_RATIOS, strict=True):
            assert abs(shares[split] / len(holding) - share) < 0.04


@pytest.mark.parametrize("seed", range(10))
def test_a_class_of_one_image_goes_to_train_and_one_of_a_few_is_seen_everywhere(seed: int):
    images = [image(f"{i}.jpg") for i in range(40)]
    images += [image(f"rare{k}.jpg", (k,)) for k in range(1, 6)] + [image(f"few{i}.jpg", (6,)) for i in range(6)]
    dealt = split_by_ratio(images, DEFAULT_RATIOS, seed)
    assert {dealt[f"rare{k}.jpg"] for k in range(1, 6)} == {"train"}
    assert {dealt[f"few{i}.jpg"] for i in range(6)} == set(SPLITS)


def test_the_result_depends_on_no_order_and_on_the_seed():
    images = [image(f"{i}.jpg", (i % 3,)) for i in range(50)]
    first = split_by_ratio(images, DEFAULT_RATIOS, 0)
    assert split_by_ratio(images[::-1], DEFAULT_RATIOS, 0) == first
    assert split_by_ratio(images, DEFAULT_RATIOS, 1) != first


def test_the_deal_of_a_seed_never_changes():
    dealt = split_by_ratio([image(f"{i}.jpg") for i in range(8)], DEFAULT_RATIOS, 0)
    assert [dealt[f"{i}.jpg"] for i in range(8)] == [
        "train",
        "train",
        "train",
        "train",
        "val",
        "train",
        "train",
        "test",
    ]


def test_background_images_are_dealt_too():
    images = [image(f"{i}.jpg", ()) for i in range(20)]
    assert sizes(split_by_ratio(images, DEFAULT_RATIOS, 0)) == {"train": 14, "val": 3, "test": 3}


def test_fewer_scenes_than_splits_are_refused():
    images = [image(f"{i}.jpg", group=str(i % 2)) for i in range(6)]
    with pytest.raises(DatasetError, match="at least 3 images that show different scenes, these are 2"):
        split_by_ratio(images, DEFAULT_RATIOS, 0)


@pytest.mark.parametrize(
    ("splits", "given"),
    [(("train", "val", "test"), True), (("train", "val"), False), (("train", "val", "test", ""), False), ((), False)],
)
def test_splits_are_given_when_all_three_are_there_and_nothing_else(splits: tuple[str, ...], given: bool):
    assert has_given_splits([image(f"{one}.jpg", split=one) for one in splits]) is given
