from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from segsweep.dataset.bundles.manifest import FileEntry, ShardEntry
from segsweep.dataset.bundles.shard import unpack_shard, unpack_stream, verify_shard
from segsweep.errors import DatasetError


def entry(path: str, data: bytes) -> FileEntry:
    return FileEntry(path, len(data), hashlib.sha256(data).hexdigest(), "shards/train-00000.tar", "a.png")


def tar_of(path: Path, member: tarfile.TarInfo, data: bytes = b"") -> Path:
    member.size = len(data)
    with tarfile.open(path, "w") as tar:
        tar.addfile(member, io.BytesIO(data))
    return path


def shard_of(*contents: tuple[str, bytes]) -> tuple[bytes, list[FileEntry]]:
    """A sound tar in memory, and what the manifest says of it."""
    out = io.BytesIO()
    with tarfile.open(mode="w", fileobj=out, format=tarfile.USTAR_FORMAT) as tar:
        for name, data in contents:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue(), [entry(name, data) for name, data in contents]


class Pipe(io.RawIOBase):
    """Bytes that arrive in pieces and cannot be sought."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._data.read(min(len(buffer), 700))
        buffer[: len(piece)] = piece
        return len(piece)


CONTENTS = [("images/train/a.jpg", b"a" * 2_500_000), ("labels/train/a.txt", b""), ("images/val/b.jpg", b"b" * 513)]


def test_files_come_out_of_a_stream_as_they_went_in(tmp_path: Path):
    tar, files = shard_of(*CONTENTS)
    unpack_stream(io.BufferedReader(Pipe(tar)), len(tar), files, tmp_path / "out", "x")
    assert {path: (tmp_path / "out" / path).read_bytes() for path, _ in CONTENTS} == dict(CONTENTS)


@pytest.mark.parametrize("change", [-1, 1, 1_000_000])
def test_a_stream_of_another_length_is_refused(tmp_path: Path, change: int):
    tar, files = shard_of(*CONTENTS)
    data = tar + b"\0" * change if change > 0 else tar[:change]
    with pytest.raises(DatasetError, match=f"must be {len(tar)} bytes long"):
        unpack_stream(io.BytesIO(data), len(tar), files, tmp_path / "out", "x")


def test_a_shard_that_is_what_it_was_is_verified():
    tar, _ = shard_of(*CONTENTS)
    verify_shard(io.BytesIO(tar), ShardEntry("x", len(tar), hashlib.sha256(tar).hexdigest()), "x")


def test_a_truncated_shard_is_named_with_its_hash():
    tar, _ = shard_of(*CONTENTS)
    shard = ShardEntry("shards/train-00000.tar", len(tar), hashlib.sha256(tar).hexdigest())
    with pytest.raises(DatasetError) as caught:
        verify_shard(io.BytesIO(tar[:-1]), shard, "s3://b/shard")
    (problem,) = caught.value.problems
    assert problem.where == "s3://b/shard"
    assert problem.rule == f"the shard must be {shard.size_bytes} bytes with sha256 {shard.sha256}"
    assert problem.value == f"{shard.size_bytes - 1} bytes with sha256 {hashlib.sha256(tar[:-1]).hexdigest()}"


@pytest.mark.parametrize("name", ["/etc/passwd", "../out.txt", "images/train/../../../x", "images/train/b.jpg"])
def test_a_member_the_manifest_does_not_list_is_refused(tmp_path: Path, name: str):
    path = tar_of(tmp_path / "x.tar", tarfile.TarInfo(name), b"data")
    with pytest.raises(DatasetError, match=f"member = file '{name}'"):
        unpack_shard(path, [entry("images/train/a.jpg", b"data")], tmp_path / "deep/out", "x")
    assert [found.name for found in tmp_path.iterdir()] == ["x.tar"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.FIFOTYPE, "device"),
        (tarfile.DIRTYPE, "folder"),
    ],
)
def test_a_member_that_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes, told: str):
    member = tarfile.TarInfo("images/train/a.jpg")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(DatasetError, match=f"member = {told} 'images/train/a.jpg'"):
        unpack_shard(tar_of(tmp_path / "x.tar", member), [entry("images/train/a.jpg", b"")], tmp_path / "out", "x")
    assert not (tmp_path / "out").exists()


def test_a_member_listed_twice_in_the_tar_is_refused(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for _ in range(2):
            member = tarfile.TarInfo("images/train/a.jpg")
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(DatasetError, match="the files of the manifest and nothing else"):
        unpack_shard(tmp_path / "x.tar", [entry("images/train/a.jpg", b"x")], tmp_path / "out", "x")


def test_a_file_of_other_content_is_told_with_both_hashes(tmp_path: Path):
    path = tar_of(tmp_path / "x.tar", tarfile.TarInfo("images/train/a.jpg"), b"evil")
    expected, found = (hashlib.sha256(data).hexdigest() for data in (b"good", b"evil"))
    with pytest.raises(DatasetError, match=f"images/train/a.jpg = {found}: the file must have sha256 {expected}"):
        unpack_shard(path, [entry("images/train/a.jpg", b"good")], tmp_path / "out", "x")


def test_a_file_larger_than_announced_is_refused_before_it_is_read(tmp_path: Path):
    path = tar_of(tmp_path / "x.tar", tarfile.TarInfo("images/train/a.jpg"), b"x" * 1000)
    with pytest.raises(DatasetError, match="and nothing else"):
        unpack_shard(path, [entry("images/train/a.jpg", b"x")], tmp_path / "out", "x")


def test_a_missing_member_is_named(tmp_path: Path):
    path = tar_of(tmp_path / "x.tar", tarfile.TarInfo("images/train/a.jpg"), b"x")
    files = [entry("images/train/a.jpg", b"x"), entry("labels/train/a.txt", b"y")]
    with pytest.raises(DatasetError, match=r"missing = labels/train/a\.txt"):
        unpack_shard(path, files, tmp_path / "out", "x")


@pytest.mark.parametrize("data", [b"", b"no tar", b"\0" * 100])
def test_what_is_no_tar_is_told(tmp_path: Path, data: bytes):
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(DatasetError):
        unpack_shard(tmp_path / "x.tar", [entry("images/train/a.jpg", b"x")], tmp_path / "out", "x")


def test_a_shard_that_goes_on_for_ever_is_refused_once_it_is_too_long(tmp_path: Path):
    path = tmp_path / "x.tar"
    with path.open("wb") as file:
        file.truncate(10**12)
    with path.open("rb") as tar, pytest.raises(DatasetError, match="more than 5 bytes"):
        verify_shard(tar, ShardEntry("shards/x.tar", 5, "0"), "x")
