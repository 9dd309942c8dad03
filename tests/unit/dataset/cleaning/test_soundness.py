from __future__ import annotations

import numpy as np
import pytest

from segsweep.core.geometry import Part
from segsweep.dataset.cleaning.soundness import look
from segsweep.dataset.records import Instance

SOUND = np.array([[0.1, 0.2], [0.5, 0.2], [0.5, 0.6]])


@pytest.mark.parametrize(
    "wrong",
    [
        SOUND + 0.6,
        SOUND * [np.nan, 1],
        SOUND[:2],
        np.empty((0, 2)),
        np.array([[0.1, 0.1], [0.5, 0.5], [0.3, 0.3]]),
        np.array([[0.1, 0.1], [0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]),
        np.array([[0.1, 0.1], [0.3, 0.1], [0.5, 0.1], [0.5, 0.5]]),
        np.array([[0.1, 0.1], [0.5, 0.5], [0.5, 0.1], [0.1, 0.5]]),
    ],
    ids=["outside", "no number", "two points", "no point", "flat", "a point twice", "straight on", "crosses itself"],
)
def test_an_unsound_shape_is_seen_and_does_not_hide_its_neighbours(wrong: np.ndarray):
    shapes = [Part(SOUND), Part(wrong), Part(SOUND[::-1])]
    assert look([Instance(0, (shape,)) for shape in shapes]).sound.tolist() == [True, False, True]
    assert look([Instance(0, (Part(SOUND),)), Instance(0, tuple(shapes))]).sound.tolist() == [True, False]


def test_a_hole_that_winds_as_its_outline_is_seen():
    outline = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    hole = outline / 2 + 0.25
    instances = [Instance(0, (Part(outline, (ring,)),)) for ring in (hole, hole[::-1])]
    assert look(instances).sound.tolist() == [False, True]
    turned = [Instance(0, (Part(outline[::-1], (ring,)),)) for ring in (hole, hole[::-1])]
    assert look(turned).sound.tolist() == [True, False]


def test_the_box_of_the_first_outline_is_told():
    found = look([Instance(0, (Part(SOUND), Part(SOUND + 0.3))), Instance(0, (Part(SOUND / 2),))])
    assert found.low.tolist() == [[0.1, 0.2], [0.05, 0.1]]
    assert found.high.tolist() == [[0.5, 0.6], [0.25, 0.3]]


def test_an_instance_without_a_part_is_unsound():
    assert look([Instance(0, ())]).sound.tolist() == [False]
