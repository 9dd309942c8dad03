from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from films import write_film
from segsweep.deploy import app_limits
from segsweep.deploy.app_limits import check_film, decode_image, read_image
from segsweep.errors import ConfigError


def encoded(extension: str, width: int = 40, height: int = 30) -> bytes:
    return cv2.imencode(extension, np.full((height, width, 3), (10, 20, 200), np.uint8))[1].tobytes()


def claiming(width: int, height: int) -> bytes:
    """A PNG that says it is so large."""
    small = encoded(".png")
    header = b"IHDR" + width.to_bytes(4) + height.to_bytes(4) + small[24:29]
    return small[:12] + header + zlib.crc32(header).to_bytes(4) + small[33:]


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_an_image_of_every_kind_that_is_named_is_read(extension):
    image = decode_image(encoded(extension), "a")
    assert image.shape == (30, 40, 3)
    assert np.abs(image.astype(int) - (10, 20, 200)).max() < 12


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "is not an image that this page reads"),
        (b"hello\n" * 100, "is not an image that this page reads"),
        (encoded(".ppm"), "is not an image that this page reads"),
        (claiming(20_000, 20_000), "20000x20000: must have at most 64 megapixels"),
        (claiming(8193, 8192), "must have at most 64 megapixels"),
        (claiming(1, 1), "1x1: must be at least 10 pixels wide and high"),
        (claiming(5000, 9), "must be at least 10 pixels wide and high"),
        (encoded(".png")[:60], "is a damaged or unusual PNG file"),
        (encoded(".jpg")[:-30], "is a damaged or unusual JPEG file"),
    ],
)
def test_anything_else_is_told_by_the_visitors_name(data, rule):
    with pytest.raises(ConfigError) as told:
        decode_image(data, "holiday.jpg")
    assert str(told.value).startswith("holiday.jpg: ")
    assert rule in str(told.value)


def test_an_image_that_is_too_large_is_never_decoded(monkeypatch):
    monkeypatch.setattr(app_limits, "upright_from", lambda *args: pytest.fail("decoded"))
    with pytest.raises(ConfigError):
        decode_image(claiming(20_000, 20_000), "a")


def test_an_upload_that_is_gone_is_told_without_its_folder(tmp_path):
    for read in (read_image, check_film):
        with pytest.raises(ConfigError, match=r"^gone\.mp4: is no longer here"):
            read(tmp_path / "gone.mp4")


@pytest.mark.parametrize(
    ("name", "fourcc"), [("a.mp4", "mp4v"), ("a.mov", "mp4v"), ("a.mkv", "mp4v"), ("a.avi", "MJPG")]
)
def test_a_film_of_every_kind_that_is_named_is_taken_whatever_its_name(tmp_path, name, fourcc):
    film = write_film(tmp_path / name, 2, fourcc=fourcc)
    check_film(film)
    check_film(film.rename(tmp_path / "film.jpg"))


@pytest.mark.parametrize(
    "data",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"text\n" * 100,
        b"",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
    ],
)
def test_lists_of_other_files_and_what_is_no_film_are_never_opened(tmp_path, monkeypatch, data):
    monkeypatch.setattr(app_limits, "open_capture", lambda origin: pytest.fail("opened"))
    (tmp_path / "film.mp4").write_bytes(data)
    with pytest.raises(ConfigError, match="is not a film that this page reads"):
        check_film(tmp_path / "film.mp4")


def test_a_container_without_a_video_is_told(tmp_path):
    head = write_film(tmp_path / "whole.mp4", 2).read_bytes()[:36]
    (tmp_path / "cut.mp4").write_bytes(head)
    with pytest.raises(ConfigError, match=r"cut\.mp4: holds no video that can be read"):
        check_film(tmp_path / "cut.mp4")


def test_a_film_of_large_pictures_is_refused(tmp_path, monkeypatch):
    film = write_film(tmp_path / "film.mp4", 2)
    monkeypatch.setattr(app_limits, "MAX_FILM_PIXELS", 96 * 64)
    check_film(film)
    monkeypatch.setattr(app_limits, "MAX_FILM_PIXELS", 96 * 64 - 1)
    with pytest.raises(ConfigError, match="96x64: its pictures must not be larger"):
        check_film(Path(film))
