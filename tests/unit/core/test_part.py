from __future__ import annotations

import numpy as np
import pytest

from segsweep.core.part import Part, area, encloses

SQUARE = np.array([[2.0, 2.0], [6.0, 2.0], [6.0, 6.0], [2.0, 6.0]])


def test_a_part_is_scaled_with_its_holes():
    part = Part(SQUARE, (SQUARE / 2,)).scaled(2, 0.5)
    assert part.rings[0].tolist() == [[4, 1], [12, 1], [12, 3], [4, 3]]
    assert part.rings[1].tolist() == [[2, 0.5], [6, 0.5], [6, 1.5], [2, 1.5]]


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("turn", [1, -1])
def test_area_depends_on_neither_start_nor_turn(start: int, turn: int):
    assert area(np.roll(SQUARE, start, axis=0)[::turn]) == 16.0


def test_a_ring_that_crosses_itself_counts_its_loops_against_each_other():
    assert area(np.array([[0.0, 0.0], [2.0, 2.0], [2.0, 0.0], [0.0, 2.0]])) == 0.0


@pytest.mark.parametrize(("point", "inside"), [((4, 4), True), ((1, 4), False), ((7, 4), False), ((4, 7), False)])
def test_a_point_is_inside_or_not(point: tuple[float, float], inside: bool):
    assert encloses(SQUARE, np.array(point)) is inside
