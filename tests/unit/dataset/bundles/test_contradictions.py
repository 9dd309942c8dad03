from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from segsweep.dataset.bundles.contradictions import contradictions
from segsweep.dataset.bundles.manifest import FileEntry, Manifest, ShardEntry, Small, Source, SplitFacts
from segsweep.dataset.fidelity import Fidelity
from segsweep.dataset.records import SPLITS

FILES = tuple(
    FileEntry(f"{kind}/{split}/a.{suffix}", 300, "0" * 64, f"shards/{split}-00000.tar", "a.png")
    for kind, suffix in (("images", "jpg"), ("labels", "txt"))
    for split in SPLITS
)
SOUND = Manifest(
    schema=2,
    name="pets",
    digest="d",
    classes=("cat", "Käfer"),
    imgsz=64,
    parameters={},
    source=Source("raw", "yolo"),
    splits={split: SplitFacts(1, 0, {"cat": 1}) for split in SPLITS},
    shards=tuple(ShardEntry(f"shards/{split}-00000.tar", 10240, "1" * 64) for split in SPLITS),
    files=FILES,
    notes=(),
    fidelity=Fidelity(3, 0, 1.0, 1.0, ()),
    small=Small(16.0, 0, ()),
    cleaning={},
)


PATHS = "a path must be images/<split>/<stem>.jpg or labels/<split>/<stem>.txt"


def found(**changes: Any) -> list[tuple[str, str, str]]:
    return list(contradictions(replace(SOUND, **changes), "d"))


def test_a_sound_manifest_has_none():
    assert found() == []


@pytest.mark.parametrize("name", ["", "../x", "/x", "a/b", ".", "..", "-x", "a b", "a\0", "x" * 65, "\ud800"])
def test_a_name_that_is_no_folder_of_the_cache_is_one(name: str):
    assert [field for field, _, _ in found(name=name)] == ["name"]


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("imgsz", 0, "must be 1 to 65536 pixels"),
        ("imgsz", 10**30, "must be 1 to 65536 pixels"),
        ("classes", (), "must name a class"),
        ("classes", ("a", "a"), "names of classes must differ"),
        ("classes", ("a", ""), "the name of a class must be one line of text"),
        ("classes", ("a", "b\nc"), "the name of a class must be one line of text"),
        ("digest", "e", "must be that of the content, d"),
        ("shards", (*SOUND.shards, SOUND.shards[0]), "keys of shards must differ"),
        ("files", FILES[1:], "an image and its label must both be listed"),
        ("files", (*FILES, FILES[0]), "paths must differ"),
        ("splits", SOUND.splits | {"x": SOUND.splits["val"]}, "must be train, val, test"),
        ("splits", SOUND.splits | {"val": SplitFacts(0, 0, {})}, "every split must hold images"),
        ("splits", SOUND.splits | {"val": SplitFacts(10**9, 0, {})}, "must be as many as are listed, 1"),
    ],
)
def test_a_field_that_breaks_its_rule_is_one(field: str, value: Any, rule: str):
    told = found(**{field: value})
    assert (told[0][0].partition(".")[0], told[0][2]) == (field, rule)


def first_shard(**changes: Any) -> dict[str, Any]:
    return {"shards": (replace(SOUND.shards[0], **changes), *SOUND.shards[1:])}


def first_file(**changes: Any) -> dict[str, Any]:
    return {"files": (replace(FILES[0], **changes), *FILES[1:])}


@pytest.mark.parametrize(
    ("make", "changes", "rule"),
    [
        (first_shard, {"size_bytes": 599}, "must be at least the 600 bytes of its files"),
        (first_shard, {"size_bytes": -1}, "must be at least the 600 bytes of its files"),
        (first_shard, {"key": "../x.tar"}, "a key must be shards/<name>.tar"),
        (first_shard, {"key": "manifest.json"}, "a key must be shards/<name>.tar"),
        (first_file, {"size_bytes": -1}, "a size must be 0 or more"),
        (first_file, {"size_bytes": 10**30}, f"must be at least the {10**30 + 300} bytes of its files"),
        (first_file, {"shard": "shards/x.tar"}, "a file's shard must be listed"),
        (first_file, {"path": "images/train/.jpg"}, PATHS),
    ],
)  # fmt: skip
def test_a_shard_or_file_that_breaks_its_rule_is_one(make: Callable[..., Any], changes: dict[str, Any], rule: str):
    assert rule in [told for _, _, told in found(**make(**changes))]


def test_no_shards_are_one_and_so_is_every_file_then():
    assert {(field, rule) for field, _, rule in found(shards=())} == {
        ("shards", "must name a shard"),
        ("files", "a file's shard must be listed"),
    }


def test_a_value_that_no_terminal_shows_is_told_in_quotes():
    (_, value, _) = found(name="\x1b[31m")[0]
    assert value == "'\\x1b[31m'"
