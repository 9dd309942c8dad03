"""Packing: files that lie in batches become shards, tars that are the same bytes for the same files."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segsweep.dataset.batch import Stored
from segsweep.dataset.manifest import FileEntry, ShardEntry
from segsweep.storage import layout

_BLOCK_BYTES = 512
_HELD_OPEN = 64  # batches


@dataclass(frozen=True, slots=True)
class Placed:
    """A file of the bundle: what it is called, and where its content lies.

    Attributes:
        path: Inside its shard, and inside a node's copy.
        stored: Its content.
        source: The image it was made from.
    """

    path: str
    stored: Stored
    source: str


@dataclass(frozen=True)
class ShardPlan:
    """A shard that is to be written.

    Attributes:
        key: Relative to the bundle.
        files: In the order of the tar.
    """

    key: str
    files: tuple[Placed, ...]

    def entries(self) -> Iterator[FileEntry]:
        """Its files as the manifest has them."""
        for file in self.files:
            stored = file.stored
            yield FileEntry(file.path, stored.size_bytes, stored.sha256, self.key, file.source)


def plan_shards(split: str, groups: Iterable[Sequence[Placed]], limit_bytes: int) -> Iterator[ShardPlan]:
    """Deal the files of a split into shards of about the same size.

    Args:
        split: Its name.
        groups: Files that belong together and share a tar, in the order they get there.
        limit_bytes: A tar that reached this is closed and the next begun.
    """
    index, size_bytes = 0, 0
    files: list[Placed] = []
    for group in groups:
        if size_bytes >= limit_bytes:
            yield ShardPlan(layout.shard_key(split, index), tuple(files))
            index, size_bytes, files = index + 1, 0, []
        files += group
        size_bytes += sum(_BLOCK_BYTES + _padded(file.stored.size_bytes) for file in group)
    if files:
        yield ShardPlan(layout.shard_key(split, index), tuple(files))


def write_shard(plan: ShardPlan, path: Path) -> ShardEntry:
    """Write a shard's tar in one pass.

    Args:
        plan: What goes into it.
        path: The tar; its folder is made.

    Raises:
        OSError: The disk is full, or a batch is gone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("wb", buffering=1 << 20) as tar:
        for piece in _pieces(plan):
            digest.update(piece)
            size_bytes += len(piece)
            tar.write(piece)
    return ShardEntry(plan.key, size_bytes, digest.hexdigest())


def _pieces(plan: ShardPlan) -> Iterator[bytes]:
    with _Batches() as batches:
        total = 0
        for file in plan.files:
            member = tarfile.TarInfo(file.path)  # time, owner and group are 0
            member.size = file.stored.size_bytes
            header = member.tobuf(tarfile.USTAR_FORMAT)
            content = batches.read(file.stored)
            padding = bytes(_padded(len(content)) - len(content))
            total += len(header) + len(content) + len(padding)
            yield from (header, content, padding)
        end = total + 2 * _BLOCK_BYTES
        yield bytes(-(-end // tarfile.RECORDSIZE) * tarfile.RECORDSIZE - total)


class _Batches:
    """Batch files, some of them held open: the images of a split lie in all of them."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def __enter__(self) -> _Batches:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)

    def read(self, stored: Stored) -> bytes:
        descriptor = self._open.get(stored.batch)
        if descriptor is None:
            if len(self._open) >= _HELD_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
            descriptor = self._open[stored.batch] = os.open(stored.batch, os.O_RDONLY)
        data = os.pread(descriptor, stored.size_bytes, stored.offset)
        if len(data) != stored.size_bytes:
            raise OSError(f"{stored.batch} is shorter than what was written to it")
        return data


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES
