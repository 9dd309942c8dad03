from __future__ import annotations

import numpy as np
import pytest

from segsweep.core.geometry import trace
from segsweep.dataset.sample.scene import CLASSES, MIN_VISIBLE_PX, Scene, render_scene


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render_scene(160, 120, np.random.default_rng([0, i])) for i in range(60)]


@pytest.mark.slow(reason="renders 60 scenes")
@pytest.mark.timeout(30)
class TestManyScenes:
    def test_there_are_at_least_four_classes_and_all_are_drawn(self, scenes: list[Scene]):
        assert len(CLASSES) >= 4
        assert {category for scene in scenes for category, _ in scene.shapes} == set(range(len(CLASSES)))

    def test_visible_masks_never_overlap_and_none_is_too_small(self, scenes: list[Scene]):
        for scene in scenes:
            masks = [mask for _, mask in scene.shapes]
            assert np.sum(masks, axis=0).max(initial=0) <= 1
            assert min((int(mask.sum()) for mask in masks), default=MIN_VISIBLE_PX) >= MIN_VISIBLE_PX

    def test_some_shapes_have_holes_and_some_are_cut_in_two(self, scenes: list[Scene]):
        parts = [trace(mask) for scene in scenes for _, mask in scene.shapes]
        large = [[part for part in shape if len(part.exterior) > 20] for shape in parts]
        assert sum(any(part.holes for part in shape) for shape in parts) > 5
        assert sum(len(shape) > 1 for shape in large) > 5

    def test_extents_reach_from_a_few_pixels_to_over_half_of_the_side(self, scenes: list[Scene]):
        extents = [
            max(np.ptp(np.nonzero(mask)[0]), np.ptp(np.nonzero(mask)[1])) + 1
            for scene in scenes
            for _, mask in scene.shapes
        ]
        assert min(extents) <= 10
        assert max(extents) >= 0.5 * 120


def test_a_scene_is_a_picture_of_the_size_asked_for():
    scene = render_scene(64, 48, np.random.default_rng(0))
    assert scene.picture.shape == (48, 64, 3)
    assert scene.picture.dtype == np.uint8
    assert all(mask.shape == (48, 64) for _, mask in scene.shapes)


def test_the_same_generator_renders_the_same_scene_and_another_another():
    first, again, other = (render_scene(64, 64, np.random.default_rng(seed)).picture for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
