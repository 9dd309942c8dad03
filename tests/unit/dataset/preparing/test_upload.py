from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from segsweep.dataset.preparing.batch import StoredView
from segsweep.dataset.preparing.packing import Placed, ShardPlan
from segsweep.dataset.preparing.upload import upload_shards
from segsweep.errors import StorageError, UnreachableError
from segsweep.storage.local import LocalStore


class CountingStore(LocalStore):
    """A folder that counts what is sent to it, and breaks down after so many."""

    def __init__(self, root: Path, breaks_after: int = 99) -> None:
        super().__init__(root)
        self.sent: list[str] = []
        self._left = iter(range(breaks_after))  # taken from by several threads

    def upload(self, path: Path, key: str) -> None:
        if next(self._left, None) is None:
            raise UnreachableError("gone")
        super().upload(path, key)
        self.sent.append(key)


def plans(folder: Path, content: bytes = b"x") -> list[ShardPlan]:
    found = []
    for index in range(6):
        batch = folder / f"{index}.batch"
        batch.write_bytes(content * (index + 1))
        hashes = hashlib.sha256(content * (index + 1)).digest() + hashlib.sha256(b"").digest()
        view = StoredView("", str(batch), 0, index + 1, 0, hashes, ())
        found.append(ShardPlan(f"shards/train-{index:05d}.tar", (Placed("train", str(index), view, "s"),)))
    return found


def test_every_shard_arrives_and_nothing_stays_behind(tmp_path: Path):
    store = CountingStore(tmp_path / "to")
    entries = upload_shards(plans(tmp_path), store, tmp_path)
    assert [entry.key for entry in entries] == sorted(store.sent)
    for entry in entries:
        data = store.read(entry.key)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.size_bytes, entry.sha256)
    assert list((tmp_path / "shards").iterdir()) == []


def test_a_later_run_sends_only_what_is_missing(tmp_path: Path):
    store = CountingStore(tmp_path / "to", breaks_after=3)
    with pytest.raises(UnreachableError):
        upload_shards(plans(tmp_path), store, tmp_path)
    there = set(store.sent)
    again = CountingStore(tmp_path / "to")
    entries = upload_shards(plans(tmp_path), again, tmp_path)
    assert len(entries) == 6
    assert there
    assert there.isdisjoint(again.sent)
    assert there | set(again.sent) == {entry.key for entry in entries}


@pytest.mark.parametrize("change", ["removed", "overwritten"])
def test_a_shard_that_is_no_longer_what_was_sent_is_sent_again(tmp_path: Path, change: str):
    store = CountingStore(tmp_path / "to")
    upload_shards(plans(tmp_path), store, tmp_path)
    key = "shards/train-00002.tar"
    size = len(store.read(key))
    store.delete(key)
    if change == "overwritten":
        store.write(key, bytes(size))
    again = CountingStore(tmp_path / "to")
    upload_shards(plans(tmp_path), again, tmp_path)
    assert again.sent == [key]


def test_a_shard_of_other_content_is_sent_again(tmp_path: Path):
    store = CountingStore(tmp_path / "to")
    upload_shards(plans(tmp_path), store, tmp_path)
    upload_shards(plans(tmp_path, b"y"), store, tmp_path)
    assert len(store.sent) == 12


def test_what_did_not_arrive_whole_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(LocalStore, "upload", lambda self, path, key: self.write(key, path.read_bytes()[:-1]))
    with pytest.raises(StorageError, match="bytes were uploaded, 10239 are there"):
        upload_shards(plans(tmp_path)[:1], LocalStore(tmp_path / "to"), tmp_path)
