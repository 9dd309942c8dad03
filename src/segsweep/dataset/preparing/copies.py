"""Augmented copies of train images, as files of the bundle and as pictures of its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2

import segsweep
from segsweep.dataset.augmentation.augment import Augmentation, copy_seed
from segsweep.dataset.augmentation.preview import Original, Preview, augmentation_previews
from segsweep.dataset.cleaning.clean import clean_instances
from segsweep.dataset.labels import format_labels
from segsweep.dataset.pictures.picture import Picture, encode_jpeg
from segsweep.dataset.pictures.resize import render
from segsweep.dataset.preparing.batch import Chunk, pack
from segsweep.dataset.preparing.conversion import Converted, ConvertedView, Recipe, read_source
from segsweep.dataset.records import ImageRecord, Instance
from segsweep.errors import DatasetError

_SHOWN = 6  # images on the page


@dataclass(frozen=True)
class CopyChunk:
    """Makes the augmented copies of a bundle's images; the images themselves are made by `ConvertChunk`.

    Attributes:
        recipe: How the originals are drawn.
        augmentation: What is done to them.
        seed: Of everything that is drawn.
    """

    recipe: Recipe
    augmentation: Augmentation
    seed: int

    @property
    def settings(self) -> str:
        """All that a copy depends on besides its original."""
        versions = (segsweep.__version__, cv2.__version__)
        return repr((self.recipe, self.augmentation.digest, self.seed, versions))

    def __call__(self, chunk: Chunk) -> bytes:
        """Make the copies of every image of the chunk."""
        return pack(chunk, map(self._copies, chunk.records))

    def _copies(self, record: ImageRecord) -> Converted:
        try:
            return Converted(record.name, tuple(self._views(record)))
        except DatasetError as exc:
            return Converted(record.name, problems=exc.problems)

    def _views(self, record: ImageRecord) -> Iterator[ConvertedView]:
        for suffix, picture, instances in _originals(record, self.recipe):
            for number in range(1, self.augmentation.copies + 1):
                name = f"{record.name}{suffix}"
                try:
                    moved, shapes = self.augmentation.apply(picture, instances, copy_seed(self.seed, name, number))
                except DatasetError as exc:  # transforms know no image
                    raise DatasetError([replace(problem, where=name) for problem in exc.problems]) from exc
                height, width = moved.shape[:2]
                labels = format_labels(shapes, width, height).encode()
                counts = dict(sorted(Counter(one.category for one in shapes).items()))
                yield ConvertedView(f"{suffix}-copy{number}", encode_jpeg(moved), labels, counts)


def previews(
    records: Iterable[ImageRecord], recipe: Recipe, augmentation: Augmentation, seed: int
) -> tuple[Preview, ...]:
    """What augmentation does to the first of these images that show something."""

    def originals() -> Iterable[Original]:
        for record in records:
            for suffix, picture, instances in _originals(record, recipe):
                if instances:
                    yield Original(f"{record.name}{suffix}", picture, tuple(instances))
                    break

    few = [original for original, _ in zip(originals(), range(_SHOWN), strict=False)]
    return augmentation_previews(few, augmentation, seed)


def _originals(record: ImageRecord, recipe: Recipe) -> Iterator[tuple[str, Picture, Sequence[Instance]]]:
    source = read_source(record, recipe, may_copy=False)
    cleaned, _ = clean_instances(record.instances, source.size, record.name)
    single = [one for one in cleaned if not one.crowd]
    for view in source.views:
        yield view.suffix, render(source.picture, view), view.cut(single).instances
