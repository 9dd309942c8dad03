"""Twins: the same picture in two splits, in the same file or saved anew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from segsweep.dataset.pictures.duplicates import near_duplicates
from segsweep.dataset.pictures.picture import read_picture
from segsweep.dataset.records import ImageRecord
from segsweep.errors import DatasetError

# Hashes of one picture in two sizes or qualities differ by a bit or two; grey thumbnails then tell a copy from the next
# frame of a film. Measured on 34 photographs of feralcat: saved anew with quality 30 to 90 and at half to one and a
# half of their size they differ by 5 of 256 levels at most; moved by 2 pixels, by 29 at least; with a square of a
# twentieth of their height moved, by 25.
_TWIN_BITS = 2
_SIDE_PX = 64
_LEVELS = 6

# A copy is left out of the split that comes last.
_RANK = {"test": 0, "val": 1, "train": 2}

Thumbnail = npt.NDArray[np.int16]


def find_twins(images: Sequence[ImageRecord], hashes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Images whose picture is in another split, too, and is to stay there.

    Args:
        images: Each in one of the three splits.
        hashes: Name -> perceptual hash.

    Yields:
        Name of the image to be left out, and of what it is a copy.
    """
    left_out: set[str] = set()
    for copy, original in (*_equal_files(images), *_equal_pictures(images, hashes)):
        if copy.name not in left_out:
            left_out.add(copy.name)
            yield copy.name, f"the same picture as {original.name} in {original.split}"


_Pair = tuple[ImageRecord, ImageRecord]  # copy and original


def _equal_files(images: Sequence[ImageRecord]) -> Iterator[_Pair]:
    by_size: dict[int, list[ImageRecord]] = {}
    for record in images:
        try:
            by_size.setdefault(record.path.stat().st_size, []).append(record)
        except OSError:
            continue  # told when it is read
    for some in by_size.values():
        if len({record.split for record in some}) > 1:
            same: dict[bytes, list[ImageRecord]] = {}
            for record in some:
                if digest := _digest(record):
                    same.setdefault(digest, []).append(record)
            for group in same.values():
                first = min(group, key=_order)
                yield from ((record, first) for record in group if record.split != first.split)


def _equal_pictures(images: Sequence[ImageRecord], hashes: Mapping[str, int]) -> Iterator[_Pair]:
    hashed = [record for record in images if record.name in hashes]
    for cluster in near_duplicates([hashes[record.name] for record in hashed], _TWIN_BITS):
        group = sorted((hashed[index] for index in cluster), key=_order)
        if group[0].split == group[-1].split:
            continue
        kept: list[tuple[ImageRecord, Thumbnail]] = []
        for record in group:
            picture = _thumbnail(record)
            if picture is None:
                continue
            original = next(
                (
                    one
                    for one, other in kept
                    if one.split != record.split and int(np.abs(picture - other).max()) <= _LEVELS
                ),
                None,
            )
            if original is None:
                kept.append((record, picture))
            else:
                yield record, original


def _order(record: ImageRecord) -> tuple[int, str]:
    return _RANK[record.split], record.name


def _digest(record: ImageRecord) -> bytes:
    try:
        with record.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""


def _thumbnail(record: ImageRecord) -> Thumbnail | None:
    try:
        picture = read_picture(record.path, record.size, least=(2 * _SIDE_PX, 2 * _SIDE_PX))
    except DatasetError:
        return None
    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.int16)
