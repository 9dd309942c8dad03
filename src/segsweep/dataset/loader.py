"""A node's copy as dataloaders: for any PyTorch model in torchvision's convention, and as what Ultralytics trains on.

What sample i of epoch e looks like, and in which order samples come, is a function of (seed, epoch, i): the sampler
hands the epoch to the dataset together with the index, so that it makes no difference which worker draws a sample, how
many there are, or what they drew before. (`segsweep.training.samples` does the same to what Ultralytics trains on.)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from segsweep.core.geometry import fill
from segsweep.dataset.augmentation.augment import AUGMENTED_SPLIT, Augmentation
from segsweep.dataset.bundles.staging import NodeCopy
from segsweep.dataset.labels import read_labels
from segsweep.dataset.pictures.picture import Picture, read_picture
from segsweep.dataset.records import SPLITS, Instance
from segsweep.errors import DatasetError, Problem

logger = logging.getLogger(__name__)

Sample = tuple[torch.Tensor, dict[str, Any]]
Batch = tuple[list[torch.Tensor], list[dict[str, Any]]]


class BundleDataset(Dataset[Sample]):
    """One split of a bundle, an item an image, as torchvision's detection models take it.

    An item is a picture, float32 (3, height, width), RGB from 0 to 1, and its target, of N instances:

    - `boxes`: float32 (N, 4), x0 y0 x1 y1 in pixels, around the masks;
    - `labels`: int64 (N,), **1-based** as torchvision has it: class i of `classes` is i + 1, and 0 is the background;
    - `masks`: uint8 (N, height, width), 0 or 1; masks may overlap;
    - `area`: float32 (N,), pixels of each mask;
    - `iscrowd`: int64 (N,), 0 throughout: a bundle holds single objects;
    - `image_id`: the image's index in the split.

    Instances without a pixel at the picture's size are left out: torchvision takes no box without an area.

    Args:
        copy: The bundle's copy on this node.
        split: `train`, `val` or `test`.
        augmentation: Its online transforms are drawn for every item of train; val and test stay as they are.
        seed: Of everything that is drawn.

    Raises:
        DatasetError: There is no such split.
    """

    def __init__(self, copy: NodeCopy, split: str, augmentation: Augmentation | None = None, seed: int = 0) -> None:
        if split not in SPLITS:
            raise DatasetError(Problem(str(copy.root), f"must be one of {', '.join(SPLITS)}", "split", split))
        self.classes = copy.manifest.classes
        self.seed = seed
        paths = [file.path for file in copy.manifest.files if file.path.startswith(f"images/{split}/")]
        self.images = [copy.root / path for path in sorted(paths)]
        self._transforms = augmentation.online if augmentation and split == AUGMENTED_SPLIT else None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: int | tuple[int, int]) -> Sample:
        """The sample of an index, or of an epoch and an index; an index alone means epoch 0."""
        epoch, index = item if isinstance(item, tuple) else (0, item)
        picture, instances = self._read(index)
        if self._transforms is not None:
            picture, instances = self._transforms.apply(picture, instances, sample_seed(self.seed, epoch, index))
        return _as_tensors(picture, instances, index)

    def _read(self, index: int) -> tuple[Picture, tuple[Instance, ...]]:
        image = self.images[index]
        return read_picture(image), read_labels(image, len(self.classes))


class EpochSampler(Sampler[tuple[int, int]]):
    """Indices of a dataset, each with the epoch, in an order that is a function of (seed, epoch).

    Args:
        length: Number of samples.
        seed: Of the order.
        is_shuffled: Whether the order changes; without it samples come as they are.
    """

    def __init__(self, length: int, seed: int, is_shuffled: bool) -> None:
        self._length = length
        self._seed = seed
        self._is_shuffled = is_shuffled
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next pass shows; as with torch's DistributedSampler, nobody else counts them."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        is_shuffled, length = self._is_shuffled, self._length
        order = epoch_order(self._seed, self._epoch, length) if is_shuffled else np.arange(length)
        return iter([(self._epoch, int(index)) for index in order])


def data_loader(
    dataset: BundleDataset, batch_size: int, *, shuffle: bool, workers: int = 0
) -> tuple[DataLoader[Sample], EpochSampler]:
    """Batches of a bundle's split: a list of pictures and a list of targets, for pictures differ in size.

    ```python
    loader, sampler = data_loader(BundleDataset(stage(uri, cache), "train"), 4, shuffle=True, workers=2)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for images, targets in loader:
            losses = model(images, targets)
    ```

    Args:
        dataset: What to load.
        batch_size: Samples a batch; the last may be smaller.
        shuffle: Whether every epoch has an order of its own.
        workers: Processes that prepare samples; 0 prepares them in this one.

    Returns:
        The loader, and the sampler that is told the epoch.
    """
    sampler = EpochSampler(len(dataset), dataset.seed, shuffle)
    loader: DataLoader[Sample] = DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_one_thread,
        # Else each pass would draw a seed for its workers from torch's global generator, for nobody.
        generator=torch.Generator().manual_seed(dataset.seed),
    )
    return loader, sampler


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples as two lists."""
    return [picture for picture, _ in samples], [target for _, target in samples]


