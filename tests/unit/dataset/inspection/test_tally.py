"""Adding up what was seen."""

from __future__ import annotations

from segsweep.dataset.inspection.consequences import HIDDEN, TINY, TWINS
from segsweep.dataset.inspection.facts import Bin, Cluster, Member
from segsweep.dataset.inspection.look import Look, Pair, Seen
from segsweep.dataset.inspection.tally import SHOWN, Tally
from segsweep.dataset.inspection.verdict import Verdict


def seen(name: str, *objects: Seen, pairs: tuple[Pair, ...] = (), digest: int = 0, split: str = "train") -> Look:
    return Look(
        name=name,
        split=split,
        group=name.partition(".")[0],
        size=(10, 10),
        hash=digest,
        oddities=(),
        problems=(),
        repairs=(),
        objects=objects,
        crowds=0,
        pairs=pairs,
        overlapping=len(pairs),
        verdict=Verdict(),
    )


def square(side: float, category: int = 0) -> Seen:
    return Seen(category, side, 1, 0)


def test_distributions_have_a_bar_for_every_step_up_to_the_last():
    tally = Tally(["cat"])
    for name, sides in {"a": [], "b": [3.9], "c": [4, 8, 300]}.items():
        tally.add(seen(name, *(square(side) for side in sides)))
    assert tally.objects_per_image == (Bin("none", 1), Bin("1", 1), Bin("2", 0), Bin("3", 1))
    assert [one.label for one in tally.object_sizes][:3] == ["below 4", "4 to 8", "8 to 16"]
    assert [one.count for one in tally.object_sizes] == [1, 1, 1, 0, 0, 0, 0, 1]
    assert tally.counts == {TINY: 1}


def test_an_object_more_than_the_last_edge_falls_into_the_last_bar():
    tally = Tally(["cat"])
    tally.add(seen("a", *[square(9)] * 150))
    assert tally.objects_per_image[-1] == Bin("101 or more", 1)


def test_twins_are_of_one_class_and_hidden_objects_of_any():
    tally = Tally(["cat", "dog"])
    objects = (square(50), square(50), square(50, 1), square(9, 1))
    pairs = (Pair(1.0, 0.95, 0, 1), Pair(1.0, 0.95, 0, 2), Pair(0.6, 0.1, 2, 3), Pair(0.4, 0.1, 0, 3))
    tally.add(seen("a", *objects, pairs=pairs))
    assert tally.places[TWINS] == ["a: objects 0 and 1, IoU 0.95"]
    assert tally.places[HIDDEN] == ["a: objects 0 and 2, 100%", "a: objects 2 and 3, 60%"]
    assert [one.objects for one in tally.overlaps] == [(0, 1), (0, 2), (2, 3), (0, 3)]
    assert tally.overlaps[1].categories == ("cat", "dog")


def test_what_is_remembered_does_not_grow_with_the_dataset_nor_depend_on_its_order():
    looks = [seen(f"{i:03d}", square(i + 1.0), square(500.0), pairs=(Pair(i / 300, 0.1, 0, 1),)) for i in range(200)]
    there, back = Tally(["cat"]), Tally(["cat"])
    for one, other in zip(looks, reversed(looks), strict=True):
        there.add(one)
        back.add(other)
    assert there.smallest == back.smallest
    assert there.overlaps == back.overlaps
    assert there.examples == back.examples
    assert [one.side_px for one in there.smallest] == [float(i + 1) for i in range(SHOWN)]
    assert there.overlaps[0].image == "199"
    assert len(there.examples["cat"]) == SHOWN
    assert {one.object for one in there.examples["cat"]} == {1}  # the largest of its image


def test_copies_are_clustered_by_name_and_by_picture():
    tally = Tally(["cat"])
    tally.add(seen("x.1", digest=0b0))
    tally.add(seen("y.1", digest=0xFFFF, split="val"))
    tally.add(seen("x.2", digest=0xFF_FFFF_0000, split="val"))
    tally.add(seen("z.1", digest=0b11))
    assert tally.clusters_by_name() == (Cluster("name", (Member("x.1", "train"), Member("x.2", "val"))),)
    assert tally.clusters_by_picture(8) == (Cluster("picture", (Member("x.1", "train"), Member("z.1", "train")), 2),)
    assert tally.clusters_by_name()[0].splits == ("train", "val")
