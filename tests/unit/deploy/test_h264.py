from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from films import numbers, picture
from segsweep.deploy.film import Film
from segsweep.deploy.h264 import open_h264

av = pytest.importorskip("av")


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv"])
def test_a_film_is_h264_and_has_every_picture_in_order(tmp_path, extension):
    path = tmp_path / f"film{extension}"
    film = Film(path, 25.0, (96, 64))
    assert film.codec == "h264"
    for number in range(40):
        film.write(picture(number))
    film.finish()
    assert numbers(path) == list(range(40))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"  # what browsers play


@pytest.mark.parametrize("fps", [30000 / 1001, 7.5, 25.0, 1000.0])
def test_the_rate_is_kept(tmp_path, fps):
    writer = open_h264(tmp_path / "film.mp4", fps, (96, 64))
    for number in range(3):
        writer.write(picture(number))
    writer.release()
    film = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(fps, rel=1e-6)


def test_an_odd_last_row_and_column_are_left_out(tmp_path):
    writer = open_h264(tmp_path / "film.mp4", 25.0, (97, 65))
    writer.write(np.zeros((65, 97, 3), np.uint8))
    writer.release()
    assert cv2.VideoCapture(str(tmp_path / "film.mp4")).read()[1].shape == (64, 96, 3)


def test_ending_twice_is_harmless(tmp_path):
    writer = open_h264(tmp_path / "film.mp4", 25.0, (96, 64))
    writer.write(picture(1))
    writer.release()
    writer.release()
    assert not writer.isOpened()


@pytest.mark.parametrize(
    ("name", "size"),
    [("film.webm", (96, 64)), ("film.avi", (96, 64)), ("film.mp4", (1, 64)), ("none/film.mp4", (96, 64))],
)
def test_what_it_cannot_write_is_left_to_others(tmp_path, name, size):
    assert open_h264(tmp_path / name, 25.0, size) is None


def test_without_pyav_films_are_written_as_before(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert open_h264(tmp_path / "film.mp4", 25.0, (96, 64)) is None
    film = Film(tmp_path / "film.mp4", 25.0, (96, 64))
    for number in range(5):
        film.write(picture(number))
    film.finish()
    assert numbers(tmp_path / "film.mp4") == list(range(5))
