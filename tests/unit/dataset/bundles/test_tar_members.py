from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from segsweep.dataset.bundles.tar_members import Member, read_members


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes], format_: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format_) as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def read(path: Path) -> list[Member]:
    with path.open("rb") as file:
        return list(read_members(file))


def test_what_tarfile_writes_is_read(tmp_path: Path):
    names = ["a", "images/train/a.jpg", "images/train/" + "a" * 91 + ".jpg"]
    members = [(tarfile.TarInfo(name), name.encode() * size) for name in names for size in (0, 1, 513)]
    path = tar_of(tmp_path / "x.tar", *members)
    assert read(path) == [Member(member.name, len(data), "file") for member, data in members]


def test_the_tar_stands_at_the_content_of_the_member_that_is_held(tmp_path: Path):
    path = tar_of(
        tmp_path / "x.tar", (tarfile.TarInfo("a"), b"one"), (tarfile.TarInfo("b"), b""), (tarfile.TarInfo("c"), b"two")
    )
    with path.open("rb") as file:
        found = {member.name: file.read(member.size_bytes) for member in read_members(file)}
    assert found == {"a": b"one", "b": b"", "c": b"two"}


def test_members_may_be_left_unread(tmp_path: Path):
    path = tar_of(tmp_path / "x.tar", (tarfile.TarInfo("a"), b"x" * 2000), (tarfile.TarInfo("b"), b"y"))
    assert [member.name for member in read(path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (tarfile.REGTYPE, "file"), (tarfile.AREGTYPE, "file"), (tarfile.LNKTYPE, "link"), (tarfile.SYMTYPE, "link"),
        (tarfile.CHRTYPE, "device"), (tarfile.BLKTYPE, "device"), (tarfile.FIFOTYPE, "device"),
        (tarfile.DIRTYPE, "folder"), (tarfile.CONTTYPE, "extension"), (tarfile.GNUTYPE_SPARSE, "extension"),
    ],
)  # fmt: skip
def test_a_kind_is_told(tmp_path: Path, kind: bytes, told: str):
    member = tarfile.TarInfo("a")
    member.type = kind
    assert read(tar_of(tmp_path / "x.tar", (member, b""))) == [Member("a", 0, told)]


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_name_that_needs_an_extension_is_one(tmp_path: Path, format_: int):
    path = tar_of(tmp_path / "x.tar", (tarfile.TarInfo("é" * 200), b""), format_=format_)
    assert read(path)[0].kind == "extension"


def with_size(path: Path, field: bytes) -> Path:
    block = bytearray(path.read_bytes()[:512])
    block[124:136] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path.write_bytes(bytes(block) + path.read_bytes()[512:])
    return path


@pytest.mark.parametrize(
    "field", [b"-0000000001\0", b"\xff" * 12, b"\x80" + bytes(10) + b"\1", bytes(12), b"1_0".ljust(12)]
)
def test_a_size_in_other_than_octal_digits_is_refused(tmp_path: Path, field: bytes):
    path = with_size(tar_of(tmp_path / "x.tar", (tarfile.TarInfo("a"), b"x")), field)
    with pytest.raises(ValueError, match="a number in the header at byte 0"):
        read(path)


def test_a_size_beyond_the_end_is_refused_before_it_is_read(tmp_path: Path):
    path = with_size(tar_of(tmp_path / "x.tar", (tarfile.TarInfo("a"), b"x")), b"77777777777\0")
    with pytest.raises(ValueError, match=r"'a' claims 8589934591 bytes, \d+ are there"):
        read(path)


def test_a_damaged_header_is_told_by_its_place(tmp_path: Path):
    path = tar_of(tmp_path / "x.tar", (tarfile.TarInfo("a"), b"x"), (tarfile.TarInfo("b"), b"x"))
    data = bytearray(path.read_bytes())
    data[1024] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="the header at byte 1024 is damaged"):
        read(path)


@pytest.mark.parametrize("length", [0, 100, 512, 1024, 1500])
def test_an_end_without_its_mark_is_told(tmp_path: Path, length: int):
    path = tar_of(tmp_path / "x.tar", (tarfile.TarInfo("a"), b"x"), (tarfile.TarInfo("b"), b"x"))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"ends at byte|claims 1 bytes, 0 are there"):
        read(path)
