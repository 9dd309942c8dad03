from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segsweep.core import untangling
from segsweep.core.geometry import Part, Ring, bridge, fill, trace
from segsweep.dataset.cleaning import repair
from segsweep.dataset.cleaning.actions import Action
from segsweep.dataset.cleaning.repair import clean_instances
from segsweep.dataset.records import Instance

SIZE = (200, 100)
TRIANGLE = np.array([[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]])
SQUARE = np.array([[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]])
HOLE = np.array([[0.2, 0.2], [0.2, 0.4], [0.4, 0.4], [0.4, 0.2]])  # turns against the square
BOW_TIE = np.array([[0.2, 0.2], [0.6, 0.6], [0.6, 0.2], [0.2, 0.6]])


def one(ring: Ring, *holes: Ring, category: int = 0, crowd: bool = False) -> Instance:
    return Instance(category, (Part(ring, holes),), crowd)


def drawn(instance: Instance) -> np.ndarray:
    return fill([part.scaled(*SIZE) for part in instance.parts], SIZE[1], SIZE[0])


@pytest.mark.parametrize(
    "instances",
    [
        [],
        [one(TRIANGLE)],
        [one(TRIANGLE), one(SQUARE), one(TRIANGLE + 0.1)],
        [one(SQUARE, HOLE)],
        [Instance(0, (Part(TRIANGLE), Part(SQUARE + 0.45)))],
        [one(np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float), crowd=True)],
        [one(bridge([Part(SQUARE, (HOLE,))]))],
        [one(TRIANGLE, category=0), one(TRIANGLE, category=1), one(TRIANGLE, crowd=True)],
        [one(TRIANGLE), Instance(0, (Part(TRIANGLE), Part(SQUARE + 0.45)))],
    ],
    ids=[
        "none",
        "one",
        "several",
        "a hole",
        "parts",
        "the whole image",
        "bridged",
        "of other classes",
        "of more parts",
    ],
)
def test_what_is_sound_passes_untouched(instances: list[Instance]):
    kept, actions = clean_instances(instances, SIZE, "a.jpg")
    assert actions == ()
    assert all(after is before for after, before in zip(kept, instances, strict=True))


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_traced_mask_is_sound(seed: int):
    mask = np.random.default_rng(seed).random((9, 12)) < 0.7
    parts = tuple(part.scaled(1 / 12, 1 / 9) for part in trace(mask))
    assert clean_instances([Instance(0, parts)] if parts else [], (12, 9), "a.png")[1] == ()


@pytest.mark.parametrize(
    ("instance", "rule", "detail"),
    [
        (one(np.insert(SQUARE, 1, SQUARE[0], axis=0)), repair.POINTS_REMOVED, "1 of 5 points"),
        (one(np.insert(SQUARE, 1, [0.3, 0.1], axis=0)), repair.POINTS_REMOVED, "1 of 5 points"),
        (one(np.concatenate([SQUARE, SQUARE[:1]])), repair.POINTS_REMOVED, "1 of 5 points"),
        (one(SQUARE, HOLE[::-1]), repair.WOUND, "1 holes"),
        (one(SQUARE, HOLE[:2]), repair.FLAT_PARTS, "1 of 1"),
        (Instance(0, (Part(SQUARE), Part(TRIANGLE[:2] + 0.4))), repair.FLAT_PARTS, "1 of 2"),
        (one(BOW_TIE), repair.UNTANGLED, "1600.0 pixels in 2 parts"),
        (one(SQUARE - [0.3, 0.0]), repair.CLIPPED, "1600.0 pixels of 3200.0 pixels lay outside"),
        (one(SQUARE * 4), repair.CLIPPED, "44000.0 pixels of 51200.0 pixels lay outside"),
    ],
)
def test_what_is_wrong_is_mended_and_told(instance: Instance, rule: str, detail: str):
    kept, actions = clean_instances([one(TRIANGLE + 0.05), instance], SIZE, "a.jpg")
    assert actions == (Action("a.jpg", "object 1", rule, detail),)
    assert len(kept) == 2
    assert clean_instances(kept, SIZE, "a.jpg") == (kept, ())


