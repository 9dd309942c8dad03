"""Instances kept in a file while a dataset is read, so that memory does not grow with what is annotated.

A spool is written once, by the process that reads the dataset, and read by any process of the same machine. An image's
instances are one span of the file: a header of whole numbers (how many instances; of each its category, whether it is a
crowd, its number of parts; of each part its number of rings; of each ring its number of points), then all points.
"""

from __future__ import annotations

import functools
import hashlib
import os
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from segsweep.core.geometry import Part
from segsweep.dataset.records import Instance

_FLUSH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Span:
    """Instances of one image in a spool; `a + b` are those of both.

    Attributes:
        file: The spool's file.
        pieces: Offset and length of each piece, bytes.
    """

    file: str
    pieces: tuple[tuple[int, int], ...]

    def load(self) -> tuple[Instance, ...]:
        """Read the instances.

        Raises:
            OSError: The file is gone or short.
        """
        descriptor = _opened(self.file)
        found: list[Instance] = []
        for offset, length in self.pieces:
            data = os.pread(descriptor, length, offset)
            if len(data) != length:
                raise OSError(f"{self.file} is shorter than what was written to it")
            found += _decode(data)
        return tuple(found)

    def digest(self) -> bytes:
        """sha256 of the instances as they lie on disk: the same instances have the same one."""
        descriptor = _opened(self.file)
        return hashlib.sha256(b"".join(os.pread(descriptor, size, at) for at, size in self.pieces)).digest()

    def __add__(self, other: Span) -> Span:
        return Span(self.file, self.pieces + other.pieces)


class Spool:
    """A file that takes instances; `keep` is what a format's `read` is given.

    Args:
        path: The file to make; it belongs to this spool until the work with the dataset is done.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._file = path.open("wb", buffering=_FLUSH_BYTES)
        self._offset = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def keep(self, instances: Sequence[Instance]) -> Span:
        """Append the instances of one image, or a piece of them; they can be loaded once the spool is closed.

        Raises:
            OSError: The disk is full.
        """
        if not instances:
            return Span(self._path, ())
        data = _encode(instances)
        self._file.write(data)
        piece = (self._offset, len(data))
        self._offset += len(data)
        return Span(self._path, (piece,))


def _encode(instances: Sequence[Instance]) -> bytes:
    header = [len(instances)]
    points = []
    for one in instances:
        header += (one.category, one.crowd, len(one.parts))
        for part in one.parts:
            rings = part.rings
            header.append(len(rings))
            for ring in rings:
                header.append(len(ring))
                points.append(np.ascontiguousarray(ring, np.float64).tobytes())
    return b"".join((array("q", (len(header), *header)).tobytes(), *points))


def _decode(data: bytes) -> list[Instance]:
    (size,) = struct.unpack_from("q", data)
    numbers = iter(struct.unpack_from(f"{size}q", data, 8))
    points = np.frombuffer(data, np.float64, offset=8 + 8 * size).reshape(-1, 2)
    start = 0
    instances = []
    for _ in range(next(numbers)):
        category, crowd, parts = next(numbers), next(numbers), []
        for _ in range(next(numbers)):
            rings = []
            for _ in range(next(numbers)):
                end = start + next(numbers)
                rings.append(points[start:end])
                start = end
            parts.append(Part(rings[0], tuple(rings[1:])))
        instances.append(Instance(category, tuple(parts), bool(crowd)))
    return instances


@functools.lru_cache(maxsize=4)
def _opened(file: str) -> int:
    """A descriptor that stays open while the process works with the spool; one a process."""
    return os.open(file, os.O_RDONLY)
