import errno
import os
import threading
from pathlib import Path

import pytest

from segsweep.errors import AccessError, ConflictError, StorageError
from segsweep.storage.local import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_is_made_by_the_first_write_and_not_before(store: LocalStore) -> None:
    assert list(store.list()) == []
    assert not store.exists("key")
    store.delete("key")
    assert not store.root.exists()
    store.write("key", b"")
    assert store.root.is_dir()


def test_the_root_is_absolute_and_knows_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert LocalStore(Path("runs")).uri == f"{tmp_path}/runs"
    assert LocalStore(Path("~/runs")).uri == "/home/somebody/runs"


def test_conditional_writes_leave_no_lock_and_no_temporary_file(store: LocalStore) -> None:
    version = store.create("lock.json", b"1")
    store.replace("lock.json", b"2", version)
    with pytest.raises(ConflictError):
        store.create("lock.json", b"3")
    with pytest.raises(ConflictError):
        store.replace("lock.json", b"3", version)
    assert names(store.root) == ["lock.json"]


def test_what_a_killed_writer_left_is_not_listed(store: LocalStore) -> None:
    store.write("a/b", b"")
    (store.root / "a" / ".segsweep-tmp-1").write_bytes(b"half")
    (store.root / ".segsweep-lock").touch()
    assert [info.key for info in store.list()] == ["a/b"]


def test_a_lock_file_left_by_a_killed_writer_locks_nobody_out(store: LocalStore) -> None:
    store.root.mkdir()
    (store.root / ".segsweep-lock").touch()
    store.create("key", b"")
    assert names(store.root) == ["key"]


def test_the_same_bytes_written_again_have_another_version(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # many writes within one tick of the kernel's clock
    versions = set()
    for _ in range(100):
        store.write("key", b"same")
        versions.add(store.read_versioned("key")[1])
    assert len(versions) == 100


def test_without_hard_links_create_still_refuses_what_is_there(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    version = store.create("key", b"first")
    with pytest.raises(ConflictError, match="key: exists already"):
        store.create("key", b"second")
    assert store.read_versioned("key") == (b"first", version)
    assert names(store.root) == ["key"]


def test_links_are_listed_as_files_and_never_followed_into_folders(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_bytes(b"12345")
    store.root.mkdir()
    (store.root / "file").symlink_to(tmp_path / "elsewhere" / "file")
    (store.root / "folder").symlink_to(store.root)
    (store.root / "broken").symlink_to(tmp_path / "absent")
    assert [(info.key, info.size_bytes) for info in store.list()] == [("file", 5)]


def test_a_listing_survives_what_is_removed_meanwhile(store: LocalStore) -> None:
    for key in ("a", "b/c", "d"):
        store.write(key, b"")
    listing = store.list()
    assert next(listing).key == "a"
    store.delete("b/c")
    (store.root / "b").rmdir()
    assert [info.key for info in listing] == ["d"]


def test_a_file_in_the_way_of_a_folder_is_told(store: LocalStore) -> None:
    store.write("a", b"")
    for write in (store.write, store.create):
        with pytest.raises(StorageError, match="a/b: a file is in the way of a folder"):
            write("a/b", b"")
    assert not store.exists("a/b")


def test_a_place_where_nobody_may_write_is_told() -> None:
    with pytest.raises(AccessError, match="/sys/segsweep/key: may not be accessed"):
        LocalStore(Path("/sys/segsweep")).write("key", b"")


@pytest.mark.slow(reason="syncs dozens of files, which takes long on a loaded disk")
@pytest.mark.timeout(20)
def test_readers_and_conditional_writers_in_one_folder_do_not_starve_each_other(store: LocalStore) -> None:
    # Counting with compare-and-swap: every increment that is told as done is in the sum.
    store.create("counter", b"0")

    def count() -> None:
        done = 0
        while done < 5:
            data, version = store.read_versioned("counter")
            try:
                store.replace("counter", str(int(data) + 1).encode(), version)
            except ConflictError:
                continue
            done += 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read("counter") == b"20"