@pytest.mark.parametrize(
    ("instance", "rule"),
    [
        (one(SQUARE + 2), repair.OUTSIDE),
        (one(SQUARE - [0.5, 0]), repair.OUTSIDE),
        (one(TRIANGLE[:2]), repair.FLAT),
        (one(np.array([[0.1, 0.1], [0.3, 0.3], [0.5, 0.5]])), repair.FLAT),
        (one(np.full((5, 2), 0.5)), repair.FLAT),
        (one(np.empty((0, 2))), repair.FLAT),
        (Instance(0, ()), repair.FLAT),
        (one(SQUARE * [np.nan, 1]), repair.NOT_NUMBERS),
        (one(SQUARE * [np.inf, 1]), repair.NOT_NUMBERS),
        (one(TRIANGLE.copy()), repair.DUPLICATES),
        (one(TRIANGLE[::-1]), repair.DUPLICATES),
        (one(np.roll(TRIANGLE, 1, axis=0)), repair.DUPLICATES),
        (one(np.insert(TRIANGLE, 1, TRIANGLE[0], axis=0)), repair.DUPLICATES),
    ],
)
def test_what_nobody_can_mend_or_need_is_removed_and_told(instance: Instance, rule: str):
    first = one(TRIANGLE)
    kept, actions = clean_instances([first, instance], SIZE, "a.jpg")
    assert kept == (first,)
    assert actions[-1].rule == rule
    assert {action.record for action in actions} == {"object 1"}


@pytest.mark.parametrize("factor", [1e6, 1e100, 1e300, -1e300])
def test_coordinates_may_be_anything(factor: float):
    kept, actions = clean_instances([one(TRIANGLE), one((SQUARE - 0.3) * factor)], SIZE, "a.jpg")
    assert kept[0].parts[0].exterior is TRIANGLE
    assert actions
    for instance in kept:
        assert all(ring.min() >= 0 and ring.max() <= 1 for part in instance.parts for ring in part.rings)


def test_a_point_that_rounding_put_outside_is_moved_to_the_edge_without_a_word():
    (kept,), actions = clean_instances([one(SQUARE + np.array([0.5 + 1e-7, 0]))], SIZE, "a.jpg")
    assert actions == ()
    assert kept.parts[0].exterior.max() == 1


@pytest.mark.parametrize(
    "ring",
    [
        [[1, 4 / 6], [7 / 6, 1 / 6], [0, 1 / 6], [7 / 6, 8 / 6]],
        [[1, 0], [4 / 6, 7 / 6], [2 / 6, 7 / 6]],
        [[-2 / 6, 1], [7 / 6, 1 / 6], [5 / 6, 0]],
    ],
)
def test_a_shape_cut_through_one_of_its_points_needs_no_other_repair(ring: list[list[float]]):
    kept, actions = clean_instances([one(np.array(ring))], SIZE, "a.jpg")
    assert [action.rule for action in actions] == [repair.CLIPPED]
    assert clean_instances(kept, SIZE, "a.jpg") == (kept, ())


def test_all_faults_of_one_object_are_told():
    ring = np.insert(BOW_TIE, 1, BOW_TIE[0], axis=0) - [0.3, 0]
    kept, actions = clean_instances([one(ring)], SIZE, "a.jpg")
    assert [action.rule for action in actions] == [repair.POINTS_REMOVED, repair.UNTANGLED, repair.CLIPPED]
    assert len(kept[0].parts) == 2


def test_a_scribble_stays_as_it_is_and_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(untangling, "MAX_CROSSINGS", 10)
    scribble = one(np.random.default_rng(0).random((40, 2)))
    kept, actions = clean_instances([scribble], SIZE, "a.jpg")
    assert [action.rule for action in actions] == [repair.TANGLED]
    assert np.array_equal(drawn(kept[0]), drawn(scribble))


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=200)
@example(np.array([(0.0, 0.0), (0.0, 0.8125), (0.09375, -0.21875), (1.0, 0.0)]))
@given(st.lists(st.tuples(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5)), min_size=3, max_size=9).map(np.array))
def test_no_repair_changes_a_pixel_of_the_image(ring: Ring):
    before = one(ring)
    kept, _ = clean_instances([before], SIZE, "a.jpg")
    differ = drawn(before) ^ (drawn(kept[0]) if kept else False)
    # A centre that lies on an edge may fall either way.
    assert all(_distance(x + 0.5, y + 0.5, ring * SIZE) < 1e-6 for y, x in zip(*np.nonzero(differ), strict=True))
    assert all(part.exterior.min() >= 0 and part.exterior.max() <= 1 for one in kept for part in one.parts)


def _distance(x: float, y: float, ring: Ring) -> float:
    """From a point to the nearest edge."""
    start, step = ring, np.roll(ring, -1, axis=0) - ring
    along = ((np.array([x, y]) - start) * step).sum(axis=1) / np.maximum((step**2).sum(axis=1), 1e-300)
    return float(np.linalg.norm(start + along.clip(0, 1)[:, None] * step - [x, y], axis=1).min())
