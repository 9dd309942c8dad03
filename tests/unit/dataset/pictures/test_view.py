from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsweep.core.clipping import clip
from segsweep.core.geometry import Mask, Part, area, fill, trace
from segsweep.dataset.pictures.resize import render, views
from segsweep.dataset.pictures.view import MIN_SHARE, View
from segsweep.dataset.records import Instance

ONE_VIEW = ("longest", "stretch", "letterbox")
sides = st.integers(20, 300)


def blob(seed: int) -> Instance:
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = rng.uniform(0.05, 0.45) * rng.uniform(0.6, 1, 24)[:, None]
    ring = rng.uniform(0.2, 0.8, 2) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Instance(seed % 3, (Part(ring.clip(0, 1)),))


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Instance:
    return Instance(0, (Part(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])),))


def size(instance: Instance) -> float:
    return sum(area(part.exterior) - sum(map(area, part.holes)) for part in instance.parts)


def drawn(instance: Instance, width: int, height: int) -> Mask:
    return fill([part.scaled(width, height) for part in instance.parts], height, width)


def only(width: int, height: int, mode: str, imgsz: int) -> View:
    (view,) = views(width, height, mode, imgsz, 0)
    return view


@pytest.mark.parametrize("mode", ONE_VIEW)
@given(sides, sides, st.integers(16, 200), st.integers(0, 1000))
def test_an_uncut_shape_comes_back_as_it_was(mode: str, width: int, height: int, imgsz: int, seed: int):
    view = only(width, height, mode, imgsz)
    (before,), (after,) = [blob(seed)], view.to_source(view.to_target([blob(seed)]))
    assert after.category == before.category
    np.testing.assert_allclose(after.parts[0].exterior, before.parts[0].exterior, atol=1e-12)


@settings(deadline=None)
@given(sides, sides, st.integers(16, 100), st.floats(0, 0.9), st.integers(0, 1000))
def test_what_a_tile_shows_whole_comes_back_as_it_was(width: int, height: int, imgsz: int, overlap: float, seed: int):
    shape = blob(seed)
    for view in views(width, height, "tile", imgsz, overlap)[:40]:
        cut = view.cut([shape])
        if cut.instances and len(cut.instances[0].parts[0].exterior) == 24:
            box = np.array(view.crop).reshape(2, 2) / (width, height)
            ring = shape.parts[0].exterior
            if (ring >= box[0]).all() and (ring <= box[1]).all():
                (after,) = view.to_source(cut.instances)
                np.testing.assert_allclose(after.parts[0].exterior, ring, atol=1e-12)


@settings(deadline=None)
@given(sides, sides, st.integers(16, 100), st.integers(0, 1000))
def test_pieces_in_tiles_without_overlap_add_up_to_the_shape(width: int, height: int, imgsz: int, seed: int):
    width, height = width // imgsz * imgsz or imgsz, height // imgsz * imgsz or imgsz
    shape = blob(seed)
    shown = 0.0
    for view in views(width, height, "tile", imgsz, 0):
        cut = view.cut([shape])
        shown += sum(map(size, view.to_source(cut.instances)))
        if cut.slivers:
            x0, y0, x1, y1 = view.crop
            shown += size(Instance(0, tuple(view_pieces(shape, (x0 / width, y0 / height, x1 / width, y1 / height)))))
    assert shown == pytest.approx(size(shape), rel=1e-9)


def view_pieces(shape: Instance, box: tuple[float, float, float, float]) -> list[Part]:
    return [piece for part in shape.parts for piece in clip(part, box)]


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.6))
def test_a_mask_with_holes_and_parts_in_a_tile_is_the_crop_of_the_mask(seed: int, overlap: float):
    rng = np.random.default_rng(seed)
    coarse = (rng.random((12, 16)) < 0.6).astype(np.uint8)
    mask = cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_NEAREST).astype(np.bool_)
    shape = Instance(0, tuple(part.scaled(1 / 64, 1 / 48) for part in trace(mask)))
    for view in views(64, 48, "tile", 20, overlap):
        x0, y0, x1, y1 = view.crop
        for one in view.to_target([shape]):
            assert np.array_equal(drawn(one, x1 - x0, y1 - y0), mask[y0:y1, x0:x1])


@pytest.mark.parametrize("mode", ONE_VIEW)
def test_shapes_move_with_the_pixels_they_cover(mode: str):
    mask = np.zeros((90, 160), dtype=np.bool_)
    mask[20:60, 30:110] = True
    mask[30:40, 50:70] = False
    picture = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    shape = Instance(0, tuple(part.scaled(1 / 160, 1 / 90) for part in trace(mask)))
    view = only(160, 90, mode, 320)
    (moved,) = view.to_target([shape])
    bright = render(picture, view)[..., 0] > 127
    found = drawn(moved, *view.size)
    if mode == "letterbox":
        bright &= render(picture, view)[..., 0] != 114
    assert np.count_nonzero(found ^ bright) <= 0.02 * np.count_nonzero(bright)


@pytest.mark.parametrize(
    ("instance", "kept"),
    [
        (rectangle(0.30, 0.1, 0.40, 0.2), True),
        (rectangle(0.45, 0.1, 0.55, 0.2), True),
        (rectangle(0.485, 0.1, 0.70, 0.2), False),
        (rectangle(0.60, 0.1, 0.70, 0.2), None),
        (rectangle(0.50, 0.1, 0.70, 0.2), None),
        (rectangle(0.00, 0.1, 1.00, 0.2), True),
    ],
    ids=["inside", "half", "a sliver", "outside", "beside", "larger than the tile"],
)
def test_slivers_are_left_out_and_told(instance: Instance, kept: bool | None):
    left = views(200, 100, "tile", 100, 0)[0]
    cut = left.cut([rectangle(0.1, 0.1, 0.2, 0.2), instance])
    assert cut.sources == ((0, 1) if kept else (0,))
    assert cut.slivers == ((1,) if kept is False else ())
    assert len(cut.instances) == len(cut.sources)


def test_a_crowd_stays_a_crowd():
    crowd = Instance(1, rectangle(0.2, 0.2, 0.8, 0.8).parts, crowd=True)
    for view in views(200, 100, "tile", 100, 0):
        assert all(one.crowd and one.category == 1 for one in view.to_target([crowd]))


@settings(deadline=None)
@given(st.floats(0, 0.9), st.floats(0.001, 1), st.floats(0.001, 1), st.floats(0, 1), st.floats(0, 1))
def test_every_object_is_kept_by_one_tile_at_least(overlap: float, across: float, down: float, x: float, y: float):
    one = rectangle(x * (1 - across), y * (1 - down), x * (1 - across) + across, y * (1 - down) + down)
    tiles = views(300, 230, "tile", 60, overlap)
    assert any(tile.cut([one]).instances for tile in tiles)


def test_a_road_marking_across_many_tiles_is_kept_in_all_of_them():
    """No tile shows a tenth of it, and yet it is what each of them shows."""
    line = Instance(0, (Part(np.array([[0.0, 0.0], [0.004, 0.0], [1.0, 1.0], [0.996, 1.0]])),))
    tiles = views(6400, 6400, "tile", 320, 0)
    on_it = [tile for tile in tiles if tile.crop[0] == tile.crop[1]]
    assert len(on_it) == 20 > 1 / MIN_SHARE
    assert all(tile.cut([line]).instances for tile in on_it)
