from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from segsweep.storage.plain import open_plain, read_plain


def test_a_plain_file_is_read(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"data")
    assert read_plain(tmp_path / "a", 4) == b"data"
    with open_plain(tmp_path / "a") as file:
        assert file.read() == b"data"


def test_a_link_to_a_plain_file_is_one(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"data")
    (tmp_path / "b").symlink_to("a")
    assert read_plain(tmp_path / "b", 4) == b"data"


def test_a_file_above_the_limit_is_not_read(tmp_path: Path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(OSError, match="it has 1000000000000 bytes, it may have 1000000"):
        read_plain(tmp_path / "a", 10**6)


def test_a_pipe_is_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "a")
    with pytest.raises(OSError, match="no plain file"):
        open_plain(tmp_path / "a")


def test_a_device_is_refused(tmp_path: Path):
    (tmp_path / "a").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="no plain file"):
        open_plain(tmp_path / "a")


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("a")
        with pytest.raises(OSError, match=r"\[Errno"):
            open_plain(tmp_path / "a")


def test_a_folder_is_refused(tmp_path: Path):
    with pytest.raises(IsADirectoryError):
        open_plain(tmp_path)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "none"])
def test_a_name_that_no_file_has_is_not_found(tmp_path: Path, name: str):
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / name)


def test_a_refusal_leaves_no_descriptor_open(tmp_path: Path):
    os.mkfifo(tmp_path / "a")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (tmp_path, tmp_path / "a"):
        with pytest.raises(OSError, match=r"."):
            open_plain(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
