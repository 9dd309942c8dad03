from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsweep.core.geometry import fill
from segsweep.dataset.formats.coco_shapes import read_polygons, read_shape
from segsweep.dataset.records import Findings

SIZE = (40, 30)
SQUARE = [4, 4, 12, 4, 12, 12, 4, 12]

numbers = st.one_of(
    st.integers(-1, 41), st.floats(-1, 41).map(lambda x: round(x, 2)), st.sampled_from([True, None, "1", 10**400, [1]])
)
good = st.lists(st.integers(0, 30), min_size=6, max_size=8)
polygons = good | st.lists(numbers, max_size=8) | st.sampled_from([None, "no", {}])
segmentations = st.lists(polygons, max_size=3) | st.sampled_from([None, {}, "text", 5])


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=600)
@given(st.lists(segmentations, max_size=5))
def test_what_is_read_at_once_is_what_is_read_one_by_one_without_a_word(rows: list[Any]):
    for row, parts in zip(rows, read_polygons(rows, [SIZE] * len(rows)), strict=True):
        findings = Findings()
        expected = read_shape(row, SIZE, "here", findings)
        if parts is not None:
            assert not findings.problems
            assert not findings.notes
            assert [part.exterior.tolist() for part in parts] == [part.exterior.tolist() for part in expected]


def test_right_polygons_are_read_at_once():
    rows = [[SQUARE], [SQUARE, [value + 14 for value in SQUARE]], [[0, 0, 40, 0, 40, 30]], [[0.0, 1, 1.0, 0, 5, 5]]]
    assert all(parts is not None for parts in read_polygons(rows, [SIZE] * len(rows)))


@pytest.mark.parametrize("row", [[[True, 0, 5, 0, 5, 5]], [SQUARE, [0, 0, 5, 0, 5, False]]])
def test_true_and_false_are_no_coordinates(row: Any):
    assert read_polygons([row], [SIZE]) == [None]
    findings = Findings()
    read_shape(row, SIZE, "here", findings)
    assert len(findings.problems) == 1


def test_an_image_that_is_not_known_leaves_its_annotation_out():
    first, second = read_polygons([[SQUARE], [SQUARE]], [None, SIZE])
    assert first is None
    assert second is not None


def test_parts_that_overlap_or_nest_are_one_shape_their_union():
    inner = [6, 6, 8, 6, 8, 8, 6, 8]
    (parts,) = read_polygons([[SQUARE, inner, [value + 4 for value in SQUARE]]], [SIZE])
    assert parts is not None
    mask = fill([part.scaled(*SIZE) for part in parts], 30, 40)
    assert mask.sum() == 64 + 64 - 16
    assert mask[6:8, 6:8].all()
    assert np.array_equal(np.flatnonzero(mask.any(axis=0)), np.arange(4, 16))
