"""What a bundle holds: every file of every split under its name, and what is counted of them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from segsweep.dataset.bundles.manifest import FileEntry, SplitFacts
from segsweep.dataset.preparing.batch import StoredView
from segsweep.dataset.preparing.contents import Contents
from segsweep.dataset.preparing.options import PrepareOptions
from segsweep.dataset.preparing.plan import Plan

CLASSES = ("cat", "dog", "owl")
# Dealt out of order: neither the names nor the splits are sorted.
SPLITS_OF = {"x/b.png": "val", "x/c.png": "train", "y/a.png": "train", "x/a.png": "test"}
STEMS = {"x/b.png": "b", "x/c.png": "c", "y/a.png": "a", "x/a.png": "a-0123"}


def view(suffix: str = "", counts: Mapping[int, int] | None = None, size: int = 100) -> StoredView:
    """An image of so many bytes with as many label rows as are counted."""
    instances = tuple(sorted(({0: 1} if counts is None else counts).items()))
    rows = sum(count for _, count in instances)
    hashes = suffix.encode().ljust(32, b"i") + bytes([rows]) * 32
    return StoredView(suffix, "x.batch", 0, size, 10 * rows, hashes, instances)


def contents(
    views: Mapping[str, list[StoredView]] | None = None,
    copies: Mapping[str, list[StoredView]] | None = None,
    splits: Mapping[str, str] = SPLITS_OF,
    shard_bytes: int = 10**6,
) -> Contents:
    plan = Plan(CLASSES, splits, STEMS, is_given=True, options=PrepareOptions())
    return Contents(plan, views or {name: [view()] for name in STEMS}, copies or {}, shard_bytes)


def paths(entries: list[FileEntry]) -> list[str]:
    return [entry.path for entry in entries]


def test_every_split_has_its_shards_with_its_images_in_the_order_of_their_stems():
    shards = contents().shards
    assert [(shard.key, [placed.stem for placed in shard.files]) for shard in shards] == [
        ("shards/train-00000.tar", ["a", "c"]),
        ("shards/val-00000.tar", ["b"]),
        ("shards/test-00000.tar", ["a-0123"]),
    ]
    assert [placed.source for placed in shards[0].files] == ["y/a.png", "x/c.png"]


def test_copies_follow_their_image_and_every_split_is_cut_by_itself():
    copies = {"y/a.png": [view("-copy1"), view("-copy2")], "x/c.png": [view("-copy1"), view("-copy2")]}
    shards = contents(copies=copies, shard_bytes=6 * 512).shards  # a picture with its label takes 4 * 512
    assert [(shard.key, [placed.stem for placed in shard.files]) for shard in shards] == [
        ("shards/train-00000.tar", ["a", "a-copy1"]),
        ("shards/train-00001.tar", ["a-copy2", "c"]),
        ("shards/train-00002.tar", ["c-copy1", "c-copy2"]),
        ("shards/val-00000.tar", ["b"]),
        ("shards/test-00000.tar", ["a-0123"]),
    ]


def test_files_come_in_the_order_of_their_paths_copies_and_tiles_included():
    views = {name: [view("-r0c0"), view("-r0c1")] for name in STEMS}
    copies = {"y/a.png": [view("-r0c0-copy1"), view("-r0c1-copy1")], "x/c.png": [view("-r0c0-copy1")]}
    found = paths([*contents(views, copies).entries()])
    assert len(found) == len(set(found)) == 2 * (8 + 3)
    assert found == sorted(found)
    assert found.index("images/train/a-r0c0-copy1.jpg") < found.index("images/train/a-r0c0.jpg")
    assert found[11:] == [path.replace("images/", "labels/").replace(".jpg", ".txt") for path in found[:11]]


def test_a_file_names_the_shard_that_holds_it_its_source_and_its_content():
    whole = contents(copies={"y/a.png": [view("-copy1", {1: 3}, 70)]}, shard_bytes=1)
    held = {path: shard.key for shard in whole.shards for placed in shard.files for path in (
        placed.image("").path, placed.labels("").path
    )}  # fmt: skip
    entries = {entry.path: entry for entry in whole.entries()}
    assert len(whole.shards) == len(SPLITS_OF) + 1
    assert {path: entry.shard for path, entry in entries.items()} == held
    image, labels = entries["images/train/a-copy1.jpg"], entries["labels/train/a-copy1.txt"]
    assert (image.source, image.size_bytes, image.sha256) == ("y/a.png", 70, b"-copy1".ljust(32, b"i").hex())
    assert (labels.source, labels.size_bytes, labels.sha256) == ("y/a.png", 30, (b"\x03" * 32).hex())


def test_counts_are_of_images_tiles_copies_and_rows_and_a_class_without_any_has_none():
    views = {
        "y/a.png": [view("-r0c0", {0: 2, 1: 1}), view("-r0c1", {})],
        "x/c.png": [view("-r0c0", {0: 1})],
        "x/b.png": [view(counts={})],
        "x/a.png": [view(counts={1: 4})],
    }
    copies = {"y/a.png": [view("-r0c0-copy1", {0: 1}), view("-r0c1-copy1", {})]}
    assert contents(views, copies).facts() == {
        "train": SplitFacts(images=5, background=2, instances={"cat": 4, "dog": 1, "owl": 0}, copies=2),
        "val": SplitFacts(images=1, background=1, instances={"cat": 0, "dog": 0, "owl": 0}, copies=0),
        "test": SplitFacts(images=1, background=0, instances={"cat": 0, "dog": 4, "owl": 0}, copies=0),
    }


def test_an_image_that_was_left_out_is_nowhere():
    kept = {name: split for name, split in SPLITS_OF.items() if name != "x/c.png"}
    found = contents(copies={"x/c.png": [view("-copy1")]}, splits=kept)
    assert [placed.source for shard in found.shards for placed in shard.files] == ["y/a.png", "x/b.png", "x/a.png"]
    assert "x/c.png" not in {entry.source for entry in found.entries()}
    assert found.facts()["train"] == SplitFacts(1, 0, {"cat": 1, "dog": 0, "owl": 0}, 0)


@pytest.mark.parametrize("gone", ["train", "val", "test"])
def test_an_empty_split_has_no_shard_and_no_file_and_is_counted_all_the_same(gone: str):
    found = contents(splits={name: split for name, split in SPLITS_OF.items() if split != gone})
    assert {shard.key.split("-")[0].removeprefix("shards/") for shard in found.shards} == {
        "train", "val", "test",
    } - {gone}  # fmt: skip
    assert not any(f"/{gone}/" in path for path in paths([*found.entries()]))
    assert found.facts()[gone] == SplitFacts(0, 0, dict.fromkeys(CLASSES, 0), 0)


def test_no_images_at_all_are_no_files():
    found = contents(splits={})
    assert (found.shards, [*found.entries()]) == ((), [])
    assert [facts.images for facts in found.facts().values()] == [0, 0, 0]


def test_what_a_bundle_holds_depends_on_no_order_in_which_images_arrived():
    views = {name: [view("-r0c0"), view("-r0c1", {1: 1})] for name in STEMS}
    copies = {"y/a.png": [view("-r0c0-copy1")], "x/c.png": [view("-r0c0-copy1"), view("-r0c1-copy1")]}
    first = contents(views, copies, shard_bytes=3000)
    turned = [dict(reversed(one.items())) for one in (views, copies, SPLITS_OF)]
    second = contents(turned[0], turned[1], turned[2], shard_bytes=3000)  # type: ignore[arg-type]
    assert first.shards == second.shards
    assert [*first.entries()] == [*second.entries()]
    assert first.facts() == second.facts()
