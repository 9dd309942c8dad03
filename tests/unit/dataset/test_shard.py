from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from segsweep.dataset.manifest import FileEntry
from segsweep.dataset.shard import ShardWriter, unpack_shard, verify_shard
from segsweep.errors import DatasetError


def entry(path: str, data: bytes) -> FileEntry:
    return FileEntry(path, len(data), hashlib.sha256(data).hexdigest(), "shards/train-00000.tar", "a.png")


def write_shards(folder: Path, limit_bytes: int = 10**6) -> ShardWriter:
    with ShardWriter(folder, "train", limit_bytes) as writer:
        for name in "abc":
            contents = [(f"images/train/{name}.jpg", name.encode() * 9000), (f"labels/train/{name}.txt", b"0\n")]
            writer.add(contents, f"{name}.png")
    return writer


def tar_of(path: Path, member: tarfile.TarInfo, data: bytes = b"") -> Path:
    member.size = len(data)
    with tarfile.open(path, "w") as tar:
        tar.addfile(member, io.BytesIO(data))
    return path


def test_files_come_out_as_they_went_in(tmp_path: Path):
    writer = write_shards(tmp_path / "in")
    (shard,) = writer.shards
    verify_shard(tmp_path / "in" / shard.key, shard, "x")
    unpack_shard(tmp_path / "in" / shard.key, writer.files, tmp_path / "out", "x")
    assert (tmp_path / "out/images/train/b.jpg").read_bytes() == b"b" * 9000
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 6


def test_the_same_files_make_the_same_tar(tmp_path: Path):
    assert write_shards(tmp_path / "a").shards == write_shards(tmp_path / "b").shards
    with tarfile.open(tmp_path / "a/shards/train-00000.tar") as tar:
        assert {(member.mtime, member.uid, member.gid, member.uname) for member in tar} == {(0, 0, 0, "")}


def test_a_full_tar_is_followed_by_the_next_and_an_image_stays_with_its_label(tmp_path: Path):
    writer = write_shards(tmp_path, limit_bytes=10_000)
    assert [shard.key for shard in writer.shards] == [f"shards/train-0000{i}.tar" for i in range(3)]
    assert [file.shard[-5] for file in writer.files] == list("001122")
    assert sum(shard.size_bytes for shard in writer.shards) == sum(
        path.stat().st_size for path in (tmp_path / "shards").iterdir()
    )


def test_a_truncated_shard_is_named_with_its_hash(tmp_path: Path):
    (shard,) = write_shards(tmp_path).shards
    path = tmp_path / shard.key
    path.write_bytes(path.read_bytes()[:-1])
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DatasetError) as caught:
        verify_shard(path, shard, "s3://b/shard")
    (problem,) = caught.value.problems
    assert problem.where == "s3://b/shard"
    assert problem.rule == f"the shard must be {shard.size_bytes} bytes with sha256 {shard.sha256}"
    assert problem.value == f"{shard.size_bytes - 1} bytes with sha256 {found}"


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
