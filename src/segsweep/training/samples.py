"""What training draws: the order of images and how each is augmented, as functions of (seed, epoch, index) alone.

Ultralytics draws from one stream of random numbers a process, and makes mosaics of the images that a process happens to
have read last: what a sample looks like depends on how many loader workers there are and on all that came before. Here
a sample draws from a stream of its own, and its partners come from the whole split, so that a trial that goes on after
a kill, and one with other workers, sees the same pictures.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import psutil
import torch
import torch.distributed as dist
from torch.utils.data import Sampler
from ultralytics.data.augment import Albumentations
from ultralytics.data.build import InfiniteDataLoader
from ultralytics.data.dataset import YOLODataset

from segsweep.dataset.loader import epoch_order, sample_seed
from segsweep.errors import TrialError

# Mosaics read four pictures where upstream's read one: they are decoded once if they fit into this much memory.
_DECODED_BYTES = 1 << 30
_SHARE_OF_FREE = 8  # and into an eighth of what is free: other trials share the node


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index), epoch after epoch without end.

    Loader workers draw ahead: what they have drawn beyond an epoch's end is the beginning of the next. Where several
    processes train together, each takes every so-and-so-manieth sample of the batch that they make up together; an
    epoch that they cannot share evenly begins again at its end, as torch's DistributedSampler has it.

    Args:
        length: Samples an epoch.
        batch_size: Samples a batch of this process; the last of an epoch may be smaller.
        batches: Batches an epoch.
        seed: Of the order.
        rank: Of this process, from 0.
        ranks: Processes.

    Attributes:
        epoch: The first that the next iterator gives, from 0.
        sampler: One item a batch; upstream's loader takes its length from here.
    """

    def __init__(self, length: int, batch_size: int, batches: int, seed: int, rank: int = 0, ranks: int = 1) -> None:
        self.epoch = 0
        self._rank = rank
        self._ranks = ranks
        self.sampler = range(batches)
        self._length = length
        self._batch_size = batch_size
        self._seed = seed

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for epoch in count(self.epoch):
            order = epoch_order(self._seed, epoch, self._length).tolist()
            shared = math.ceil(self._length / self._ranks) * self._ranks
            order = (order * self._ranks)[self._rank : shared : self._ranks]
            for batch in self.sampler:
                start = batch * self._batch_size
                yield [(epoch, index) for index in order[start : start + self._batch_size]]


class SeededDataset(YOLODataset):  # type: ignore[misc]
    """Ultralytics' dataset, whose items are asked for by (epoch, index) and depend on nothing else."""

    seed: int

    @classmethod
    def of(cls, dataset: YOLODataset, seed: int, threads: int) -> SeededDataset:
        """Make one of upstream's dataset, which its own builder has made: that one names its class itself.

        Args:
            dataset: Changed in place.
            seed: Of everything that is drawn.
            threads: That decode pictures, where all are kept.
        """
        dataset.__class__ = cls
        dataset.seed = seed
        assert isinstance(dataset, cls)
        _choose_from_all(dataset.transforms)
        needed = dataset.ni * dataset.imgsz**2 * dataset.channels
        if needed <= min(_DECODED_BYTES, psutil.virtual_memory().available // _SHARE_OF_FREE):
            dataset._keep_decoded(threads)
        return dataset

    @property
    def albumentations(self) -> list[Albumentations]:
        """The steps that draw from a generator of their own."""
        steps = (step for step in _steps_of(self.transforms) if isinstance(step, Albumentations))
        return [step for step in steps if step.transform is not None]

    def build_transforms(self, hyp: Any = None) -> Any:
        """Upstream's; partners are chosen from the whole split."""
        transforms = super().build_transforms(hyp)
        _choose_from_all(transforms)
        return transforms

    def __getitem__(self, item: tuple[int, int]) -> Any:
        """The sample of an epoch, from 0, and an index."""
        epoch, index = item
        seed = sample_seed(self.seed, epoch, index)
        for step in self.albumentations:
            step.transform.set_random_seed(seed)
            step.transform.seed = torch.initial_seed()  # upstream seeds anew, one seed a process, where it is another
        with _drawing_from(seed):
            return super().__getitem__(index)

    def _keep_decoded(self, threads: int) -> None:
        self.cache = "ram"  # upstream, too, then neither drops a picture nor remembers which it has read last
        with ThreadPoolExecutor(threads) as pool:
            for index, found in enumerate(pool.map(self.load_image, range(self.ni))):
                self.ims[index], self.im_hw0[index], self.im_hw[index] = found


def seed_loader(loader: InfiniteDataLoader, seed: int, threads: int, has_own_transforms: bool) -> EpochBatches:
    """Let a loader of upstream's give seeded samples.

    Args:
        loader: Over a `YOLODataset`, not yet iterated.
        seed: Of order and augmentation.
        threads: That decode pictures, where all are kept.
        has_own_transforms: Whether the job has transforms of its own.

    Returns:
        The batches; `epoch` says with which the loader begins when it is iterated first or after a reset.

    Raises:
        TrialError: The job's transforms are not there.
    """
    dataset = SeededDataset.of(loader.dataset, seed, threads)
    if has_own_transforms and not dataset.albumentations:
        # Ultralytics says so in a line of its log and trains without them.
        raise TrialError("Ultralytics could not build the job's augmentations; its log line above says why")
    rank, ranks = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    batches = EpochBatches(len(loader.dataset), loader.batch_size, len(loader), seed, rank, ranks)
    object.__setattr__(
        loader, "batch_sampler", batches
    )  # torch lets nobody exchange it, and upstream does it like this
    return batches


def _choose_from_all(transforms: Any) -> None:
    """Let mosaics choose partners from the whole split, as upstream does where all pictures are in memory."""
    for step in _steps_of(transforms):
        if hasattr(step, "buffer_enabled"):
            step.buffer_enabled = False


def _steps_of(transforms: Any) -> Iterator[Any]:
    """Every step in a tree of Ultralytics' transforms."""
    yield transforms
    for inner in getattr(transforms, "transforms", None) or ():
        yield from _steps_of(inner)
    before = getattr(transforms, "pre_transform", None)
    if before is not None:
        yield from _steps_of(before)


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Draw Python's and NumPy's global random numbers from a stream of its own, then go on with the one before."""
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
