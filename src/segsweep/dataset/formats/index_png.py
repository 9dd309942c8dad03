"""PNG files read for the numbers in them: the indices of a palette, not its colours, at any depth.

OpenCV turns a palette into colours, and two indices of one colour can then no longer be told apart. A palette file
whose header says grey of the same depth decodes to its indices, so that is what OpenCV is given (PNG specification,
third edition, sections 5 and 11: https://www.w3.org/TR/png-3/). Only header and pixels are handed on: no text, colour
profile or animation of a file is ever unpacked.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from segsweep.dataset.pictures.codecs import decode
from segsweep.errors import DatasetError, Problem
from segsweep.storage.plain import read_plain

Values = npt.NDArray[np.unsignedinteger]

MOST_PIXELS = 1 << 28  # a small file must not take all memory when it is unpacked

_MOST_BYTES = 1 << 30
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_DEFLATED = 1032  # bytes out of one: https://zlib.net/zlib_tech.html
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {_GREY: (1, 2, 4, 8, 16), _RGB: (8, 16), _PALETTE: (1, 2, 4, 8), _GREY_ALPHA: (8, 16), _RGB_ALPHA: (8, 16)}


@dataclass(frozen=True, eq=False)
class Raster:
    """What a PNG file holds.

    Attributes:
        values: (height, width) of a grey or palette file, as stored; (height, width, 3), RGB, of a colour file. Opacity
            is left out.
        palette: (n, 3), RGB, of a palette file.
    """

    values: Values
    palette: npt.NDArray[np.uint8] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        height, width = self.values.shape[:2]
        return width, height

    def colours(self) -> Values:
        """Colour of each pixel as one number, red * 65536 + green * 256 + blue; (height, width), uint32."""
        if self.palette is not None:
            table = np.zeros(256, np.uint32)
            table[: len(self.palette)] = _joined(self.palette)
            return table[self.values]
        if self.values.ndim == 3:
            return _joined(self.values)
        return self.values.astype(np.uint32) * 0x010101


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    depth: int
    colour: int


def read_png(path: Path, where: str) -> Raster:
    """Read a PNG file.

    Args:
        path: The file.
        where: Its name, for messages.

    Raises:
        DatasetError: It is not there, no PNG, damaged, or larger than `MOST_PIXELS`.
    """
    try:
        data = read_plain(path, _MOST_BYTES)
    except OSError as exc:
        raise DatasetError(Problem(where, f"the mask cannot be read: {exc.strerror}")) from exc
    return decode_png(data, where)


def decode_png(data: bytes, where: str) -> Raster:
    """Decode a PNG file; raises as `read_png`."""
    try:
        chunks = list(_chunks(data))
        header = _parse_header(chunks)
        palette = _parse_palette(chunks) if header.colour == _PALETTE else None
    except ValueError as exc:
        fix = "write it again as PNG"
        raise DatasetError(Problem(where, f"the mask is no PNG that can be read: {exc}", fix=fix)) from None
    decoded = decode(_as_grey(chunks), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.shape[:2] != (header.height, header.width):
        raise DatasetError(Problem(where, "the mask is a damaged PNG: its pixels cannot be unpacked"))
    values = np.asarray(decoded)
    if header.depth < 8:
        values = values // np.uint8(255 // (2**header.depth - 1))  # the decoder spreads grey of few bits over 0 to 255
    if header.colour == _GREY_ALPHA:
        values = values[..., 0] if values.ndim == 3 else values
    elif values.ndim == 3:
        values = values[..., 2::-1]  # OpenCV's order is blue, green, red, opacity
    return Raster(values, palette)


def encode_index(values: npt.NDArray[np.uint16]) -> bytes:
    """A 16-bit grey PNG of these numbers, (height, width); the same numbers give the same bytes."""
    done, data = cv2.imencode(".png", values)
    assert done  # encoding to memory cannot fail
    return bytes(data.tobytes())


def _joined(colours: Values) -> Values:
    red, green, blue = (colours[..., channel].astype(np.uint32) for channel in range(3))
    return red << np.uint32(16) | green << np.uint32(8) | blue


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk up to the end mark; raises ValueError."""
    if not data.startswith(_SIGNATURE):
        raise ValueError("it is empty" if not data else f"it starts with {data[:8]!r}")
    at = len(_SIGNATURE)
    while True:
        if len(data) < at + 12:
            raise ValueError("it is truncated")
        (length,) = struct.unpack_from(">I", data, at)
        kind, content, check = data[at + 4 : at + 8], data[at + 8 : at + 8 + length], data[at + 8 + length :][:4]
        if len(check) < 4:
            raise ValueError("it is truncated")
        if zlib.crc32(kind + content) != int.from_bytes(check, "big"):
            raise ValueError(f"its {kind.decode('latin-1')} chunk is damaged")
        yield kind, content
        if kind == b"IEND":
            return
        at += length + 12


def _parse_header(chunks: list[tuple[bytes, bytes]]) -> _Header:
    kind, content = chunks[0]
    if kind != b"IHDR" or len(content) != 13:
        raise ValueError("it does not begin with a header")
    width, height, depth, colour = struct.unpack_from(">IIBB", content)
    if not width or not height or width * height > MOST_PIXELS:
        raise ValueError(f"its size is {width}x{height}, at most {MOST_PIXELS} pixels are read")
    if depth not in _DEPTHS.get(colour, ()):
        raise ValueError(f"there is no colour type {colour} of {depth} bits")
    packed = sum(len(content) for kind, content in chunks if kind == b"IDAT")
    if width * height * depth // 8 > packed * _MOST_DEFLATED:
        raise ValueError(f"{packed} bytes cannot hold its {width}x{height} pixels")
    return _Header(width, height, depth, colour)


def _parse_palette(chunks: list[tuple[bytes, bytes]]) -> npt.NDArray[np.uint8]:
    found = [content for kind, content in chunks if kind == b"PLTE"]
    if len(found) != 1 or len(found[0]) % 3 or not 1 <= len(found[0]) // 3 <= 256:
        raise ValueError("it has no right palette")
    return np.frombuffer(found[0], np.uint8).reshape(-1, 3)


def _as_grey(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """The file with nothing but header and pixels, and a palette file's header as that of a grey one."""
    parts = [_SIGNATURE]
    for kind, content in chunks:
        if kind not in (b"IHDR", b"IDAT", b"IEND"):
            continue
        kept = content[:9] + bytes([_GREY]) + content[10:] if kind == b"IHDR" and content[9] == _PALETTE else content
        parts += [struct.pack(">I", len(kept)), kind, kept, struct.pack(">I", zlib.crc32(kind + kept))]
    return b"".join(parts)
