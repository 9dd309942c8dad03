"""Packing: files that lie in batches become shards, tars that are the same bytes for the same files."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from segsweep.dataset.bundles.manifest import FileEntry, ShardEntry
from segsweep.dataset.preparing.batch import StoredView
from segsweep.storage import layout

_BLOCK_BYTES = 512
_HELD_OPEN = 64  # batches


@dataclass(frozen=True, slots=True)
class Placed:
    """An image of the bundle with its label file: what they are called, and where their content lies.

    Attributes:
        split: The split they belong to.
        stem: Of both files.
        view: Their content.
        source: The image they were made from.
    """

    split: str
    stem: str
    view: StoredView
    source: str

    @property
    def packed_bytes(self) -> int:
        """What they take in a tar."""
        return sum(_BLOCK_BYTES + _padded(size) for size in (self.view.image_bytes, self.view.label_bytes))

    def image(self, shard: str) -> FileEntry:
        """The image as the manifest has it; `shard` is the key of its tar."""
        path, sha256 = layout.image_key(self.split, self.stem), self.view.hashes[:32].hex()
        return FileEntry(path, self.view.image_bytes, sha256, shard, self.source)

    def labels(self, shard: str) -> FileEntry:
        """The label file as the manifest has it."""
        path, sha256 = layout.label_key(self.split, self.stem), self.view.hashes[32:].hex()
        return FileEntry(path, self.view.label_bytes, sha256, shard, self.source)


@dataclass(frozen=True)
class ShardPlan:
    """A shard that is to be written.

    Attributes:
        key: Relative to the bundle.
        files: In the order of the tar; each is an image and its labels.
    """

    key: str
    files: tuple[Placed, ...]


def plan_shards(split: str, files: Iterable[Placed], limit_bytes: int) -> Iterator[ShardPlan]:
    """Deal the files of a split into shards of about the same size.

    Args:
        split: Its name.
        files: In the order they get there.
        limit_bytes: A tar that reached this is closed and the next begun.
    """
    index, size_bytes = 0, 0
    dealt: list[Placed] = []
    for placed in files:
        if size_bytes >= limit_bytes:
            yield ShardPlan(layout.shard_key(split, index), tuple(dealt))
            index, size_bytes, dealt = index + 1, 0, []
        dealt.append(placed)
        size_bytes += placed.packed_bytes
    if dealt:
        yield ShardPlan(layout.shard_key(split, index), tuple(dealt))


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
        for placed in plan.files:
            both = batches.read(placed.view)
            for entry, start in ((placed.image(plan.key), 0), (placed.labels(plan.key), placed.view.image_bytes)):
                member = tarfile.TarInfo(entry.path)  # time, owner and group are 0
                member.size = entry.size_bytes
                header = member.tobuf(tarfile.USTAR_FORMAT)
                padding = bytes(_padded(entry.size_bytes) - entry.size_bytes)
                total += len(header) + entry.size_bytes + len(padding)
                yield from (header, both[start : start + entry.size_bytes], padding)
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

    def read(self, view: StoredView) -> bytes:
        """The image, then the labels."""
        descriptor = self._open.get(view.batch)
        if descriptor is None:
            if len(self._open) >= _HELD_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
            descriptor = self._open[view.batch] = os.open(view.batch, os.O_RDONLY)
        size_bytes = view.image_bytes + view.label_bytes
        data = os.pread(descriptor, size_bytes, view.offset)
        if len(data) != size_bytes:
            raise OSError(f"{view.batch} is shorter than what was written to it")
        return data


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES
