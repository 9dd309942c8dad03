"""Pillow writes what OpenCV decodes and our reader only looks at."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from segsweep.dataset.pictures.header import CMYK, COLOUR, GREY, PALETTE, Header, read_header

KINDS = {"JPEG": "JPEG", "PNG": "PNG", "WEBP": "WebP", "TIFF": "TIFF", "BMP": "BMP", "GIF": "GIF"}


def encoded(mode: str, kind: str, **options: Any) -> bytes:
    grey = np.random.default_rng(0).integers(0, 255, (30, 40), dtype=np.uint8)
    picture = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.fromarray(grey))
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def oriented(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded("RGB", kind, exif=exif)


@pytest.mark.parametrize(
    ("mode", "kind", "colour", "has_alpha", "bits"),
    [
        ("RGB", "JPEG", COLOUR, False, 8),
        ("L", "JPEG", GREY, False, 8),
        ("CMYK", "JPEG", CMYK, False, 8),
        ("RGB", "PNG", COLOUR, False, 8),
        ("L", "PNG", GREY, False, 8),
        ("1", "PNG", GREY, False, 8),
        ("P", "PNG", PALETTE, False, 8),
        ("LA", "PNG", GREY, True, 8),
        ("RGBA", "PNG", COLOUR, True, 8),
        ("I;16", "PNG", GREY, False, 16),
        ("RGB", "WEBP", COLOUR, False, 8),
        ("RGBA", "WEBP", COLOUR, True, 8),
        ("RGB", "TIFF", COLOUR, False, 8),
        ("L", "TIFF", GREY, False, 8),
        ("P", "TIFF", PALETTE, False, 8),
        ("CMYK", "TIFF", CMYK, False, 8),
        ("RGBA", "TIFF", COLOUR, True, 8),
        ("I;16", "TIFF", GREY, False, 16),
        ("RGB", "BMP", COLOUR, False, 8),
        ("P", "BMP", PALETTE, False, 8),
        ("P", "GIF", PALETTE, False, 8),
    ],
)
def test_a_header_says_what_is_in_the_file(mode: str, kind: str, colour: str, has_alpha: bool, bits: int):
    assert read_header(encoded(mode, kind)) == Header(KINDS[kind], 40, 30, 1, colour, has_alpha, bits)


@pytest.mark.parametrize("options", [{"lossless": True}, {"lossless": True, "exact": True}])
def test_lossless_webp_says_whether_it_has_alpha(options: dict[str, bool]):
    assert read_header(encoded("RGBA", "WEBP", **options)) == Header("WebP", 40, 30, has_alpha=True)
    assert read_header(encoded("RGB", "WEBP", **options)) == Header("WebP", 40, 30)


def test_a_transparent_colour_of_a_palette_is_alpha():
    header = read_header(encoded("P", "PNG", transparency=0))
    assert header is not None
    assert header.has_alpha


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_upright_size_is_the_one_that_opencv_decodes(kind: str, orientation: int):
    data = oriented(kind, orientation)
    header = read_header(data)
    assert header is not None
    assert (header.width, header.height, header.orientation) == (40, 30, orientation)
    height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    assert header.upright == (width, height)


def test_an_orientation_that_does_not_exist_is_upright():
    header = read_header(oriented("JPEG", 9))
    assert header is not None
    assert header.orientation == 1


def test_long_metadata_before_the_size_are_skipped():
    header = read_header(encoded("RGB", "JPEG", icc_profile=bytes(150_000), comment=b"\xff\xc0" * 1000))
    assert header == Header("JPEG", 40, 30)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_no_beginning_of_a_file_and_no_damaged_byte_is_an_error(kind: str):
    data = oriented(kind, 6) if kind in ("JPEG", "PNG", "WEBP", "TIFF") else encoded("P", kind)
    for length in range(0, min(len(data), 400)):
        assert read_header(data[:length]) is None or length > 8
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.integers(min(len(data), 200))] = rng.integers(256)
        found = read_header(bytes(damaged))
        assert found is None or (found.width > 0 and found.height > 0)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"GIF89a", b"RIFF\0\0\0\0WAVEfmt ", b"<html>", b"BM", bytes(64)])
def test_what_is_no_image_has_no_header(data: bytes):
    assert read_header(data) is None
