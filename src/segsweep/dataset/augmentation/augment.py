"""Augmented copies of a picture with its instances: aligned, repeatable, and never of anything but train images.

Instances travel through a spatial transform as masks, painted with numbers into as few layers as keep overlapping
objects apart, and are traced from the transformed layers: holes and separate parts survive whatever the transform does,
and a mask is moved by the very interpolation grid that moves the picture. A polygon moved point by point would not be:
a bent edge between two points stays straight. What leaves the picture is cut; an instance of which no pixel is left is
gone. With a reflecting or wrapping border an object's mirror image belongs to the object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segsweep.config.augmentation import AugmentationFile, TransformSpec, load_augmentation_file
from segsweep.core.geometry import Mask, fill, trace
from segsweep.dataset.augmentation.online import problems_of_online
from segsweep.dataset.augmentation.transforms import FAILURES, is_spatial, problems_of_transform, sequence
from segsweep.dataset.pictures.picture import MIN_SIDE_PX, Picture
from segsweep.dataset.records import Instance
from segsweep.errors import DatasetError, Problem

AUGMENTED_SPLIT = "train"

_LABELS_A_LAYER = 255  # a layer is uint8 and 0 is nobody's


@dataclass(frozen=True)
class Transforms:
    """Transforms in turn, as a function of picture, instances and seed. One caller at a time.

    Attributes:
        specs: What to apply; see `segsweep.dataset.augmentation.transforms`.
    """

    specs: tuple[TransformSpec, ...]

    def apply(
        self, picture: Picture, instances: Sequence[Instance], rng_seed: int
    ) -> tuple[Picture, tuple[Instance, ...]]:
        """Transform a picture and its instances; the result depends on the arguments alone.

        Args:
            picture: BGR, uint8, (height, width, 3).
            instances: Coordinates in fractions of the picture.
            rng_seed: Of everything that is drawn.

        Returns:
            The new picture, perhaps of another size but with a longest side no longer than before, and its instances
            in fractions of it, in their order, without those that have no pixel left.

        Raises:
            DatasetError: A transform cannot be applied to a picture of this size, or leaves less than 10 pixels.
        """
        height, width = picture.shape[:2]
        layers, places = _paint(instances, height, width) if self._is_spatial else ([], [])
        self._sequence.set_random_seed(rng_seed)
        try:
            found = self._sequence(image=picture, masks=np.stack(layers)) if layers else self._sequence(image=picture)
        except FAILURES as exc:
            raise DatasetError(_not_applicable(f"cannot be applied to {width}x{height} pixels: {exc}")) from exc
        moved = np.asarray(found["image"], dtype=np.uint8)
        if min(moved.shape[:2]) < MIN_SIDE_PX:
            size = f"{moved.shape[1]}x{moved.shape[0]}"
            raise DatasetError(_not_applicable(f"must leave at least {MIN_SIDE_PX} pixels a side, this is {size}"))
        if self._is_spatial:
            instances = _trace(instances, places, found["masks"])
        return _no_larger(moved, max(height, width)), tuple(instances)

    @cached_property
    def _sequence(self) -> Any:
        return sequence(self.specs)

    @cached_property
    def _is_spatial(self) -> bool:
        return is_spatial(self.specs)


@dataclass(frozen=True)
class Augmentation:
    """A validated augmentation file.

    Attributes:
        file: Its content.
    """

    file: AugmentationFile

    @property
    def copies(self) -> int:
        """Augmented copies of every train image."""
        return self.file.offline.copies

    def copies_of(self, split: str) -> int:
        """Augmented copies of every image of a split: none outside train, so val and test measure real pictures."""
        return self.copies if split == AUGMENTED_SPLIT else 0

    @property
    def digest(self) -> str:
        """sha256 of what decides the copies: the offline part of the file."""
        return hashlib.sha256(json.dumps(self.to_flat(), sort_keys=True).encode()).hexdigest()

    def to_flat(self) -> dict[str, Any]:
        """The offline part as its file spells it; for a bundle's parameters."""
        return self.file.offline.to_flat()

    def apply(
        self, picture: Picture, instances: Sequence[Instance], rng_seed: int
    ) -> tuple[Picture, tuple[Instance, ...]]:
        """An offline copy; see `Transforms.apply`."""
        return self.offline.apply(picture, instances, rng_seed)

    @cached_property
    def offline(self) -> Transforms:
        """What makes the copies of a bundle."""
        return Transforms(self.file.offline.transforms)

    @cached_property
    def online(self) -> Transforms:
        """What a dataloader applies anew whenever it gives an image."""
        return Transforms(self.file.online)


def load_augmentation(path: Path) -> Augmentation:
    """Read an augmentation file and let albumentations check it.

    Raises:
        ConfigError: Everything that is wrong with it, at once.
        MissingExtraError: Albumentations is not installed.
    """
    return Augmentation(load_augmentation_file(path, judge))


def judge(spec: TransformSpec, where: str, at: str) -> list[Problem]:
    """Everything that albumentations, or we, have against a transform at its place in a file."""
    ask = problems_of_online if at.startswith("online") else problems_of_transform
    return ask(spec, where, at)


def copy_seed(seed: int, name: str, copy: int) -> int:
    """The seed of one offline copy, from the dataset's seed, the image's name and the copy's number."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{copy}/{name}".encode()).digest()[:8], "big")


def _paint(
    instances: Sequence[Instance], height: int, width: int
) -> tuple[list[npt.NDArray[np.uint8]], list[tuple[int, int]]]:
    """Layers in which no two instances share a pixel, and each instance's layer and number in it."""
    layers: list[npt.NDArray[np.uint8]] = [np.zeros((height, width), np.uint8)]
    used = [0]
    places = []
    for instance in instances:
        mask = fill([part.scaled(width, height) for part in instance.parts], height, width)
        layer = _first_free(layers, used, mask)
        if layer == len(layers):
            layers.append(np.zeros((height, width), np.uint8))
            used.append(0)
        used[layer] += 1
        layers[layer][mask] = used[layer]
        places.append((layer, used[layer]))
    return layers, places


def _first_free(layers: Sequence[npt.NDArray[np.uint8]], used: Sequence[int], mask: Mask) -> int:
    free = (i for i, layer in enumerate(layers) if used[i] < _LABELS_A_LAYER and not layer[mask].any())
    return next(free, len(layers))


def _trace(instances: Sequence[Instance], places: Sequence[tuple[int, int]], layers: Any) -> tuple[Instance, ...]:
    found = []
    for instance, (layer, number) in zip(instances, places, strict=True):
        mask = np.asarray(layers[layer]) == number
        height, width = mask.shape
        parts = tuple(part.scaled(1 / width, 1 / height) for part in trace(mask))
        if parts:
            found.append(Instance(instance.category, parts, instance.crowd))
    return tuple(found)


def _no_larger(picture: Picture, side: int) -> Picture:
    """The picture, shrunk where its longest side is longer; a bundle promises a size."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _not_applicable(rule: str) -> Problem:
    return Problem("augmentation", f"the transforms {rule}", fix="set pad_if_needed: true, or choose other sizes")
