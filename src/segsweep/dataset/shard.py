"""Shards: tars that are the same bytes for the same files, written in one pass and read without trust."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from segsweep.dataset.manifest import FileEntry, ShardEntry
from segsweep.dataset.tar_members import read_members
from segsweep.errors import DatasetError, Problem
from segsweep.storage import layout

_CHUNK_BYTES = 1 << 20


class ShardWriter:
    """Writes the files of one split into tars of about the same size.

    Args:
        folder: Where the tars go, under their keys.
        split: The split.
        limit_bytes: A tar that reached this is closed and the next begun.
    """

    def __init__(self, folder: Path, split: str, limit_bytes: int) -> None:
        self._folder = folder
        self._split = split
        self._limit_bytes = limit_bytes
        self._tar: tarfile.TarFile | None = None
        self._sink: _HashingFile | None = None
        self.shards: list[ShardEntry] = []
        self.files: list[FileEntry] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def add(self, contents: Iterable[tuple[str, bytes]], source: str) -> None:
        """Add files that belong together; they share a tar.

        Args:
            contents: Path and content of each.
            source: The image they were made from.
        """
        if self._tar is not None and self._tar.offset >= self._limit_bytes:
            self._close()
        if self._tar is None:
            path = self._folder / self._key
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = _HashingFile(path.open("wb"))
            sink = cast("BinaryIO", self._sink)
            self._tar = tarfile.TarFile.open(mode="w|", fileobj=sink, format=tarfile.USTAR_FORMAT)
        for path_inside, data in contents:
            member = tarfile.TarInfo(path_inside)  # time, owner and group are 0
            member.size = len(data)
            self._tar.addfile(member, io.BytesIO(data))
            sha256 = hashlib.sha256(data).hexdigest()
            self.files.append(FileEntry(path_inside, len(data), sha256, self._key, source))

    @property
    def _key(self) -> str:
        return layout.shard_key(self._split, len(self.shards))

    def _close(self) -> None:
        if self._tar is None or self._sink is None:
            return
        self._tar.close()
        self._sink.file.close()
        self.shards.append(ShardEntry(self._key, self._sink.size_bytes, self._sink.hash.hexdigest()))
        self._tar = self._sink = None


def verify_shard(path: Path, entry: ShardEntry, where: str) -> None:
    """Compare a downloaded tar with the manifest.

    Raises:
        DatasetError: It is shorter, longer or other than it was; expected and found are told.
    """
    sha256, size_bytes = _hash_file(path)
    if (sha256, size_bytes) != (entry.sha256, entry.size_bytes):
        rule = f"the shard must be {entry.size_bytes} bytes with sha256 {entry.sha256}"
        fix = "the bundle is damaged: delete it and prepare it anew"
        raise DatasetError(Problem(where, rule, value=f"{size_bytes} bytes with sha256 {sha256}", fix=fix))


def unpack_shard(path: Path, files: Iterable[FileEntry], folder: Path, where: str) -> None:
    """Unpack a tar, each file checked against the manifest as it is written.

    Only plain files that the manifest lists are written, to the paths it lists: no link, no device, no absolute path
    and no `..` can come out of a tar, and no more bytes than announced.

    Args:
        path: The tar.
        files: What must be in it, all of it.
        folder: Where to.
        where: URI of the tar, for messages.

    Raises:
        DatasetError: The tar holds anything else, or less.
    """
    waiting = {file.path: file for file in files}
    with path.open("rb") as tar:
        try:
            for member in read_members(tar):
                entry = waiting.pop(member.name, None)
                if entry is None or member.kind != "file" or member.size_bytes != entry.size_bytes:
                    rule = "a shard must hold the files of the manifest and nothing else"
                    raise DatasetError(Problem(where, rule, "member", f"{member.kind} {member.name!r}"))
                _write_checked(tar, entry, folder, where)
        except ValueError as exc:
            raise DatasetError(Problem(where, f"must be a tar of plain files: {exc}")) from exc
    if waiting:
        missing = ", ".join(sorted(waiting)[:5])
        raise DatasetError(Problem(where, "a shard must hold the files of the manifest", "missing", missing))


def _write_checked(tar: BinaryIO, entry: FileEntry, folder: Path, where: str) -> None:
    digest, left = hashlib.sha256(), entry.size_bytes
    target = folder / entry.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        while chunk := tar.read(min(left, _CHUNK_BYTES)):
            digest.update(chunk)
            file.write(chunk)
            left -= len(chunk)
    if digest.hexdigest() != entry.sha256:
        target.unlink()
        rule = f"the file must have sha256 {entry.sha256}"
        raise DatasetError(Problem(where, rule, entry.path, digest.hexdigest()))


def _hash_file(path: Path) -> tuple[str, int]:
    digest, size_bytes = hashlib.sha256(), 0
    for chunk in _chunks(path):
        digest.update(chunk)
        size_bytes += len(chunk)
    return digest.hexdigest(), size_bytes


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


class _HashingFile:
    """A file that knows the hash and length of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.size_bytes += len(data)
        return self.file.write(data)
