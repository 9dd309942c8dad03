from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from segsweep.core.geometry import Part
from segsweep.dataset.records import SPLITS, ImageRecord, Instance
from segsweep.dataset.split import DEFAULT_RATIOS, classes_held, has_given_splits, split_by_ratio
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


def dealt_image_by_image(images: list[ImageRecord], ratios: tuple[float, float, float], seed: int) -> dict[str, str]:
    """The same rules written down once more, for groups of one image: everything is counted anew at every step."""
    waiting = sorted(images, key=lambda one: hashlib.sha256(f"{seed}:{one.group}".encode()).digest())
    holding = {one.name: {instance.category for instance in one.instances} for one in images}
    dealt: dict[str, str] = {}

    def missing(split: int, category: int | None) -> float:
        holders = [one.name for one in images if category is None or category in holding[one.name]]
        has = sum(dealt.get(name) == SPLITS[split] for name in holders)
        return round(ratios[split] / sum(ratios) * len(holders) - has, 9)

    while len(dealt) < len(images):
        left = Counter(c for one in waiting if one.name not in dealt for c in holding[one.name])
        category = min(left, key=lambda one: (left[one], one)) if left else None
        for one in waiting:
            if one.name not in dealt and (category is None or category in holding[one.name]):
                best = max(
                    range(3),
                    key=lambda i: (missing(i, None) >= 0.5, missing(i, category), missing(i, None), -i),
                )
                dealt[one.name] = SPLITS[best]
    return dealt


@pytest.mark.parametrize("seed", range(8))
def test_the_deal_agrees_with_the_rules_written_down_once_more(seed: int):
    rng = np.random.default_rng(seed)
    images = [image(f"{i}.jpg", tuple(set(rng.integers(0, 9, rng.integers(0, 4)).tolist()))) for i in range(60)]
    assert split_by_ratio(images, (0.6, 0.3, 0.1), seed) == dealt_image_by_image(images, (0.6, 0.3, 0.1), seed)


def test_what_an_image_holds_is_loaded_once_and_not_at_all_if_known():
    class Counted:
        loads = 0

        def load(self) -> tuple[Instance, ...]:
            Counted.loads += 1
            return (Instance(0, SHAPE), Instance(1, SHAPE, crowd=True))

    images = [ImageRecord(Path(f"{i}"), f"{i}", f"{i}", Counted()) for i in range(5)]
    held = classes_held(images)
    assert held == dict.fromkeys("01234", frozenset({0}))
    assert Counted.loads == 5
    assert split_by_ratio(images, DEFAULT_RATIOS, 0, held) == split_by_ratio(images, DEFAULT_RATIOS, 0)
    assert Counted.loads == 10


def test_many_classes_and_images_are_dealt_in_a_moment():
    rng = np.random.default_rng(0)
    images = [image(f"{i}.jpg", ()) for i in range(5000)]
    held = {one.name: frozenset(rng.integers(0, 300, 5).tolist()) for one in images}
    assert sizes(split_by_ratio(images, DEFAULT_RATIOS, 0, held)) == {"train": 3500, "val": 750, "test": 750}


def test_a_name_that_is_no_utf_8_is_dealt():
    assert len(split_by_ratio([image(f"caf\udce9{i}.jpg") for i in range(3)], DEFAULT_RATIOS, 0)) == 3


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
