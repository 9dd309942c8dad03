"""What augmentation does to pictures and outlines, to be looked at: an original beside its copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segsweep.core.geometry import fill
from segsweep.dataset.augmentation.augment import Augmentation, Transforms, copy_seed
from segsweep.dataset.pictures.picture import Picture, encode_jpeg
from segsweep.dataset.records import Instance

_COPIES = 3
_HEIGHT_PX = 224
_GAP_PX = 6
_OPACITY = 0.45
# BGR; neighbours in the list are told apart at a glance, by colour-blind readers too (Okabe and Ito, 2008).
_COLOURS = ((0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240), (178, 114, 0), (0, 94, 213), (167, 121, 204))


@dataclass(frozen=True)
class Preview:
    """A picture of a page.

    Attributes:
        caption: What it shows.
        jpeg: The file.
    """

    caption: str
    jpeg: bytes


@dataclass(frozen=True, eq=False)
class Original:
    """An image to be previewed.

    Attributes:
        name: Its name.
        picture: BGR, uint8.
        instances: In fractions of it.
    """

    name: str
    picture: Picture
    instances: tuple[Instance, ...]


def augmentation_previews(
    originals: Iterable[Original], augmentation: Augmentation, seed: int, *, online: bool = False
) -> tuple[Preview, ...]:
    """One picture an original: itself at the left, then the first of its augmented copies, outlines on all.

    Args:
        originals: What to augment; a handful.
        augmentation: How.
        seed: Of the dataset: what is shown are the copies that the bundle holds.
        online: Show the online transforms, which training and loaders draw anew every time, in place of the copies.
    """
    transforms = augmentation.online if online else augmentation.offline
    count = _COPIES if online else min(_COPIES, augmentation.copies)
    kind = "online" if online else "copies"
    return tuple(
        Preview(
            f"{original.name}: original, then {kind} 1 to {count}",
            encode_jpeg(_row(_versions(original, transforms, seed, count))),
        )
        for original in originals
        if count
    )


def overlay(picture: Picture, instances: Sequence[Instance]) -> Picture:
    """The picture with every instance tinted and outlined, neighbours in different colours."""
    height, width = picture.shape[:2]
    drawn = picture.copy()
    for index, instance in enumerate(instances):
        mask = fill([part.scaled(width, height) for part in instance.parts], height, width)
        colour = np.array(_COLOURS[index % len(_COLOURS)])
        drawn[mask] = ((1 - _OPACITY) * drawn[mask] + _OPACITY * colour).astype(np.uint8)
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, contours, -1, colour.tolist(), 1)
    return drawn


def _versions(original: Original, transforms: Transforms, seed: int, count: int) -> list[Picture]:
    shown = [(original.picture, original.instances)]
    for copy in range(1, count + 1):
        shown.append(transforms.apply(original.picture, original.instances, copy_seed(seed, original.name, copy)))
    return [overlay(_at_height(picture), instances) for picture, instances in shown]


def _row(pictures: Sequence[Picture]) -> Picture:
    gap = np.full((_HEIGHT_PX, _GAP_PX, 3), 255, np.uint8)
    return np.hstack([piece for picture in pictures for piece in (picture, gap)][:-1])


def _at_height(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    size = max(1, round(width * _HEIGHT_PX / height)), _HEIGHT_PX
    way = cv2.INTER_AREA if height > _HEIGHT_PX else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=way), dtype=np.uint8)
