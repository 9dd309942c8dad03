"""How far two models agree on the same images: objects paired by class and mask, and their file between processes."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from segsweep.inference.masks import Mask, mask_iou, pair

SAME_IOU = 0.5  # masks of one class that overlap so far are one object


@dataclass(frozen=True)
class Found:
    """An object: its class index, and its mask at the image's resolution."""

    kind: int
    mask: Mask


@dataclass(frozen=True)
class Agreement:
    """What two models found in the same images.

    Attributes:
        reference_objects: Objects of the reference, over all images.
        matched: Of them, those that have an object of the same class with a mask IoU of at least 0.5, one each.
        matched_share: The same as a share, 0-1; None where the reference found nothing.
        mean_mask_iou: Over the matched ones, 0-1; None where there is none.
        only_reference: Objects of the reference without a match.
        only_here: Objects of the other model without a match.
    """

    reference_objects: int
    matched: int
    matched_share: float | None
    mean_mask_iou: float | None
    only_reference: int
    only_here: int


def agree(reference: Iterable[Sequence[Found]], other: Iterable[Sequence[Found]]) -> Agreement:
    """Pair the objects of two models image by image, the best overlap first.

    Args:
        reference: Its objects of each image.
        other: Those of the other model, for the same images in the same order.

    Raises:
        ValueError: The numbers of images differ.
    """
    objects, others = 0, 0
    ious: list[float] = []
    for ours, theirs in zip(reference, other, strict=True):
        objects += len(ours)
        others += len(theirs)
        if ours and theirs:
            overlaps = np.array([[_overlap(one, another) for another in theirs] for one in ours], np.float64)
            ious += [float(overlaps[row, column]) for row, column in pair(overlaps, SAME_IOU)]
    matched = len(ious)
    return Agreement(
        reference_objects=objects,
        matched=matched,
        matched_share=round(matched / objects, 4) if objects else None,
        mean_mask_iou=round(sum(ious) / matched, 4) if matched else None,
        only_reference=objects - matched,
        only_here=others - matched,
    )


def encode_found(objects: Sequence[Found]) -> str:
    """Objects of one image as one line of text, the same for the same objects."""
    return json.dumps(
        [[one.kind, one.mask.left, one.mask.top, *one.mask.pixels.shape, _packed(one)] for one in objects]
    )


def decode_found(line: str) -> tuple[Found, ...]:
    """Inverse of `encode_found`.

    Raises:
        ValueError: The line is none of its.
    """
    return tuple(
        Found(kind, Mask(left, top, _unpacked(packed, height, width)))
        for kind, left, top, height, width, packed in json.loads(line)
    )


def _overlap(one: Found, other: Found) -> float:
    return mask_iou(one.mask, other.mask) if one.kind == other.kind else 0.0


def _packed(one: Found) -> str:
    return base64.b64encode(zlib.compress(np.packbits(one.mask.pixels).tobytes(), 1)).decode("ascii")


def _unpacked(packed: str, height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    bits = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8)
    return np.unpackbits(bits, count=height * width).reshape(height, width).astype(np.bool_)
