"""Cleaning: images are left out by stated rules, shapes are mended, and everything that was done is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from segsweep.dataset.cleaning.actions import Action, actions_to_csv
from segsweep.dataset.cleaning.repair import clean_instances
from segsweep.dataset.cleaning.twins import find_twins
from segsweep.dataset.pictures.picture import read_upright
from segsweep.dataset.records import ImageRecord, RawDataset
from segsweep.dataset.split import has_given_splits
from segsweep.errors import DatasetError, Problem

__all__ = ["Action", "CleanRules", "Known", "actions_to_csv", "clean_instances", "exclude"]

EMPTY = "images without an object left out"
UNREADABLE = "unreadable images left out"
TWINS = "duplicates across splits left out"


@dataclass(frozen=True)
class CleanRules:
    """Which images are left out.

    Attributes:
        drop_empty: Those without an object, or with crowds alone.
        drop_unreadable: Those that cannot be read; they would be faults.
        drop_cross_split_duplicates: Those whose picture lies in another given split, too: in train if it is in val or
            test, in val if it is in test, so that what is measured on val and test stays comparable.
    """

    drop_empty: bool = False
    drop_unreadable: bool = False
    drop_cross_split_duplicates: bool = True


@dataclass(frozen=True)
class Known:
    """What the caller has found out about the images, so that it is not found out again.

    Attributes:
        held: Name -> classes of its objects, crowds not counted; images that are missing are looked up.
        problems: Name -> why it cannot be read. None if nobody has tried.
    """

    held: Mapping[str, frozenset[int]]
    problems: Mapping[str, Sequence[Problem]] | None = None


def exclude(
    dataset: RawDataset, rules: CleanRules, hashes: Mapping[str, int] | None = None, known: Known | None = None
) -> tuple[RawDataset, tuple[Action, ...]]:
    """Leave out the images that the rules say, each for the first reason that holds.

    Args:
        dataset: Its images may be spooled; those of an image are loaded once at most.
        rules: See there. Duplicates across splits only matter, and are only looked for, where all three splits are
            given; turn the rule off where they are dealt anew.
        hashes: Name -> perceptual hash, to find pictures that were saved anew; with None, or for images that are
            missing, only equal files are duplicates.
        known: What is known already.

    Returns:
        The dataset without them, and an action for each.
    """
    known = known or Known({})
    reasons: dict[str, tuple[str, str]] = {}
    for rule, find in _finders(rules, hashes, known):
        remaining = [record for record in dataset.images if record.name not in reasons]
        reasons |= {name: (rule, detail) for name, detail in find(remaining)}
    kept = tuple(record for record in dataset.images if record.name not in reasons)
    actions = tuple(
        Action(record.name, "", *reasons[record.name]) for record in dataset.images if record.name in reasons
    )
    return replace(dataset, images=kept), actions


_Found = Iterator[tuple[str, str]]  # name and detail


def _finders(
    rules: CleanRules, hashes: Mapping[str, int] | None, known: Known
) -> Iterator[tuple[str, Callable[[Sequence[ImageRecord]], _Found]]]:
    if rules.drop_unreadable:
        yield UNREADABLE, lambda images: _unreadable(images, known)
    if rules.drop_empty:
        yield EMPTY, lambda images: _empty(images, known)
    if rules.drop_cross_split_duplicates:
        yield TWINS, lambda images: find_twins(images, hashes or {}) if has_given_splits(images) else iter(())


def _unreadable(images: Sequence[ImageRecord], known: Known) -> _Found:
    for record in images:
        problems = _problems(record) if known.problems is None else known.problems.get(record.name, ())
        if problems:
            yield record.name, "; ".join(str(problem) for problem in problems)


def _problems(record: ImageRecord) -> Sequence[Problem]:
    try:
        # Every byte is read at any scale, and the smallest is the fastest.
        read_upright(record.path, record.size, least=(1, 1))
    except DatasetError as exc:
        return exc.problems
    return ()


def _empty(images: Sequence[ImageRecord], known: Known) -> _Found:
    for record in images:
        held = known.held.get(record.name)
        if not (any(not one.crowd for one in record.instances) if held is None else held):
            yield record.name, ""
