from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsweep.dataset.preparing.grouping import merge_groups, regroup
from segsweep.dataset.records import Findings, ImageRecord, RawDataset
from segsweep.errors import ConfigError


def images(*names: str) -> tuple[ImageRecord, ...]:
    return tuple(ImageRecord(Path(name), name, f"own {name}", ()) for name in names)


def groups(records: tuple[ImageRecord, ...]) -> list[str]:
    return [record.group for record in records]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"^[^/]+", ["ulm", "ulm", "bonn"]),
        (r"/([a-z]+)_", ["cat", "dog", "cat"]),
        (r"(?:cat|dog)_(\d)", ["1", "2", "1"]),
        (r"_(\d)(?:\.png)?", ["1", "2", "1"]),
        (r"(?P<city>\w+)/", ["ulm", "ulm", "bonn"]),
    ],
)
def test_a_pattern_finds_the_group_in_the_name(pattern: str, expected: list[str]):
    findings = Findings()
    assert groups(regroup(images("ulm/cat_1.jpg", "ulm/dog_2.jpg", "bonn/cat_1.png"), pattern, findings)) == expected
    assert findings.notes == ()


def test_images_that_do_not_match_keep_their_group_and_are_noted():
    findings = Findings()
    found = regroup(images("a_1.jpg", "b.jpg", "_2.jpg"), r"^([a-z]*)_", findings)
    assert groups(found) == ["a", "own b.jpg", "own _2.jpg"]
    (note,) = findings.notes
    assert (note.count, note.examples) == (2, ("b.jpg", "_2.jpg"))


@pytest.mark.parametrize(
    ("pattern", "told"), [("(", "regular expression: missing"), ("(a)(b)", "one group at most, this has 2")]
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str, told: str):
    with pytest.raises(ConfigError, match=told):
        regroup(images("a.jpg"), pattern, Findings())


def test_clusters_join_groups_also_through_others():
    dataset = RawDataset("yolo", ("cat",), images("a", "b", "c", "d", "e", "f"))
    merged = merge_groups(dataset, [("e", "d"), ("b", "c"), ("c", "d"), ("f",)])
    assert groups(merged.images) == ["own a", "own b", "own b", "own b", "own b", "own f"]
    assert merged.images[0] is dataset.images[0]


def test_images_of_one_group_follow_when_another_of_them_is_joined():
    records = tuple(ImageRecord(Path(name), name, group, ()) for name, group in [("a", "1"), ("b", "1"), ("c", "2")])
    assert groups(merge_groups(RawDataset("yolo", (), records), [("b", "c")]).images) == ["1", "1", "1"]


@given(st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=4), max_size=8))
def test_merging_agrees_with_joining_sets_until_nothing_changes(clusters: list[list[int]]):
    names = [f"{number:02}" for number in range(12)]
    merged = merge_groups(RawDataset("yolo", (), images(*names)), [[names[i] for i in cluster] for cluster in clusters])
    sets = [{i} for i in range(12)]
    for _ in range(12):
        for cluster in clusters:
            joined = set().union(*(one for one in sets if one & set(cluster)))
            sets = [one for one in sets if not one & joined] + [joined]
    expected = {i: f"own {names[min(one)]}" for one in sets for i in one}
    assert groups(merged.images) == [expected[i] for i in range(12)]
