"""The page as it is built; what a browser makes of it is in tests/e2e."""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
import types
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from films import write_cat_model, write_film
from segsweep.deploy.app_film import Films
from segsweep.deploy.app_models import Shelf, offer_files

os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=tempfile.mkdtemp(prefix="segsweep-tests-"))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Gradio's own dependencies, at its import, which takes longer than a test may
    from segsweep.deploy import app

PHOTO = np.full((64, 96, 3), (200, 100, 0), np.uint8)


def made(folder: Path) -> app.Page:
    shelf = Shelf(offer_files([str(write_cat_model(folder / "cat.onnx"))]), 1)
    cv2.imwrite(str(folder / "photo.png"), PHOTO)
    (folder / "source.zip").touch()
    (folder / "films").mkdir()
    return app.Page(shelf, "cat", [folder / "photo.png"], folder / "source.zip", Films(folder / "films"))


async def build(folder: Path) -> app.gr.Blocks:
    """Inside a loop: outside, Gradio makes some that it never closes."""
    return app.build(made(folder))


BLOCKS = asyncio.run(build(Path(tempfile.mkdtemp(prefix="segsweep-tests-"))))  # once: it takes longer than a test may
CONFIG = BLOCKS.get_config_file()
WISHES = ("cat", 0.45, [], 0.45)


@pytest.fixture
def page(tmp_path):
    return made(tmp_path)


@pytest.fixture
def warned(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(app.gr, "Warning", lambda text, title: said.append(text))
    return said


def test_every_control_has_a_label_and_they_start_as_promised():
    controls = [
        one
        for one in CONFIG["components"]
        if one["type"] in ("dropdown", "slider", "image", "video", "textbox", "dataframe")
    ]
    assert all(one["props"]["label"] for one in controls)
    by_label = {one["props"]["label"]: one["props"] for one in controls}
    assert by_label["Confidence"]["value"] == 0.45
    assert by_label["Mask opacity"]["value"] == 0.45
    assert by_label["Model"]["value"] == "cat"
    assert [name for name, _ in by_label["Classes"]["choices"]] == ["cat", "dog"]
    assert by_label["Classes"]["multiselect"]


def test_nothing_of_the_page_is_open_to_programs_or_to_strangers_figures():
    visible = [one["api_visibility"] for one in CONFIG["dependencies"] if one["targets"]]
    assert set(visible) <= {"private", "undocumented"}
    assert BLOCKS.analytics_enabled is False
    assert BLOCKS.delete_cache == (app.SWEPT_S, app.KEPT_S)


def test_an_image_is_seen(page, tmp_path):
    overlay, rows, summary = page.see(str(tmp_path / "photo.png"), *WISHES)
    assert overlay.shape == (64, 96, 3)
    assert rows[0][0] == "cat"
    assert summary.startswith("1 object in 96x64 pixels")
    assert page.see(str(tmp_path / "photo.png"), "cat", 0.95, [], 0.45)[1] == []
    assert page.see(str(tmp_path / "photo.png"), "cat", 0.45, ["dog"], 0.45)[1] == []


def test_no_image_is_no_mistake(page, warned):
    assert page.see(None, *WISHES) == (None, [], "")
    assert page.watch(None, *WISHES) == (None, "")
    assert page.film(None, *WISHES, progress=None) == (None, "Choose a film first.")
    assert warned == []


def test_what_cannot_be_read_is_told_and_takes_the_place_of_what_was_shown(page, tmp_path, warned):
    (tmp_path / "text.jpg").write_text("text")
    overlay, rows, summary = page.see(str(tmp_path / "text.jpg"), *WISHES)
    assert (overlay, rows) == (None, [])
    assert "text.jpg: is not an image" in summary
    film, figures = page.film(str(tmp_path / "text.jpg"), *WISHES, progress=None)
    assert film is None
    assert "text.jpg: is not a film" in figures
    assert warned == [summary, figures]


def test_a_film_is_segmented_and_its_progress_is_told(page, tmp_path):
    told = []
    film, figures = page.film(
        str(write_film(tmp_path / "walk.mp4", 60)), *WISHES, progress=lambda done, desc, unit: told.append(done)
    )
    assert Path(film).is_file()
    assert "60 pictures, 60 objects" in figures
    assert all(done <= total == 60 for done, total in told)


def test_a_cameras_picture_comes_inside_the_message_or_as_a_file_within_the_same_limits(tmp_path):
    def frame(url: str | None = None, path: str = "") -> object:
        return app._frame(types.SimpleNamespace(url=url, path=path))

    png = cv2.imencode(".png", PHOTO)[1].tobytes()
    cv2.imwrite(str(tmp_path / "a.png"), PHOTO)
    assert np.array_equal(frame("data:image/png;base64," + base64.b64encode(png).decode()), PHOTO)
    assert np.array_equal(frame("/gradio_api/file=x", str(tmp_path / "a.png")), PHOTO)
    assert app._frame(None) is None
    for broken in ("data:image/png;base64,###", "data:image/png;base64,QUJD", "data:"):
        assert frame(broken) is None
    assert frame(None, str(tmp_path / "gone.png")) is None


def test_an_overlay_of_the_camera_goes_inside_the_message():
    assert app._inline(None) is None
    sent = app._inline(np.ascontiguousarray(PHOTO[:, :, ::-1]))
    data = base64.b64decode(sent.url.removeprefix("data:image/jpeg;base64,"))
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert cv2.absdiff(seen, PHOTO).max() < 8
    assert sent.path is None


def test_the_upload_reaches_us_unopened(tmp_path):
    upload = next(one for one in BLOCKS.blocks.values() if isinstance(one, app.gr.Image) and one.label == "Image")
    path = str(tmp_path / "text.jpg")
    assert upload.preprocess(types.SimpleNamespace(path=path)) == path
    assert upload.preprocess(None) is None


def test_the_page_says_licence_and_source():
    texts = " ".join(str(one["props"].get("value")) for one in CONFIG["components"])
    assert "AGPL-3.0" in texts
    assert "github.com/ultralytics/ultralytics" in texts
    assert next(one for one in CONFIG["components"] if one["type"] == "downloadbutton")["props"]["label"].startswith(
        "Source"
    )
