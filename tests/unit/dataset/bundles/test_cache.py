from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from segsweep.dataset.bundles import cache
from segsweep.dataset.bundles.cache import cache_limit, cached, hold, let_go, make_room, mark_used
from segsweep.errors import ConfigError, NoSpaceError

MB = 1_000_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three copies of 100 MB, `a` used last week, `b` yesterday, `c` today, on a disk of 1 GB."""
    monkeypatch.delenv("SEGSWEEP_CACHE_GB", raising=False)
    for days, name in enumerate("cba"):
        root = tmp_path / name
        root.mkdir()
        mark = root / "complete.json"
        mark.write_text(json.dumps({"size_bytes": 100 * MB}))
        os.utime(mark, (10**9 - days * 86400,) * 2)
    usage = namedtuple("usage", "total used free")

    def free(_: object) -> object:
        taken = sum(one.size_bytes for one in cached(tmp_path))
        return usage(1000 * MB, taken, 1000 * MB - taken)

    monkeypatch.setattr(shutil, "disk_usage", free)
    return tmp_path


def names(folder: Path) -> list[str]:
    return [one.root.name for one in cached(folder)]


def test_copies_are_listed_least_recently_used_first(folder: Path):
    assert names(folder) == ["a", "b", "c"]
    mark_used(folder / "a")
    assert names(folder) == ["b", "c", "a"]


def test_nothing_goes_where_there_is_room(folder: Path):
    make_room(folder, "new", 600 * MB, 100 * MB)
    assert names(folder) == ["a", "b", "c"]


@pytest.mark.parametrize(("needed_mb", "left"), [(601, ["b", "c"]), (701, ["c"]), (900, [])])
def test_only_as_many_go_as_the_disk_needs(folder: Path, needed_mb: int, left: list[str]):
    make_room(folder, "new", needed_mb * MB, 100 * MB)
    assert names(folder) == left


@pytest.mark.parametrize(("limit", "left"), [("0.4", ["a", "b", "c"]), ("0.35", ["b", "c"]), ("0.1", [])])
def test_only_as_many_go_as_the_limit_asks(folder: Path, monkeypatch: pytest.MonkeyPatch, limit: str, left: list[str]):
    monkeypatch.setenv("SEGSWEEP_CACHE_GB", limit)
    make_room(folder, "new", 100 * MB, 0)
    assert names(folder) == left


def test_a_copy_that_is_used_stays_and_the_next_one_goes(folder: Path):
    hold(folder / "a")
    make_room(folder, "new", 700 * MB, 100 * MB)
    assert names(folder) == ["a", "c"]
    let_go(folder / "a")
    make_room(folder, "new", 800 * MB, 100 * MB)
    assert names(folder) == ["c"]


def test_another_process_that_uses_a_copy_keeps_it(folder: Path):
    with (folder / ".a.in-use.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        hold(folder / "a")  # any number may use it
        let_go(folder / "a")
        make_room(folder, "new", 700 * MB, 100 * MB)
    assert names(folder) == ["a", "c"]


def test_a_full_disk_with_nothing_to_evict_is_told(folder: Path):
    for name in "abc":
        hold(folder / name)
    with pytest.raises(NoSpaceError, match="staging new needs 1000 MB, 700 MB are free"):
        make_room(folder, "new", 900 * MB, 100 * MB)
    for name in "abc":
        let_go(folder / name)
    assert names(folder) == ["a", "b", "c"]


def test_a_limit_that_cannot_be_kept_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SEGSWEEP_CACHE_GB", "0.25")
    hold(folder / "c")
    with pytest.raises(NoSpaceError, match="new needs 200 MB, bundles may take 250 MB; 100 MB of them are in use"):
        make_room(folder, "new", 200 * MB, 0)
    let_go(folder / "c")
    assert names(folder) == ["c"]


def test_a_bundle_that_could_never_fit_evicts_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(NoSpaceError, match="staging new needs 1001 MB, 700 MB are free"):
        make_room(folder, "new", 1001 * MB, 0)
    assert names(folder) == ["a", "b", "c"]
    monkeypatch.setenv("SEGSWEEP_CACHE_GB", "0.1")
    with pytest.raises(NoSpaceError, match=r"new needs 101 MB, bundles may take 100 MB \(raise"):
        make_room(folder, "new", 101 * MB, 0)
    assert names(folder) == ["a", "b", "c"]


@pytest.mark.parametrize("mark", ["", "{", "[1]", "\0", "[" * 100_000])
def test_a_damaged_mark_disturbs_nobody(folder: Path, mark: str):
    (folder / "a/complete.json").write_text(mark)
    assert {one.root.name: one.size_bytes for one in cached(folder)}["a"] == len(mark)


def test_a_copy_does_not_stand_in_its_own_way(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SEGSWEEP_CACHE_GB", "0.3")
    make_room(folder, "a", 100 * MB, 0)
    assert names(folder) == ["a", "b", "c"]


def test_a_copy_of_an_earlier_version_is_measured(folder: Path):
    (folder / "a/complete.json").write_text("{}")
    (folder / "a/image.jpg").write_bytes(bytes(5000))
    assert {one.root.name: one.size_bytes for one in cached(folder)}["a"] == 5002


def test_no_limit_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(cache.LIMIT_VARIABLE, raising=False)
    assert cache_limit() is None
    monkeypatch.setenv(cache.LIMIT_VARIABLE, "1.5")
    assert cache_limit() == 1_500_000_000


@pytest.mark.parametrize("text", ["0", "-1", "a lot", "inf", "nan"])
def test_an_odd_limit_is_told(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv(cache.LIMIT_VARIABLE, text)
    with pytest.raises(ConfigError, match=r"SEGSWEEP_CACHE_GB: .*: must be a number of gigabytes above 0"):
        cache_limit()
