from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from films import numbers, picture, write_film
from segsweep.deploy.film import CODECS, Film, check_extension
from segsweep.deploy.frames import hush_opencv
from segsweep.errors import ConfigError, StorageError

hush_opencv()


@pytest.mark.parametrize("extension", CODECS)
def test_every_extension_is_written_and_opens_again(extension, tmp_path):
    film = Film(tmp_path / f"a{extension}", 25.0, (96, 64))
    for number in range(10):
        film.write(picture(number))
    film.finish()
    assert numbers(tmp_path / f"a{extension}") == list(range(10))
    assert film.codec in {codec for _, codec in CODECS[extension]}
    assert film.frames == 10


@pytest.mark.parametrize("fps", [0.5, 14.985014985, 23.976023976, 29.97002997, 29.8374123, 119.88])
def test_rates_that_are_no_whole_number_are_kept(fps, tmp_path):
    film = Film(tmp_path / "b.mp4", fps, (96, 64))
    for number in range(3):
        film.write(picture(number))
    film.finish()
    assert cv2.VideoCapture(str(tmp_path / "b.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(fps, rel=0.001)


def test_pictures_of_odd_sides_are_written_too(tmp_path):
    film = Film(tmp_path / "a.mp4", 25.0, (95, 63))
    film.write(picture(1, (63, 95)))
    film.finish()


@pytest.mark.parametrize("name", ["a.gif", "a", "a.mp4.txt"])
def test_another_extension_is_told_with_those_that_can_be_written(name):
    with pytest.raises(ConfigError, match=r"must end in one of \.mp4, \.mov"):
        check_extension(Path(name))


def test_capital_extensions_are_taken():
    check_extension(Path("A.MP4"))


def test_what_no_codec_can_write_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"none of h264, mpeg4 can write this as \.mp4"):
        Film(tmp_path / "gone" / "a.mp4", 25.0, (96, 64))


def test_a_film_that_was_not_written_whole_is_told(tmp_path):
    film = Film(tmp_path / "a.mp4", 25.0, (96, 64))
    for number in range(10):
        film.write(picture(number))
    film.release()
    write_film(tmp_path / "a.mp4", 5)
    with pytest.raises(StorageError, match="5 of 10 pictures are there"):
        film.finish()
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(StorageError, match="0 of 10 pictures are there"):
        film.finish()


def test_a_picture_is_not_changed_by_writing_it(tmp_path):
    image = picture(3)
    Film(tmp_path / "a.mp4", 25.0, (96, 64)).write(image)
    assert np.array_equal(image, picture(3))
