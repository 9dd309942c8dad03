import errno
import os
import stat
import time
from pathlib import Path

import pytest

from segsweep.errors import AccessError, NoSpaceError, NotFoundError, StorageError, UnreachableError
from segsweep.storage.files import disk_errors, folder_beside, written_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_whole_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with written_whole(path) as file:
        file.write(b"content")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert names(path.parent) == ["file"]


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write() -> None:
        with written_whole(path) as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    says = pytest.raises(
        NoSpaceError,
        match=r"file: no room .* on device; 3.000 MB are needed, [\d.]+ of [\d.]+ MB are free in /.* \(free",
    )
    with says, disk_errors(str(path), 3_000_000), written_whole(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_the_file_is_as_readable_for_others_as_any_file_of_this_user(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    with written_whole(tmp_path / "file"):
        pass
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "file")}
    assert len(modes) == 1


def test_the_file_is_dated_to_the_nanosecond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Kernels before 6.13 date files by a clock that ticks every 4 ms: two writes in one tick would look alike.
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000_123_456_789)
    with written_whole(tmp_path / "file"):
        pass
    assert (tmp_path / "file").stat().st_mtime_ns == 1_800_000_000_123_456_789


@pytest.mark.parametrize(
    ("number", "kind", "rule"),
    [
        (errno.ENOENT, NotFoundError, "does not exist"),
        (errno.EACCES, AccessError, "may not be accessed: Permission denied"),
        (errno.EPERM, AccessError, "may not be accessed: Operation not permitted"),
        (errno.EROFS, AccessError, "may not be accessed: Read-only file system"),
        (errno.ENOSPC, NoSpaceError, "no room to write: No space left on device"),
        (errno.EDQUOT, NoSpaceError, "no room to write: Disk quota exceeded"),
        (errno.EFBIG, NoSpaceError, "no room to write: File too large"),
        (errno.ESTALE, UnreachableError, "the file system does not answer: Stale file handle"),
        (errno.EISDIR, StorageError, "a folder is in the way of the file"),
        (errno.ENOTDIR, StorageError, "a file is in the way of a folder"),
        (errno.EEXIST, StorageError, "a file is in the way of a folder"),
        (errno.ENAMETOOLONG, StorageError, "cannot be used: File name too long"),
        (errno.EIO, StorageError, "cannot be used: Input/output error"),
    ],
)
def test_the_refusals_of_the_system_become_ours(number: int, kind: type[StorageError], rule: str) -> None:
    with pytest.raises(StorageError) as raised, disk_errors("/data/file"):
        raise OSError(number, os.strerror(number))
    assert type(raised.value) is kind
    assert str(raised.value).startswith(f"/data/file: {rule}")


def test_an_error_that_is_not_the_systems_passes() -> None:
    with pytest.raises(ValueError, match="mine"), disk_errors("/data/file"):
        raise ValueError("mine")


def test_a_folder_beside_is_gone_at_the_end_and_the_target_stays(tmp_path: Path) -> None:
    with folder_beside(tmp_path / "new" / "target") as work:
        (work / "made").mkdir()
        (work / "made").rename(tmp_path / "new" / "target")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["target"]


def test_what_a_killed_process_left_beside_is_removed_and_what_is_at_work_is_not(tmp_path: Path) -> None:
    left = tmp_path / ".target.work-abc"
    (left / "half").mkdir(parents=True)
    (tmp_path / ".target-of-somebody-else.work-abc").mkdir()
    with folder_beside(tmp_path / "target") as first, folder_beside(tmp_path / "target") as second:
        assert first.is_dir()
        assert second.is_dir()
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".target-of-somebody-else.work-abc"]
