from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from segsweep.dataset.formats import index_png
from segsweep.dataset.formats.index_png import decode_png, encode_index, read_png
from segsweep.errors import DatasetError


def noise(high: int, dtype: type = np.uint8, channels: tuple[int, ...] = ()) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, (13, 17, *channels)).astype(dtype)


def as_png(image: Image.Image, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "png", **options)
    return file.getvalue()


def palette_png(values: np.ndarray, colours: list[int], **options: int) -> bytes:
    image = Image.fromarray(values)
    image.putpalette(colours)
    return as_png(image, **options)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def header(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_is_read_by_index_even_where_colours_repeat(bits: int):
    values = noise(2**bits)
    raster = decode_png(palette_png(values, [9, 9, 9] * 256, bits=bits, transparency=0), "m.png")
    assert np.array_equal(raster.values, values)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits_is_what_is_stored(bits: int):
    values = noise(2**bits)
    as_palette = palette_png(values, list(range(256)) * 3, bits=bits)
    start = as_palette.index(b"IHDR") + 4
    grey = (
        as_palette[: start - 8]
        + chunk(b"IHDR", as_palette[start : start + 9] + b"\0" + as_palette[start + 10 : start + 13])
        + as_palette[start + 17 :]
    )
    assert np.array_equal(decode_png(grey, "m.png").values, values)


def test_sixteen_bits_are_kept():
    values = noise(65536, np.uint16)
    raster = decode_png(encode_index(values), "m.png")
    assert raster.values.dtype == np.uint16
    assert np.array_equal(raster.values, values)
    assert raster.size == (17, 13)


def test_colours_are_one_number_whatever_keeps_them():
    rgb = np.zeros((2, 2, 3), np.uint8)
    rgb[0, 1] = (1, 2, 3)
    expected = [[0, 0x010203], [0, 0]]
    opaque = np.dstack([rgb, np.full((2, 2), 7, np.uint8)])
    index = np.array([[0, 1], [0, 0]], np.uint8)
    for data in (
        as_png(Image.fromarray(rgb)),
        as_png(Image.fromarray(opaque)),
        palette_png(index, [0, 0, 0, 1, 2, 3]),
    ):
        assert decode_png(data, "m.png").colours().tolist() == expected
    grey = decode_png(as_png(Image.fromarray(np.array([[0, 5]], np.uint8))), "m.png")
    assert grey.colours().tolist() == [[0, 0x050505]]


def test_grey_with_opacity_is_its_grey():
    values = noise(256)
    image = Image.merge("LA", [Image.fromarray(values), Image.fromarray(255 - values)])
    assert np.array_equal(decode_png(as_png(image), "m.png").values, values)


def test_a_colour_png_of_opencv_is_read_as_red_green_blue():
    done, data = cv2.imencode(".png", noise(256, channels=(3,)))
    assert done
    assert np.array_equal(decode_png(data.tobytes(), "m.png").values, noise(256, channels=(3,))[..., ::-1])


def damaged(change: Callable[[bytearray], object]) -> bytes:
    data = bytearray(encode_index(noise(65536, np.uint16)))
    change(data)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "it is empty"),
        (b"\xff\xd8\xff\xe0 JFIF", "it starts with"),
        (damaged(lambda data: data.__delitem__(slice(-30, None))), "it is truncated"),
        (damaged(lambda data: data.__delitem__(slice(-12, None))), "it is truncated"),
        (damaged(lambda data: data.__delitem__(slice(20, None))), "it is truncated"),
        (damaged(lambda data: data.__setitem__(20, 1)), "its IHDR chunk is damaged"),
        (damaged(lambda data: data.__setitem__(100, data[100] ^ 1)), "its IDAT chunk is damaged"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""), "does not begin with a header"),
        (b"\x89PNG\r\n\x1a\n" + header(0, 5) + chunk(b"IEND", b""), "its size is 0x5"),
        (b"\x89PNG\r\n\x1a\n" + header(2**31 - 1, 2**31 - 1) + chunk(b"IEND", b""), "at most 268435456 pixels"),
        (b"\x89PNG\r\n\x1a\n" + header(16000, 16000) + chunk(b"IEND", b""), "0 bytes cannot hold its 16000x16000"),
        (b"\x89PNG\r\n\x1a\n" + header(5, 5, 3) + chunk(b"IEND", b""), "no colour type 0 of 3 bits"),
        (b"\x89PNG\r\n\x1a\n" + header(5, 5, 8, 3) + chunk(b"IDAT", b"0123") + chunk(b"IEND", b""), "no right palette"),
    ],
)
def test_a_damaged_file_is_told_by_name_and_fault(data: bytes, rule: str):
    with pytest.raises(DatasetError, match=r"m\.png: the mask is no PNG that can be read") as caught:
        decode_png(data, "m.png")
    assert rule in str(caught.value)


def test_pixels_that_cannot_be_unpacked_are_told(capfd: pytest.CaptureFixture[str]):
    short = b"\x89PNG\r\n\x1a\n" + header(50, 50) + chunk(b"IDAT", zlib.compress(b"\0" * 51)) + chunk(b"IEND", b"")
    with pytest.raises(DatasetError, match=r"m\.png: the mask is a damaged PNG"):
        decode_png(short, "m.png")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DatasetError, match=r"masks/a\.png: the mask cannot be read: No such file"):
        read_png(tmp_path / "a.png", "masks/a.png")


def test_text_and_profiles_of_a_file_are_never_unpacked(monkeypatch: pytest.MonkeyPatch):
    data = encode_index(noise(9, np.uint16))
    bomb = chunk(b"iCCP", b"p\0\0" + zlib.compress(b"\0" * 10**6))
    seen = []
    monkeypatch.setattr(index_png.cv2, "imdecode", lambda data, flags: seen.append(data.tobytes()))
    with pytest.raises(DatasetError):
        decode_png(data[:33] + bomb + data[33:], "m.png")
    assert b"iCCP" not in seen[0]
