"""What a bundle holds: the files of every split under their names, and their counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from segsweep.dataset.batch import StoredView
from segsweep.dataset.manifest import SplitFacts
from segsweep.dataset.packing import Placed, ShardPlan, plan_shards
from segsweep.dataset.plan import Plan
from segsweep.dataset.records import SPLITS
from segsweep.storage import layout

Views = Mapping[str, Sequence[StoredView]]  # image name -> images and labels made of it


@dataclass(frozen=True, eq=False)
class Contents:
    """What becomes of the images of a plan.

    Attributes:
        plan: Splits and stems.
        views: Of every image.
        copies: Augmented ones, of train images.
    """

    plan: Plan
    views: Views
    copies: Views

    def shards(self, limit_bytes: int) -> tuple[ShardPlan, ...]:
        """The shards of all splits, each about so large."""
        return tuple(shard for split in SPLITS for shard in plan_shards(split, self._files(split), limit_bytes))

    def facts(self) -> dict[str, SplitFacts]:
        """Split -> its counts."""
        return {split: self._facts(split) for split in SPLITS}

    def _files(self, split: str) -> Iterator[tuple[Placed, Placed]]:
        for record in self.plan.images(split):
            for view in (*self.views[record.name], *self.copies.get(record.name, ())):
                stem = self.plan.stems[record.name] + view.suffix
                yield (
                    Placed(layout.image_key(split, stem), view.image, record.name),
                    Placed(layout.label_key(split, stem), view.labels, record.name),
                )

    def _facts(self, split: str) -> SplitFacts:
        names = self.plan.dataset.classes
        counts = dict.fromkeys(range(len(names)), 0)
        images = background = copies = 0
        for record in self.plan.images(split):
            own = self.copies.get(record.name, ())
            copies += len(own)
            for view in (*self.views[record.name], *own):
                images += 1
                background += not view.instances
                for category, count in view.instances.items():
                    counts[category] += count
        return SplitFacts(images, background, {name: counts[index] for index, name in enumerate(names)}, copies)
