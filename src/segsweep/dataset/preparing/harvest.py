"""What the batches of a dataset say together: which images can be used, what they hold, what was done to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segsweep.dataset.bundles.manifest import Small, SmallObject
from segsweep.dataset.cleaning.clean import Action
from segsweep.dataset.fidelity import FidelityTally
from segsweep.dataset.preparing.batch import StoredImage, StoredView, read_index
from segsweep.dataset.records import Instance
from segsweep.errors import Problem

SMALL = "smaller than the stated size; kept"

_SHOWN = 100  # small objects in the manifest; all are in `cleaning.csv`


@dataclass(frozen=True)
class Survey:
    """What is known of the images before it is known which of them are taken.

    Attributes:
        hashes: Name -> perceptual hash, of the images that could be read.
        held: Name -> classes of its objects.
        problems: Name -> why it cannot be used.
    """

    hashes: Mapping[str, int]
    held: Mapping[str, frozenset[int]]
    problems: Mapping[str, tuple[Problem, ...]]


@dataclass
class Harvest:
    """What is told of the images that were taken.

    Attributes:
        views: Name -> its images and labels.
        tally: Of their fidelity.
        actions: What was mended or left out.
        small: The first of the objects below the stated size.
        small_count: How many there are.
    """

    views: dict[str, tuple[StoredView, ...]] = field(default_factory=dict)
    tally: FidelityTally = field(default_factory=FidelityTally)
    actions: list[Action] = field(default_factory=list)
    small: list[SmallObject] = field(default_factory=list)
    small_count: int = 0

    def add(self, image: StoredImage, classes: Sequence[str]) -> None:
        """Count an image."""
        self.views[image.name] = image.views
        objects = [Instance(category, ()) for category in image.categories]
        self.tally.add(image.name, classes, objects, image.ious)
        self.actions += [Action(image.name, *action) for action in image.actions]
        for number, area_px in image.small:
            category = classes[image.categories[number]]
            self.actions.append(Action(image.name, f"object {number}", SMALL, f"{category}, {area_px:.1f} pixels"))
            if len(self.small) < _SHOWN:
                self.small.append(SmallObject(image.name, number, category, round(area_px, 1)))
        self.small_count += len(image.small)

    def small_facts(self, min_area_px: float) -> Small:
        """As the manifest has them."""
        return Small(min_area_px, self.small_count, tuple(self.small))

    def counts(self) -> dict[str, int]:
        """Rule -> how often it was applied."""
        return dict(sorted(Counter(action.rule for action in self.actions).items()))


def survey(batches: Iterable[Path]) -> Survey:
    """Read what must be known of every image to split the dataset."""
    hashes: dict[str, int] = {}
    held: dict[str, frozenset[int]] = {}
    problems: dict[str, tuple[Problem, ...]] = {}
    shared: dict[frozenset[int], frozenset[int]] = {}  # few combinations, many images
    for image in read_images(batches):
        classes = frozenset(image.categories)
        held[image.name] = shared.setdefault(classes, classes)
        if image.hash is not None:
            hashes[image.name] = image.hash
        if image.problems:
            problems[image.name] = image.problems
    return Survey(hashes, held, problems)


def gather(batches: Iterable[Path], names: Iterable[str], classes: Sequence[str]) -> Harvest:
    """Count the images of these names."""
    taken = frozenset(names)
    harvest = Harvest()
    for image in read_images(batches):
        if image.name in taken:
            harvest.add(image, classes)
    return harvest


def read_images(batches: Iterable[Path]) -> Iterator[StoredImage]:
    """The images of some batches, in their order."""
    for batch in batches:
        yield from read_index(batch)
