from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsweep.core.geometry import Mask, Part, area, fill, trace
from segsweep.dataset.picture import Picture
from segsweep.dataset.records import Instance
from segsweep.dataset.resize import MIN_SHARE, View, least_size, render, resized_shape, views
from segsweep.errors import ConfigError

ONE_VIEW = ("longest", "stretch", "letterbox")
sides = st.integers(20, 300)


def noise(width: int, height: int) -> Picture:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


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


@pytest.mark.parametrize(
    ("width", "height", "imgsz", "expected"),
    [
        (640, 480, 320, (320, 240)),
        (480, 640, 320, (240, 320)),
        (640, 640, 640, (640, 640)),
        (100, 50, 200, (200, 100)),
        (1000, 333, 100, (100, 33)),
        (5000, 1, 100, (100, 1)),
    ],
)
def test_the_longest_side_becomes_imgsz(width: int, height: int, imgsz: int, expected: tuple[int, int]):
    assert resized_shape(width, height, imgsz) == expected
    assert only(width, height, "longest", imgsz) == View(
        "", (0, 0, width, height), expected, (0, 0), expected, (width, height)
    )


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("longest", View("", (0, 0, 200, 99), (64, 32), (0, 0), (64, 32), (200, 99))),
        ("stretch", View("", (0, 0, 200, 99), (64, 64), (0, 0), (64, 64), (200, 99))),
        ("letterbox", View("", (0, 0, 200, 99), (64, 32), (0, 16), (64, 64), (200, 99))),
    ],
)
def test_each_mode_has_its_view(mode: str, expected: View):
    assert only(200, 99, mode, 64) == expected


@pytest.mark.parametrize(("mode", "overlap", "field"), [("fit", 0, "--resize"), ("tile", 1, "--overlap")])
def test_a_mode_or_an_overlap_that_does_not_exist_is_refused(mode: str, overlap: float, field: str):
    with pytest.raises(ConfigError, match=field):
        views(100, 100, mode, 64, overlap)


@pytest.mark.parametrize(
    ("width", "height", "overlap", "crops"),
    [
        (100, 100, 0, [(0, 0, 64, 64), (36, 0, 100, 64), (0, 36, 64, 100), (36, 36, 100, 100)]),
        (128, 64, 0, [(0, 0, 64, 64), (64, 0, 128, 64)]),
        (128, 50, 0.5, [(0, 0, 64, 50), (32, 0, 96, 50), (64, 0, 128, 50)]),
        (65, 20, 0.25, [(0, 0, 64, 20), (1, 0, 65, 20)]),
    ],
)
def test_tiles_keep_the_scale_and_the_last_are_moved_inside(
    width: int, height: int, overlap: float, crops: list[tuple[int, int, int, int]]
):
    tiles = views(width, height, "tile", 64, overlap)
    assert [tile.crop for tile in tiles] == crops
    assert all(tile.scaled == tile.size == (tile.crop[2] - tile.crop[0], tile.crop[3] - tile.crop[1]) for tile in tiles)
    assert len({tile.suffix for tile in tiles}) == len(tiles)


def test_an_image_no_larger_than_a_tile_is_one_longest_view():
    assert views(64, 40, "tile", 64, 0.2) == views(64, 40, "longest", 64, 0)


@given(sides, sides, st.integers(10, 80), st.floats(0, 0.9))
def test_tiles_cover_every_pixel_and_overlap_as_told(width: int, height: int, imgsz: int, overlap: float):
    seen = np.zeros((height, width), dtype=np.bool_)
    for view in views(width, height, "tile", imgsz, overlap):
        x0, y0, x1, y1 = view.crop
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert max(view.size) <= imgsz
        seen[y0:y1, x0:x1] = True
    assert seen.all()


@pytest.mark.parametrize("imgsz", [64, 50, 33, 32, 16])
def test_shrinking_averages_so_that_a_checkerboard_turns_grey(imgsz: int):
    board = np.repeat((np.indices((128, 128)).sum(axis=0) % 2 * 255)[..., None], 3, axis=2).astype(np.uint8)
    small = render(board, only(128, 128, "longest", imgsz))
    assert small.min() >= 127
    assert small.max() <= 128


