from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsweep.core.geometry import Part, fill, overlap
from segsweep.dataset.fidelity import Fidelity, FidelityTally, WorstObject, measure
from segsweep.dataset.records import Instance

SIDE = 20


def box(x: float, y: float, w: float, h: float, category: int = 0) -> Instance:
    """An object of whole pixels in an image of 20x20."""
    ring = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], dtype=np.float64)
    return Instance(category, (Part(ring / SIDE),))


def by_masks(source: list[Instance], written: list[Instance]) -> list[float]:
    """The same matching on filled masks, pair by pair."""
    masks = [
        [fill([p.scaled(SIDE, SIDE) for p in one.parts], SIDE, SIDE) for one in many] for many in (source, written)
    ]
    ious: dict[int, float] = {}
    taken: set[int] = set()
    if [one.category for one in source] == [one.category for one in written]:
        for i in range(len(source)):
            iou = overlap(masks[0][i], masks[1][i])
            if iou > 0.5:
                ious[i] = iou
                taken.add(i)
    pairs = [
        (-overlap(masks[0][i], masks[1][j]), i, j)
        for i in range(len(source))
        for j in range(len(written))
        if i not in ious and j not in taken and source[i].category == written[j].category
    ]
    for value, i, j in sorted(pairs):
        if i not in ious and j not in taken:
            ious[i] = -value
            taken.add(j)
    return [ious.get(i, 0.0) for i in range(len(source))]


BOXES = st.builds(box, st.integers(0, 8), st.integers(0, 8), st.integers(1, 9), st.integers(1, 9), st.integers(0, 1))


@pytest.mark.parametrize(
    ("source", "written", "expected"),
    [
        ([], [], ()),
        ([], [box(0, 0, 4, 4)], ()),
        ([box(0, 0, 4, 4)], [], (0.0,)),
        ([box(0, 0, 4, 4)], [box(0, 0, 4, 4)], (1.0,)),
        ([box(0, 0, 4, 4)], [box(0, 0, 4, 2)], (0.5,)),
        ([box(0, 0, 4, 4)], [box(2, 0, 4, 4)], (1 / 3,)),
        ([box(0, 0, 4, 4)], [box(9, 9, 4, 4)], (0.0,)),
        ([box(0, 0, 4, 4)], [box(0, 0, 4, 4, category=1)], (0.0,)),
    ],
)
def test_one_object_has_the_iou_of_its_two_masks(
    source: list[Instance], written: list[Instance], expected: tuple[float, ...]
):
    assert measure(source, written, SIDE, SIDE) == expected


def test_an_object_that_is_missing_does_not_shift_the_others():
    objects = [box(0, 0, 4, 4), box(5, 0, 4, 4), box(10, 0, 4, 4)]
    assert measure(objects, objects[1:], SIDE, SIDE) == (0.0, 1.0, 1.0)


def test_another_order_is_found_out():
    objects = [box(0, 0, 4, 4), box(5, 0, 4, 4), box(10, 0, 4, 4)]
    assert measure(objects, objects[::-1], SIDE, SIDE) == (1.0, 1.0, 1.0)


def test_a_written_object_serves_one_source_object_only():
    twins = [box(0, 0, 4, 4), box(0, 0, 4, 4)]
    assert measure(twins, twins[:1], SIDE, SIDE) == (1.0, 0.0)
    assert measure(twins, twins, SIDE, SIDE) == (1.0, 1.0)


def test_the_better_pair_is_made_first():
    source = [box(0, 0, 4, 4), box(0, 0, 4, 3)]
    assert measure(source, [box(0, 0, 4, 3)], SIDE, SIDE) == (0.0, 1.0)


def test_an_object_that_is_badly_written_in_its_place_is_not_lost():
    source = [box(0, 0, 8, 8), box(10, 10, 4, 4)]
    assert measure(source, [box(0, 0, 4, 4), box(10, 10, 4, 4)], SIDE, SIDE) == (0.25, 1.0)


def test_an_object_below_a_pixel_counts_as_kept_when_it_came_back_and_as_lost_when_not():
    tiny = box(3.1, 3.1, 0.2, 0.2)
    assert measure([tiny], [tiny], SIDE, SIDE) == (1.0,)
    assert measure([tiny, box(9, 9, 2, 2)], [box(9, 9, 2, 2)], SIDE, SIDE) == (0.0, 1.0)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(st.lists(BOXES, max_size=5), st.lists(BOXES, max_size=5))
def test_masks_filled_and_compared_one_by_one_say_the_same(source: list[Instance], written: list[Instance]):
    assert sum(measure(source, written, SIDE, SIDE)) == pytest.approx(sum(by_masks(source, written)))


def tally(rows: list[tuple[str, tuple[float, ...]]]) -> FidelityTally:
    filled = FidelityTally()
    for name, ious in rows:
        filled.add(name, ("cat",), [box(0, 0, 1, 1)] * len(ious), ious)
    return filled


def test_the_facts_of_no_object_are_whole_numbers_and_no_nan():
    for empty in (FidelityTally(), tally([("a", ())])):
        assert empty.facts() == Fidelity(0, 0, 1.0, 1.0, ())


def test_mean_minimum_lost_and_worst_are_those_of_all_objects():
    facts = tally([("a", (1.0, 0.5)), ("b", (0.0, 0.75))]).facts()
    assert facts == Fidelity(
        objects=4,
        lost=1,
        mean_iou=0.5625,
        min_iou=0.0,
        worst=(WorstObject(0.0, "b", 0, "cat"), WorstObject(0.5, "a", 1, "cat"), WorstObject(0.75, "b", 1, "cat")),
    )


def test_exact_objects_are_no_worst_objects():
    assert tally([("a", (1.0, 1.0))]).facts().worst == ()


@given(st.lists(st.lists(st.floats(0, 1), max_size=4).map(tuple), max_size=12), st.randoms())
def test_the_facts_depend_on_no_order_and_on_no_division_of_the_work(ious: list[tuple[float, ...]], random: object):
    rows = [(f"image{i:02}", one) for i, one in enumerate(ious)]
    expected = tally(rows).facts()
    random.shuffle(rows)  # type: ignore[attr-defined]
    halves = tally(rows[: len(rows) // 2]), tally(rows[len(rows) // 2 :])
    halves[1].merge(pickle.loads(pickle.dumps(halves[0])))
    assert halves[1].facts() == expected
    assert math.isfinite(expected.mean_iou)


def test_a_tally_stays_small_and_keeps_the_earliest_of_equally_bad_objects():
    rows = [(f"image{i:04}", (0.5,)) for i in range(1000)]
    filled = tally(rows[::-1])
    assert len(pickle.dumps(filled)) < 2000
    assert [one.image for one in filled.facts().worst] == [f"image{i:04}" for i in range(10)]
