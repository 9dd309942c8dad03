"""Which image of a written dataset is which of the source: by the name it was given, else by its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from segsweep.dataset.records import ImageRecord
from segsweep.dataset.stems import unique_stems


class Counterparts:
    """Finds the images that a writer made of others; writers copy image files as they are.

    Most name them by `unique_stems`. Cityscapes' names have no room for that; there the content decides.

    Args:
        source: Images that were written.
        written: Images read back.
    """

    def __init__(self, source: Sequence[ImageRecord], written: Sequence[ImageRecord]) -> None:
        self._stems = unique_stems([record.name for record in source])
        self._by_stem = {PurePosixPath(record.name).stem: record for record in written}
        self._by_content: dict[bytes, list[ImageRecord]] = {}
        given = set(self._stems.values())
        for record in written:
            if PurePosixPath(record.name).stem not in given:
                self._by_content.setdefault(_digest(record.path), []).append(record)

    def of(self, record: ImageRecord) -> list[ImageRecord]:
        """The image that was made of this one; several where the source holds copies of one picture, or none."""
        other = self._by_stem.get(self._stems[record.name])
        if other is not None:
            return [other]
        return list(self._by_content.get(_digest(record.path), ())) if self._by_content else []

    def spend(self, other: ImageRecord) -> None:
        """An image is the counterpart of one only: of several copies the next may not have this one."""
        if self._by_content:
            candidates = self._by_content.get(_digest(other.path), [])
            candidates[:] = [one for one in candidates if one is not other]


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
