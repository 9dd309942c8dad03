"""Adds up what was seen of many images, in memory that grows by a few words an image."""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence

from segsweep.dataset.inspection.consequences import (
    CROWDS,
    HIDDEN,
    HIDDEN_SHARE,
    HOLES,
    PARTS,
    TINY,
    TINY_PX,
    TWIN_IOU,
    TWINS,
)
from segsweep.dataset.inspection.facts import Bin, Cluster, Member, ObjectPlace, Overlap
from segsweep.dataset.inspection.look import UNREADABLE, WRONG_SIZE, Look
from segsweep.dataset.pictures.duplicates import bits_apart, near_duplicates
from segsweep.errors import Problem

SHOWN = 24  # worst cases, smallest objects, and examples of a class
_PLACES = 50  # of each kind of finding that are remembered

_SIDE_EDGES_PX = (4, 8, 16, 32, 64, 128, 256, 512)
_COUNT_EDGES = (1, 2, 3, 4, 6, 11, 21, 51, 101)
_CLEAR_PX = 24  # an object that is shown as an example of its class is at least so large, if there is any


class Tally:
    """What was seen so far.

    Args:
        classes: Names of the dataset's classes.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self.members: list[Member] = []
        self.unreadable = 0
        self.crowds = 0
        self.overlapping = 0
        self.problems: list[tuple[str, str, Problem]] = []
        self.places: dict[str, list[str]] = {}
        self.counts: Counter[str] = Counter()
        self.images_of_split: Counter[str] = Counter()
        self.background_of_split: Counter[str] = Counter()
        self.objects_of_split: dict[str, Counter[int]] = defaultdict(Counter)
        self.images_of_class: Counter[int] = Counter()
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.dropped: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.dropped_labels: dict[str, str] = {}
        self._hashes: list[tuple[int, int]] = []
        self._groups: dict[str, list[int]] = defaultdict(list)
        self._side_bins: Counter[int] = Counter()
        self._count_bins: Counter[int] = Counter()
        self._overlaps: list[tuple[float, float, str, int, int, int, int]] = []
        self._smallest: list[tuple[float, str, int, int]] = []
        self._examples: dict[int, list[tuple[bool, str, str, int, float]]] = defaultdict(list)

    def add(self, look: Look) -> None:
        """Count one image."""
        index = len(self.members)
        self.members.append(Member(look.name, look.split))
        self._groups[look.group].append(index)
        self.images_of_split[look.split] += 1
        self.background_of_split[look.split] += not look.objects
        categories = Counter(one.category for one in look.objects)
        self.objects_of_split[look.split].update(categories)
        self.images_of_class.update(categories.keys())
        if look.size is None:
            self.unreadable += 1
        else:
            self.sizes[look.size] += 1
        if look.hash is not None:
            self._hashes.append((look.hash, index))
        self.crowds += look.crowds
        self.overlapping += look.overlapping
        kind = UNREADABLE if look.size is None else WRONG_SIZE
        self.problems += [(look.name, kind, problem) for problem in look.problems]
        for rule, detail in look.oddities:
            self.note(rule, f"{look.name}: {detail}" if detail else look.name)
        for rule, detail in look.repairs:
            self.note(rule, f"{look.name}: {detail}")
        self._judge(look)
        self._measure(look)

    def note(self, rule: str, place: str, count: int = 1) -> None:
        """Count a finding, and remember where unless there are many."""
        self.counts[rule] += count
        places = self.places.setdefault(rule, [])
        if len(places) < _PLACES:
            places.append(place)

    @property
    def objects(self) -> int:
        """How many, without crowds."""
        return sum(counts.total() for counts in self.objects_of_split.values())

    @property
    def objects_per_image(self) -> tuple[Bin, ...]:
        """Distribution, without empty bars at its end."""
        labels = ["none", *_labels(_COUNT_EDGES, whole=True)]
        return _bins(self._count_bins, labels)

    @property
    def object_sizes(self) -> tuple[Bin, ...]:
        """Distribution of the square root of the area, pixels."""
        labels = [f"below {_SIDE_EDGES_PX[0]}", *_labels(_SIDE_EDGES_PX, whole=False)]
        return _bins(self._side_bins, labels)

    @property
    def overlaps(self) -> tuple[Overlap, ...]:
        """The worst pairs, worst first."""
        return tuple(
            Overlap(image, (first, second), (self._classes[a], self._classes[b]), -share, -iou)
            for share, iou, image, first, second, a, b in sorted(self._overlaps)
        )

    @property
    def smallest(self) -> tuple[ObjectPlace, ...]:
        """The smallest objects, smallest first."""
        return tuple(
            ObjectPlace(image, index, self._classes[category], side)
            for side, image, index, category in sorted(self._smallest)
        )

    @property
    def examples(self) -> dict[str, tuple[ObjectPlace, ...]]:
        """Class -> objects that are shown of it: one an image, drawn by a hash of their names."""
        return {
            name: tuple(ObjectPlace(image, index, name, side) for _, _, image, index, side in sorted(found))
            for category, name in enumerate(self._classes)
            if (found := self._examples.get(category))
        }

    def clusters_by_name(self) -> tuple[Cluster, ...]:
        """Images whose files are named as copies of one source."""
        groups = [indices for indices in self._groups.values() if len(indices) > 1]
        return tuple(Cluster("name", tuple(self.members[i] for i in indices)) for indices in groups)

    def clusters_by_picture(self, distance_bits: int) -> tuple[Cluster, ...]:
        """Images that look the same."""
        hashes = [one for one, _ in self._hashes]
        found = []
        for cluster in near_duplicates(hashes, distance_bits):
            apart = max(bits_apart(hashes[cluster[0]], hashes[i]) for i in cluster)
            found.append(Cluster("picture", tuple(self.members[self._hashes[i][1]] for i in cluster), apart))
        return tuple(found)

    def _judge(self, look: Look) -> None:
        verdict = look.verdict
        if verdict.drops:
            self.dropped[verdict.drops] += 1
        self.verdicts.update(
            removed_rows=verdict.removed_rows,
            lacks_labels=verdict.lacks_labels,
            boxes=verdict.is_boxes,
            rewritten=verdict.is_rewritten,
            stops=verdict.stops,
        )
        if verdict.drops or verdict.stops or verdict.is_boxes:
            self.dropped_labels[look.name] = verdict.drops

    def _measure(self, look: Look) -> None:
        self._count_bins[_bin(len(look.objects), _COUNT_EDGES)] += 1
        shown: set[int] = set()
        smallest = []
        for index, one in enumerate(look.objects):
            place = f"{look.name}: object {index}"
            self._side_bins[_bin(one.side_px, _SIDE_EDGES_PX)] += 1
            smallest.append((one.side_px, look.name, index, one.category))
            if one.side_px < TINY_PX:
                self.note(TINY, f"{place}, {one.side_px:.1f} px")
            if one.parts > 1:
                self.note(PARTS, f"{place}, {one.parts} parts")
            if one.holes:
                self.note(HOLES, f"{place}, {one.holes} holes")
        order = sorted(range(len(look.objects)), key=lambda i: -look.objects[i].side_px)
        for index in order:  # the largest object of each class stands for the image
            one = look.objects[index]
            if one.category not in shown and look.size is not None:
                shown.add(one.category)
                draw = hashlib.sha256(look.name.encode("utf-8", "surrogateescape")).hexdigest()
                entry = (one.side_px < _CLEAR_PX, draw, look.name, index, one.side_px)
                self._examples[one.category] = heapq.nsmallest(SHOWN, [*self._examples[one.category], entry])
        self._smallest = heapq.nsmallest(SHOWN, [*self._smallest, *smallest])
        if look.crowds:
            self.note(CROWDS, look.name, look.crowds)
        pairs = []
        for pair in look.pairs:
            a, b = look.objects[pair.first].category, look.objects[pair.second].category
            pairs.append((-pair.share, -pair.iou, look.name, pair.first, pair.second, a, b))
            place = f"{look.name}: objects {pair.first} and {pair.second}"
            if pair.iou > TWIN_IOU and a == b:
                self.note(TWINS, f"{place}, IoU {pair.iou:.2f}")
            elif pair.share > HIDDEN_SHARE:
                self.note(HIDDEN, f"{place}, {pair.share:.0%}")
        self._overlaps = heapq.nsmallest(SHOWN, [*self._overlaps, *pairs])


def _bin(value: float, edges: Sequence[int]) -> int:
    return sum(value >= edge for edge in edges)


def _labels(edges: Sequence[int], *, whole: bool) -> list[str]:
    labels = []
    for low, high in itertools.pairwise(edges):
        last = high - 1 if whole else high
        labels.append(str(low) if last == low else f"{low} to {last}")
    return [*labels, f"{edges[-1]} or more"]


def _bins(counts: Counter[int], labels: Sequence[str]) -> tuple[Bin, ...]:
    if not counts:
        return ()
    return tuple(Bin(labels[i], counts[i]) for i in range(max(counts) + 1))
