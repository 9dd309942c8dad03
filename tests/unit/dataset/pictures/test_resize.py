from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsweep.dataset.pictures.picture import Picture
from segsweep.dataset.pictures.resize import least_size, render, resized_shape, views
from segsweep.dataset.pictures.view import View
from segsweep.errors import ConfigError

ONE_VIEW = ("longest", "stretch", "letterbox")
sides = st.integers(20, 300)


def noise(width: int, height: int) -> Picture:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


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


@settings(deadline=None)
@given(sides, sides, st.integers(32, 120), st.floats(0, 0.8))
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