def epoch_order(seed: int, epoch: int, length: int) -> npt.NDArray[np.int64]:
    """The order of an epoch's samples: indices, (length,)."""
    order = np.arange(length)
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """The seed of everything that is drawn for one sample of one epoch."""
    high, low = np.random.SeedSequence([seed, epoch, index]).generate_state(2)
    return (int(high) << 32) | int(low)


def prebuild_label_cache(copy: NodeCopy) -> None:
    """Let Ultralytics scan every split once, so that no trial does.

    Ultralytics keeps its scan in `labels/<split>.cache`, valid for these absolute paths, sizes and times only, and
    writes it without a rename; trials that start together would each rebuild it, one reading what another half wrote.

    Raises:
        DatasetError: Ultralytics would leave out images that the bundle holds.
    """
    # Not above: Ultralytics reads its environment when it is imported, and a loader for other models needs none of it.
    from ultralytics.data.dataset import YOLODataset  # noqa: PLC0415
    from ultralytics.data.utils import check_det_dataset  # noqa: PLC0415

    data = check_det_dataset(str(copy.data_yaml), autodownload=False)
    problems = []
    for split in SPLITS:
        dataset = YOLODataset(img_path=data[split], data=data, task="segment", augment=False, imgsz=copy.manifest.imgsz)
        found, expected = len(dataset.labels), copy.manifest.splits[split].images
        if found != expected:
            rule = f"Ultralytics reads {found} of {expected} images"
            problems.append(Problem(str(copy.root / "images" / split), rule, fix="report this as a bug of segsweep"))
        logger.info("label cache of %s: %d images", split, found)
    if problems:
        raise DatasetError(problems)


def _as_tensors(picture: Picture, instances: Sequence[Instance], index: int) -> Sample:
    height, width = picture.shape[:2]
    masks, labels, boxes = [], [], []
    for instance in instances:
        mask = fill([part.scaled(width, height) for part in instance.parts], height, width)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size:
            masks.append(mask)
            labels.append(instance.category + 1)
            boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    stacked = torch.from_numpy(np.array(masks, dtype=np.uint8).reshape(-1, height, width))
    target = {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": stacked,
        "area": stacked.sum(dim=(1, 2), dtype=torch.float32),
        "iscrowd": torch.zeros(len(labels), dtype=torch.int64),
        "image_id": index,
    }
    rgb = np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1))
    return torch.from_numpy(rgb).to(torch.float32) / 255, target


def _one_thread(worker: int) -> None:
    """Workers are the parallelism; OpenCV's own threads in each would fight over the same cores."""
    cv2.setNumThreads(0)
