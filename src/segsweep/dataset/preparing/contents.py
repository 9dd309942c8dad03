"""What a bundle holds: the files of every split under their names, and their counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from segsweep.dataset.bundles.manifest import FileEntry, SplitFacts
from segsweep.dataset.preparing.batch import StoredView
from segsweep.dataset.preparing.packing import Placed, ShardPlan, plan_shards
from segsweep.dataset.preparing.plan import Plan
from segsweep.dataset.records import SPLITS

Views = Mapping[str, Sequence[StoredView]]  # image name -> images and labels made of it


@dataclass(frozen=True, eq=False)
class Contents:
    """What becomes of the images of a plan.

    Attributes:
        plan: Splits and stems.
        views: Of every image.
        copies: Augmented ones, of train images.
        shard_bytes: About how large a shard becomes.
    """

    plan: Plan
    views: Views
    copies: Views
    shard_bytes: int

    @cached_property
    def shards(self) -> tuple[ShardPlan, ...]:
        """The shards of all splits."""
        return tuple(shard for split in SPLITS for shard in plan_shards(split, self._files(split), self.shard_bytes))

    def facts(self) -> dict[str, SplitFacts]:
        """Split -> its counts."""
        return {split: self._facts(split) for split in SPLITS}

    def entries(self) -> Iterator[FileEntry]:
        """Every file of the bundle, in the order of their paths; each is made when its turn comes."""
        # The dot that follows a stem in a path counts: `a-copy1.jpg` comes before `a.jpg`.
        ordered = sorted(
            ((placed.split, f"{placed.stem}.", shard.key, placed) for shard in self.shards for placed in shard.files),
            key=lambda one: one[:2],
        )
        for _, _, key, placed in ordered:
            yield placed.image(key)
        for _, _, key, placed in ordered:
            yield placed.labels(key)

    def _files(self, split: str) -> Iterator[Placed]:
        for name in self.plan.names(split):
            for view in (*self.views[name], *self.copies.get(name, ())):
                yield Placed(split, self.plan.stems[name] + view.suffix, view, name)

    def _facts(self, split: str) -> SplitFacts:
        classes = self.plan.classes
        counts = dict.fromkeys(range(len(classes)), 0)
        images = background = copies = 0
        for name in self.plan.names(split):
            own = self.copies.get(name, ())
            copies += len(own)
            for view in (*self.views[name], *own):
                images += 1
                background += not view.instances
                for category, count in view.instances:
                    counts[category] += count
        instances = {category: counts[index] for index, category in enumerate(classes)}
        return SplitFacts(images, background, instances, copies)
