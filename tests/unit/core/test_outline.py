from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segsweep.core.geometry import Mask, Part, fill, trace
from segsweep.core.outline import Changes, trace_columns

masks = st.tuples(st.integers(1, 14), st.integers(1, 14)).flatmap(lambda shape: arrays(np.bool_, shape))


def changes_along_columns(mask: Mask) -> Changes:
    """Pixel by pixel, as the module's docstring says it."""
    height, width = mask.shape
    found = []
    for x in range(width):
        column = [False, *mask[:, x].tolist(), False]
        found += [x * (height + 1) + y for y in range(height + 1) if column[y] != column[y + 1]]
    return np.array(found, np.int64)


def rings_of(parts: tuple[Part, ...]) -> list[list[list[tuple[float, ...]]]]:
    return [[[tuple(point) for point in ring.round(6).tolist()] for ring in part.rings] for part in parts]


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(masks)
def test_a_mask_and_its_changes_along_columns_have_the_same_outlines(mask: Mask):
    height, width = mask.shape
    parts = trace_columns(changes_along_columns(mask), height)
    assert rings_of(parts) == rings_of(trace(mask))
    assert np.array_equal(fill(parts, height, width), mask)


def test_a_piece_at_the_very_edges_of_the_image_is_outlined_whole():
    mask = np.ones((3, 5), np.bool_)
    (part,) = trace(mask)
    assert part.exterior.round(1).tolist() == [[0, 0], [5, 0], [5, 3], [0, 3]]


def test_a_mask_in_the_middle_of_nothing_is_outlined_where_it_is():
    mask = np.zeros((1000, 1000), np.bool_)
    mask[500:502, 700:703] = True
    (part,) = trace(mask)
    assert part.exterior.round(1).tolist() == [[700, 500], [703, 500], [703, 502], [700, 502]]


def test_no_changes_are_no_parts():
    assert trace_columns(np.empty(0, np.int64), 5) == ()
