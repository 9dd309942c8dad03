"""The images of a dataset, kept in a file while each of them is worked on, so that memory does not grow with them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from segsweep.dataset.records import ImageRecord
from segsweep.dataset.spool import Span


class Roster:
    """Records in a file, in their order.

    Args:
        path: The file; written here.
        records: With their annotations in a spool.
        chunk_images: So many records are read at once.

    Raises:
        OSError: The disk is full.
    """

    def __init__(self, path: Path, records: Sequence[ImageRecord], chunk_images: int) -> None:
        self._path = path
        self._count = len(records)
        with path.open("wb") as file:
            for start in range(0, len(records), chunk_images):
                rows = [_row(record) for record in records[start : start + chunk_images]]
                file.write(json.dumps(rows, separators=(",", ":")).encode() + b"\n")

    def __len__(self) -> int:
        return self._count

    def chunks(self) -> Iterator[tuple[ImageRecord, ...]]:
        """The records, so many at a time."""
        with self._path.open("rb") as file:
            for line in file:
                yield tuple(map(_record, json.loads(line)))

    def images(self) -> tuple[ImageRecord, ...]:
        """All records at once."""
        return tuple(record for chunk in self.chunks() for record in chunk)


def _row(record: ImageRecord) -> tuple[Any, ...]:
    span = record.annotations
    assert isinstance(span, Span)  # what lies in memory would not stay small
    return str(record.path), record.name, record.group, record.split, record.size, span.file, span.pieces


def _record(row: Sequence[Any]) -> ImageRecord:
    path, name, group, split, size, file, pieces = row
    span = Span(file, tuple((offset, length) for offset, length in pieces))
    return ImageRecord(Path(path), name, group, span, split, (size[0], size[1]) if size else None)
