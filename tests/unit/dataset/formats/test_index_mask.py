from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from examples import quick
from segsweep.core.geometry import Mask, fill, trace
from segsweep.dataset.formats import index_mask
from segsweep.dataset.formats.index_mask import draw, draw_layers, split_regions
from segsweep.dataset.records import Instance

labels = arrays(np.uint16, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.sampled_from([0, 1, 2, 900]))
masks = arrays(np.bool_, (9, 11))


def instance_of(mask: Mask, category: int = 0) -> Instance:
    height, width = mask.shape
    return Instance(category, tuple(part.scaled(1 / width, 1 / height) for part in trace(mask)))


@quick
@given(labels, st.sampled_from([1, 20, 1 << 22]))
def test_every_number_has_exactly_its_pixels_in_the_smallest_box(values: np.ndarray, band_px: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_mask, "_BAND_PX", band_px)  # bands of one row, of some, of all
        regions = list(split_regions(values))
    assert [region.value for region in regions] == [value for value in np.unique(values).tolist() if value]
    for region in regions:
        again = np.zeros(values.shape, np.bool_)
        height, width = region.mask.shape
        again[region.top : region.top + height, region.left : region.left + width] = region.mask
        assert np.array_equal(again, values == region.value)
        assert region.mask.any(axis=0)[[0, -1]].all()
        assert region.mask.any(axis=1)[[0, -1]].all()


@quick
@given(labels)
def test_outlines_of_a_number_fill_to_its_pixels(values: np.ndarray):
    height, width = values.shape
    for region in split_regions(values):
        parts = [part.scaled(width, height) for part in region.parts((width, height))]
        assert np.array_equal(fill(parts, height, width), values == region.value)


@quick
@given(st.lists(masks, max_size=5))
def test_layers_hold_every_object_whatever_overlaps(drawn: list[Mask]):
    instances = [instance_of(mask) for mask in drawn if mask.any()]
    layers = list(draw_layers(instances, 9, 11))
    found = {index: layer.values == number + 1 for layer in layers for number, index in enumerate(layer.objects)}
    assert sorted(found) == list(range(len(instances)))
    for index, mask in enumerate(mask for mask in drawn if mask.any()):
        assert np.array_equal(found[index], mask)


def test_objects_apart_share_one_layer_and_those_behind_another_go_to_the_next():
    left, right, over = np.zeros((3, 4, 6), np.bool_)
    left[:, :2], right[:, 4:], over[1, 1:5] = True, True, True
    layers = list(draw_layers([instance_of(left), instance_of(over), instance_of(right)], 4, 6))
    assert [layer.objects for layer in layers] == [(0, 2), (1,)]


def test_a_layer_that_is_full_is_followed_by_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(index_mask, "MOST_OBJECTS", 2)
    spots = np.eye(5, dtype=np.bool_)
    instances = [instance_of(np.outer(spot, spot)) for spot in spots]
    assert [layer.objects for layer in draw_layers(instances, 5, 5)] == [(0, 1), (2, 3), (4,)]


def test_an_object_that_covers_no_pixel_is_in_no_layer():
    thin = trace(np.ones((1, 1), np.bool_))[0].scaled(0.01, 0.01)
    assert draw(Instance(0, (thin,)), 10, 10) is None
    assert list(draw_layers([Instance(0, (thin,))], 10, 10)) == []


def test_drawing_is_cut_at_the_image():
    square = trace(np.ones((1, 1), np.bool_))[0]
    beyond = Instance(3, (square.scaled(4.0, 4.0),))
    region = draw(beyond, 5, 6)
    assert region is not None
    assert (region.value, region.left, region.top, region.mask.all(), region.mask.shape) == (3, 0, 0, True, (5, 6))


def test_pieces_of_a_number_are_those_that_do_not_touch_even_at_a_corner():
    values = np.array([[4, 0, 0, 4], [0, 4, 0, 4], [0, 0, 0, 0], [4, 0, 0, 0]], np.uint16)
    (region,) = split_regions(values)
    pieces = region.components()
    assert sorted((one.left, one.top, int(one.mask.sum())) for one in pieces) == [(0, 0, 2), (0, 3, 1), (3, 0, 2)]
    assert {one.value for one in pieces} == {4}


def test_a_photograph_is_no_mask():
    noise = np.random.default_rng(0).integers(0, 255, (600, 600)).astype(np.uint8)
    with pytest.raises(ValueError, match="as a photograph's do"):
        list(split_regions(noise))


def test_values_that_are_all_everywhere_are_no_mask():
    stripes = np.repeat(np.arange(1, 1001, dtype=np.uint16), 3).reshape(1, -1) % 500 + 1
    with pytest.raises(ValueError, match="500 values that are each spread over the image"):
        list(split_regions(np.repeat(stripes, 4, axis=0)))


def test_many_small_objects_are_a_mask():
    tile = np.kron(np.arange(1, 40_001, dtype=np.uint16).reshape(200, 200), np.ones((3, 3), np.uint16))
    assert sum(1 for _ in split_regions(tile)) == 40_000


def test_forty_objects_of_a_street_scene_are_found_without_a_pass_each():
    values = np.zeros((1024, 2048), np.uint16)
    for i in range(40):
        values[300 + 5 * i : 400 + 5 * i, 50 * i : 50 * i + 45] = 26000 + i
    start = time.perf_counter()
    for _ in range(5):
        regions = list(split_regions(values))
    found = (time.perf_counter() - start) / 5
    start = time.perf_counter()
    one_by_one = [values == region.value for region in regions]
    assert len(one_by_one) == 40
    assert found < time.perf_counter() - start