@pytest.mark.parametrize("imgsz", [300, 230, 200, 160, 110, 70, 45])
def test_a_shrunk_picture_lies_where_averaging_over_areas_puts_it(imgsz: int):
    picture = np.asarray(cv2.resize(noise(24, 18), (320, 240), interpolation=cv2.INTER_CUBIC))
    view = only(320, 240, "longest", imgsz)
    expected = cv2.resize(picture, view.size, interpolation=cv2.INTER_AREA)
    assert np.abs(render(picture, view).astype(int) - expected).mean() < 2


@pytest.mark.parametrize(
    ("width", "height", "method"), [(128, 128, cv2.INTER_AREA), (32, 32, cv2.INTER_CUBIC), (32, 20, cv2.INTER_CUBIC)]
)
def test_shrinking_averages_and_growing_is_cubic(width: int, height: int, method: int):
    expected = cv2.resize(noise(width, height), (64, 64), interpolation=method)
    assert np.array_equal(render(noise(width, height), only(width, height, "stretch", 64)), expected)


def test_where_one_side_shrinks_and_the_other_grows_each_is_treated_as_it_should_be():
    wide = np.repeat((np.arange(256) % 2 * 255)[None, :, None], 32, axis=0).repeat(3, axis=2).astype(np.uint8)
    drawn = render(wide, only(256, 32, "stretch", 64))
    assert drawn.shape == (64, 64, 3)
    assert drawn.min() >= 127  # the stripes are averaged away, not aliased
    assert drawn.max() <= 128


def test_a_picture_of_that_size_is_left_alone():
    picture = noise(40, 30)
    assert render(picture, only(40, 30, "longest", 40)) is picture


@pytest.mark.parametrize(("width", "height"), [(80, 41), (41, 80), (33, 30), (64, 64)])
def test_a_letterbox_is_padded_as_ultralytics_pads(width: int, height: int):
    found = render(np.full((height, width, 3), 200, np.uint8), only(width, height, "letterbox", 64))
    # ultralytics/data/augment.py, LetterBox
    ratio = min(64 / height, 64 / width)
    scaled = round(width * ratio), round(height * ratio)
    dw, dh = (64 - scaled[0]) / 2, (64 - scaled[1]) / 2
    inner = np.full((scaled[1], scaled[0], 3), 200, np.uint8)
    top, bottom, left, right = round(dh - 0.1), round(dh + 0.1), round(dw - 0.1), round(dw + 0.1)
    expected = cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114,) * 3)
    assert np.array_equal(found, expected)


def test_tiles_put_together_are_the_picture():
    picture = noise(100, 90)
    canvas = np.zeros_like(picture)
    for view in views(100, 90, "tile", 40, 0.3):
        x0, y0, x1, y1 = view.crop
        tile = render(picture, view)
        assert tile.flags.c_contiguous
        canvas[y0:y1, x0:x1] = tile
    assert np.array_equal(canvas, picture)


@pytest.mark.parametrize("mode", [*ONE_VIEW, "tile"])
def test_a_picture_decoded_at_half_its_size_gives_the_same_views(mode: str):
    whole = cv2.resize(noise(20, 15), (800, 600), interpolation=cv2.INTER_CUBIC)
    half = cv2.resize(whole, (400, 300), interpolation=cv2.INTER_AREA)
    for view in views(800, 600, mode, 200, 0.2):
        a, b = render(np.asarray(whole), view), render(np.asarray(half), view)
        assert a.shape == b.shape
        assert np.abs(a.astype(int) - b).mean() < 2


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("longest", (200, 150)), ("stretch", (200, 200)), ("letterbox", (200, 150)), ("tile", (800, 600))],
)
def test_the_least_size_to_decode_is_that_of_the_largest_view(mode: str, expected: tuple[int, int]):
    assert least_size(views(800, 600, mode, 200, 0.2)) == expected


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
    from segsweep.core.clipping import clip

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
