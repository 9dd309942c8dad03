"""Splitting: which image is for training, which for choosing, which for the final claim."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from segsweep.dataset.records import SPLITS, ImageRecord
from segsweep.errors import DatasetError, Problem

DEFAULT_RATIOS = (0.7, 0.15, 0.15)


@dataclass(frozen=True)
class _Group:
    """Images that stay together: how many, and how many of them hold each class."""

    name: str
    images: int
    holding: Mapping[int, int]


def has_given_splits(images: Iterable[ImageRecord]) -> bool:
    """Whether the dataset comes with all three splits, and nothing outside them."""
    return {record.split for record in images} == set(SPLITS)


def classes_held(images: Iterable[ImageRecord]) -> dict[str, frozenset[int]]:
    """Image name -> classes of its objects, crowds not counted; loads each image's instances once."""
    shared: dict[frozenset[int], frozenset[int]] = {}  # few combinations, many images
    held = {}
    for record in images:
        classes = frozenset(one.category for one in record.instances if not one.crowd)
        held[record.name] = shared.setdefault(classes, classes)
    return held


def split_by_ratio(
    images: Sequence[ImageRecord],
    ratios: tuple[float, float, float],
    seed: int,
    held: Mapping[str, frozenset[int]] | None = None,
) -> dict[str, str]:
    """Split so that groups stay together, sizes meet the ratios and every split sees every class where it can.

    Iterative stratification (Sechidis, Tsoumakas, Vlahavas 2011, "On the Stratification of Multi-Label Data", Algorithm
    1) over groups instead of images: the class with the fewest groups left is dealt first, each group to the split that
    still wants most of that class. Groups come in the order of a hash of seed and name, so that the result depends
    on nothing but the names, the classes they hold, the ratios and the seed.

    Args:
        images: All images.
        ratios: Shares of train, val and test; positive.
        seed: Another seed deals another split.
        held: As of `classes_held`, where it is known already.

    Returns:
        Image name -> split.

    Raises:
        DatasetError: There are fewer groups than splits.
    """
    groups = _gather(images, seed, classes_held(images) if held is None else held)
    if len(groups) < len(SPLITS):
        rule = f"train, val and test need at least 3 images that show different scenes, these are {len(groups)}"
        raise DatasetError(Problem("split", rule, fix="add images"))
    dealt = _deal(groups, ratios)
    _fill_empty(groups, dealt)
    return {record.name: dealt[record.group] for record in images}


def _gather(images: Sequence[ImageRecord], seed: int, held: Mapping[str, frozenset[int]]) -> list[_Group]:
    count: Counter[str] = Counter()
    holding: dict[str, Counter[int]] = defaultdict(Counter)
    for record in images:
        count[record.group] += 1
        holding[record.group].update(held[record.name])
    groups = [_Group(name, count[name], holding[name]) for name in count]
    return sorted(groups, key=lambda group: _hash(f"{seed}:{group.name}"))


def _hash(text: str) -> bytes:
    # A file's name may hold bytes that are no UTF-8; Python carries them as lone surrogates.
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _deal(groups: Sequence[_Group], ratios: tuple[float, float, float]) -> dict[str, str]:
    shares = [ratio / sum(ratios) for ratio in ratios]
    total = sum(group.images for group in groups)
    room = [share * total for share in shares]
    wanted: dict[int, list[float]] = {}
    waiting: dict[int, list[_Group]] = defaultdict(list)
    for group in groups:
        for category in group.holding:
            waiting[category].append(group)
    for category, members in waiting.items():
        wanted[category] = [share * sum(group.holding[category] for group in members) for share in shares]

    left = Counter({category: len(members) for category, members in waiting.items()})
    dealt: dict[str, str] = {}

    def give(group: _Group, desire: Sequence[float]) -> None:
        # A split that is not full yet, most wanted first, then most room, then the order of the splits. The paper lets
        # sizes drift by what the classes ask for; here the stated ratios are kept.
        def rank(i: int) -> tuple[bool, float, float, int]:
            return 2 * room[i] >= group.images, round(desire[i], 9), round(room[i], 9), -i

        best = max(range(len(SPLITS)), key=rank)
        dealt[group.name] = SPLITS[best]
        room[best] -= group.images
        for category, images in group.holding.items():
            wanted[category][best] -= images
            left[category] -= 1

    while +left:
        category = min((one for one in left if left[one] > 0), key=lambda one: (left[one], one))
        for group in waiting[category]:
            if group.name not in dealt:
                give(group, wanted[category])
    for group in groups:
        if group.name not in dealt:
            give(group, room)
    return dealt


def _fill_empty(groups: Sequence[_Group], dealt: dict[str, str]) -> None:
    """Give every empty split one group of the split with the most, if possible one whose classes train keeps."""
    for split in SPLITS:
        if split in dealt.values():
            continue
        sizes = Counter(dealt.values())
        donor = max(SPLITS, key=lambda one: sizes[one])
        members = [group for group in groups if dealt[group.name] == donor]
        held = Counter(category for group in members for category in group.holding)
        spare = [group for group in members if all(held[category] > 1 for category in group.holding)]
        dealt[min(spare or members, key=lambda group: group.images).name] = split
