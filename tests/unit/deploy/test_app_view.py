from __future__ import annotations

import numpy as np
import pytest

from films import write_cat_model
from segsweep.deploy.app_models import Shelf, offer_files
from segsweep.deploy.app_view import COLUMNS, look

IMAGE = np.full((64, 128, 3), (200, 100, 0), np.uint8)


@pytest.fixture
def shelf(tmp_path):
    return Shelf(offer_files([str(write_cat_model(tmp_path / "cat.onnx"))]), 1)


def test_an_image_has_its_overlay_its_table_and_its_times(shelf):
    view = look(IMAGE, shelf.predictor("cat", 0.45), 0.5)
    # The network sees the image at half its size, 16 rows from the top: box 16..48, 24..40 of its canvas.
    assert view.rows == [["cat", 0.9, 32.0, 16.0, 64.0, 32.0, 64 * 32]]
    assert len(view.rows[0]) == len(COLUMNS)
    assert view.summary.startswith("1 object in 128x64 pixels, ")
    assert view.overlay[60, 120].tolist() == [0, 100, 200]  # RGB, and untouched outside the box


def test_times_add_up(shelf):
    words = look(IMAGE, shelf.predictor("cat", 0.45), 0.5).summary.replace(",", "").split()
    total, *stages = (
        float(words[words.index(name) + step])
        for name, step in (("pixels", 1), ("prepare", 1), ("forward", 1), ("post-process", 1))
    )
    assert sum(stages) == pytest.approx(total, abs=0.2)


def test_nothing_found_leaves_the_image_as_it_is(shelf):
    view = look(IMAGE, shelf.predictor("cat", 0.95), 0.5)
    assert view.rows == []
    assert view.summary.startswith("0 objects in ")
    assert np.array_equal(view.overlay, IMAGE[:, :, ::-1])


def test_the_opacity_is_the_masks(shelf):
    def inside(opacity: float) -> list[int]:
        return look(IMAGE, shelf.predictor("cat", 0.45), opacity).overlay[32, 64].tolist()

    assert inside(0.0) == [0, 100, 200]
    assert inside(1.0) == [230, 159, 0]  # the palette's orange
    assert inside(0.5) == [115, 130, 100]


@pytest.mark.parametrize(
    ("height", "width", "shown"), [(1600, 800, (1600, 800)), (2000, 4000, (800, 1600)), (10, 9000, (2, 1600))]
)
def test_a_large_overlay_is_shrunk_and_its_table_is_not(shelf, height, width, shown):
    view = look(np.zeros((height, width, 3), np.uint8), shelf.predictor("cat", 0.45), 0.5)
    assert view.overlay.shape[:2] == shown
    assert f"{width}x{height}" in view.summary
