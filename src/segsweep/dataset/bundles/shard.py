"""Shards: tars that come from anywhere, unpacked without trust and without a copy of the tar on the disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import BinaryIO, cast

from segsweep.dataset.bundles.damage import DATED_NS
from segsweep.dataset.bundles.manifest import FileEntry, ShardEntry
from segsweep.dataset.bundles.tar_members import read_members
from segsweep.errors import DatasetError, Problem

_CHUNK_BYTES = 1 << 20


def verify_shard(tar: BinaryIO, entry: ShardEntry, where: str) -> None:
    """Compare a tar with the manifest.

    Args:
        tar: At its beginning.
        entry: What it must be.
        where: URI of the tar, for messages.

    Raises:
        DatasetError: It is shorter, longer or other than it was; expected and found are told.
    """
    digest, size_bytes = hashlib.sha256(), 0
    # Once it is too long, how much longer it is does not matter: it may be a terabyte of nothing.
    while size_bytes <= entry.size_bytes and (chunk := tar.read(_CHUNK_BYTES)):
        digest.update(chunk)
        size_bytes += len(chunk)
    found = f"{size_bytes} bytes with sha256 {digest.hexdigest()}"
    if size_bytes > entry.size_bytes:
        found = f"more than {entry.size_bytes} bytes"
    if found != f"{entry.size_bytes} bytes with sha256 {entry.sha256}":
        rule = f"the shard must be {entry.size_bytes} bytes with sha256 {entry.sha256}"
        fix = "the bundle is damaged: delete it and prepare it anew"
        raise DatasetError(Problem(where, rule, value=found, fix=fix))


def unpack_shard(path: Path, files: Iterable[FileEntry], folder: Path, where: str) -> None:
    """Unpack a tar that is a file; see `unpack_stream`."""
    with path.open("rb") as tar:
        unpack_stream(tar, os.fstat(tar.fileno()).st_size, files, folder, where)


def unpack_stream(
    tar: BinaryIO,
    size_bytes: int,
    files: Iterable[FileEntry],
    folder: Path,
    where: str,
    only: Collection[str] | None = None,
) -> None:
    """Unpack a tar while it arrives, each file checked against the manifest before it is complete.

    Only plain files that the manifest lists are written, to the paths it lists: no link, no device, no absolute path
    and no `..` can come out of a tar, and no more bytes than announced. Every file is hashed, once, and it is these
    hashes that the bundle's digest covers; the hash of the tar around them would say no more (`verify_shard` compares
    it when something is wrong, to tell what). Files are dated as verified, see `damage`.

    Args:
        tar: At its beginning; it is read to its end, and need not be seekable.
        size_bytes: Its length.
        files: What must be in it, all of it.
        folder: Where to.
        where: URI of the tar, for messages.
        only: Paths to write; the rest is passed over. None for all.

    Raises:
        DatasetError: The tar holds anything else, or less, or is longer or shorter.
    """
    waiting = {file.path: file for file in files}
    stream = _Forward(tar)
    made: set[str] = set()
    try:
        for member in read_members(cast("BinaryIO", stream), size_bytes):
            entry = waiting.pop(member.name, None)
            if entry is None or member.kind != "file" or member.size_bytes != entry.size_bytes:
                rule = "a shard must hold the files of the manifest and nothing else"
                raise DatasetError(Problem(where, rule, "member", f"{member.kind} {member.name!r}"))
            if only is not None and entry.path not in only:
                continue
            parent = entry.path.rpartition("/")[0]
            if parent not in made:
                (folder / parent).mkdir(parents=True, exist_ok=True)
                made.add(parent)
            _write_checked(stream, entry, folder, where)
    except ValueError as exc:
        raise DatasetError(Problem(where, f"must be a tar of plain files: {exc}")) from exc
    if waiting:
        missing = ", ".join(sorted(waiting)[:5])
        raise DatasetError(Problem(where, "a shard must hold the files of the manifest", "missing", missing))
    found = stream.drain(size_bytes)
    if found != size_bytes:
        raise DatasetError(Problem(where, f"must be {size_bytes} bytes long", value=f"{found} bytes"))


def _write_checked(tar: _Forward, entry: FileEntry, folder: Path, where: str) -> None:
    digest, left = hashlib.sha256(), entry.size_bytes
    target = f"{folder}/{entry.path}"
    with open(target, "wb", buffering=0) as file:  # noqa: PTH123 - a Path costs as much as the file itself
        while left and (chunk := tar.read(min(left, _CHUNK_BYTES))):
            digest.update(chunk)
            file.write(chunk)
            left -= len(chunk)
        os.utime(file.fileno(), ns=(DATED_NS, DATED_NS))
    if digest.hexdigest() != entry.sha256:
        Path(target).unlink()
        rule = f"the file must have sha256 {entry.sha256}"
        raise DatasetError(Problem(where, rule, entry.path, digest.hexdigest()))


class _Forward:
    """A stream that knows where it is and goes forward only, as something that arrives does."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._at = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._at += len(data)
        return data

    def seek(self, to: int) -> None:
        while self._at < to and self.read(min(to - self._at, _CHUNK_BYTES)):
            pass

    def drain(self, most: int) -> int:
        """Read to the end, or a little beyond `most`, and say how far that was."""
        while self._at <= most and self.read(_CHUNK_BYTES):
            pass
        return self._at
