"""Image headers: size, orientation and colour of an image file, read without decoding it.

Sources: ITU-T T.81 (JPEG), the PNG specification, TIFF 6.0 and Exif 2.32 (CIPA DC-008), RFC 9649 (WebP), the headers of
BMP and GIF. Where a header does not tell, the answer is `None`, and the caller decodes the file instead.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

COLOUR, GREY, PALETTE, CMYK = "colour", "grey", "palette", "CMYK"

_UPRIGHT = 1
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Header:
    """What an image file says about itself.

    Attributes:
        kind: Its format, e.g. `JPEG`, whatever the file's extension is.
        width: As the picture lies in the file, pixels.
        height: As `width`.
        orientation: Exif's: 1 upright, 2 mirrored, 3 upside down, 6 to be turned right, ..., 8.
        colour: `colour`, `grey`, `palette` or `CMYK`.
        has_alpha: Whether pixels may be transparent.
        bits: Of a sample; 16 or more is scaled down to 8.
    """

    kind: str
    width: int
    height: int
    orientation: int = _UPRIGHT
    colour: str = COLOUR
    has_alpha: bool = False
    bits: int = 8

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height once it is turned as `orientation` says."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(data: bytes) -> Header | None:
    """Read the header of an image file.

    Args:
        data: The file, or as much of its beginning as holds the header; for the few WebP and TIFF files that state
            their orientation at the end, all of it.

    Returns:
        None if it is of another kind, broken, or its header is not complete.
    """
    for magic, parse in _PARSERS:
        if data.startswith(magic):
            try:
                found = parse(data)
            except (struct.error, IndexError):
                return None
            return found if found is not None and found.width > 0 and found.height > 0 else None
    return None


def _jpeg(data: bytes) -> Header | None:
    orientation = _UPRIGHT
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2  # a fill byte, or a marker without content
            continue
        if marker in (0xD9, 0xDA):
            return None
        (length,) = struct.unpack_from(">H", data, at + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width, samples = struct.unpack_from(">BHHB", data, at + 4)
            return Header("JPEG", width, height, orientation, {1: GREY, 4: CMYK}.get(samples, COLOUR), bits=bits)
        if marker == 0xE1 and data[at + 4 : at + 10] == _EXIF:
            orientation = _exif_orientation(data[at + 10 : at + 2 + length])
        at += 2 + length
    return None


def _png(data: bytes) -> Header | None:
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    orientation, has_alpha = _UPRIGHT, colour in (4, 6)
    at = 8
    while data[at + 4 : at + 8] != b"IDAT":
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"tRNS":
            has_alpha = True
        elif name == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
    name = {0: GREY, 3: PALETTE, 4: GREY}.get(colour, COLOUR)
    return Header("PNG", width, height, orientation, name, has_alpha, max(8, bits))


def _webp(data: bytes) -> Header | None:
    if data[8:12] != b"WEBP":
        return None
    chunk = data[12:16]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Header("WebP", width & 0x3FFF, height & 0x3FFF)
    if chunk == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        return Header("WebP", width, height, has_alpha=bool(packed >> 28 & 1))
    if chunk != b"VP8X":
        return None
    flags = data[20]
    width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    orientation = _UPRIGHT
    if flags & 0x08:
        at = 30
        while data[at : at + 4] != b"EXIF":
            at += 8 + _even(struct.unpack_from("<I", data, at + 4)[0])
        (length,) = struct.unpack_from("<I", data, at + 4)
        orientation = _exif_orientation(data[at + 8 : at + 8 + length].removeprefix(_EXIF))
    return Header("WebP", width, height, orientation, has_alpha=bool(flags & 0x10))


def _bmp(data: bytes) -> Header | None:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
    return Header("BMP", width, abs(height), colour=PALETTE if bits <= 8 else COLOUR)


def _gif(data: bytes) -> Header | None:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header("GIF", width, height, colour=PALETTE)


def _tiff(data: bytes) -> Header | None:
    tags = _tags(data)
    if 256 not in tags or 257 not in tags:
        return None
    colour = {0: GREY, 1: GREY, 3: PALETTE, 5: CMYK}.get(tags.get(262, 2), COLOUR)
    base = {GREY: 1, PALETTE: 1, CMYK: 4}.get(colour, 3)
    has_alpha = tags.get(277, base) > base
    orientation = tags.get(_ORIENTATION, _UPRIGHT)
    bits = max(8, tags.get(258, 8))
    return Header("TIFF", tags[256], tags[257], _valid(orientation), colour, has_alpha, bits)


def _exif_orientation(data: bytes) -> int:
    try:
        return _valid(_tags(data).get(_ORIENTATION, _UPRIGHT))
    except struct.error:
        return _UPRIGHT


def _valid(orientation: int) -> int:
    return orientation if 1 <= orientation <= 8 else _UPRIGHT


def _tags(data: bytes) -> dict[int, int]:
    """The first value of each whole-number tag in the first directory of a TIFF."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return {}
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, directory)
    tags = {}
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, at)
        letter = {1: "B", 3: "H", 4: "I"}.get(kind)
        if letter is None or values == 0:
            continue
        inline = struct.calcsize(letter) * values <= 4
        place = at + 8 if inline else struct.unpack_from(f"{order}I", data, at + 8)[0]
        tags[tag] = struct.unpack_from(order + letter, data, place)[0]
    return tags


def _even(length: int) -> int:
    return length + length % 2


_PARSERS = (
    (b"\xff\xd8", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    (b"GIF8", _gif),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
)
