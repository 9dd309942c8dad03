"""Image files: decoded with every fault told and every change named, encoded the same way every time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from segsweep.dataset.pictures.codecs import decode
from segsweep.dataset.pictures.header import CMYK, GREY, PALETTE, Header, read_header
from segsweep.errors import DatasetError, Problem
from segsweep.storage.plain import open_plain, read_plain

Picture = npt.NDArray[np.uint8]

JPEG_QUALITY = 95
MIN_SIDE_PX = 10  # Ultralytics drops smaller images (data/utils.py, check_image)

# A picture of more pixels is refused by its header: decoded it would fill the memory of the machine.
MAX_PIXELS = 1 << 28
MAX_BYTES = 1 << 30

# What was done to a picture to make it 8-bit BGR: rules of cleaning.
TURNED = "images turned upright as their EXIF data say"
FROM_GREY = "grey images made colour"
FROM_PALETTE = "palette images made colour"
FROM_CMYK = "CMYK images made RGB"
FROM_16_BIT = "16-bit images scaled to 8 bits"
NO_ALPHA = "alpha channels left out"

_FROM = {GREY: FROM_GREY, PALETTE: FROM_PALETTE, CMYK: FROM_CMYK}

_HEADER_BYTES = 1 << 16
_PNG_END = b"IEND\xaeB\x60\x82"  # the last chunk's name and checksum
_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoded image file.

    Attributes:
        picture: 8-bit BGR, (height, width, 3).
        size: Width and height of the whole image; the picture is smaller where it was decoded at a reduced scale.
        rules: What was done to it.
    """

    picture: Picture
    size: tuple[int, int]
    rules: tuple[str, ...]


def read_picture(path: Path, size: tuple[int, int] | None = None, *, least: tuple[int, int] | None = None) -> Picture:
    """The picture of `read_upright` alone."""
    return read_upright(path, size, least).picture


def read_upright(path: Path, size: tuple[int, int] | None = None, least: tuple[int, int] | None = None) -> Decoded:
    """Decode an image file to 8-bit BGR, turned upright as its EXIF data say.

    Transparency is dropped, not painted over a background: so do Ultralytics and every program that reads an image with
    OpenCV when it predicts. 16-bit samples are divided by 257, so that white stays white.

    Args:
        path: Any format OpenCV reads.
        size: Width and height that the annotations were made for. If they fit only the picture as it lies in the file,
            the EXIF rotation is not applied, for the annotations did not either.
        least: A JPEG is decoded at a half, a quarter or an eighth of its size if its width and height stay at least
            these; None decodes it whole. libjpeg then averages while it decodes, in a fraction of the time.

    Raises:
        DatasetError: The file is not there, truncated, no image, too large, or of another size.
    """
    return upright_from(_read(path), path, size, least)


def upright_from(
    data: bytes, path: Path, size: tuple[int, int] | None = None, least: tuple[int, int] | None = None
) -> Decoded:
    """`read_upright` of a file that has been read, or that came over a network; `path` is what errors call it."""
    _check_whole(data, path)
    header = read_header(data)
    flags, scale, full, is_turned = cv2.IMREAD_COLOR, 1, size, True
    if header is not None:
        _check_pixels(header, path)
        full, is_turned = _as_annotated(header, size, path)
        scale, flags = _reduction(header, full, least)
    picture = _decode(data, flags, is_turned=is_turned)
    if picture is not None and header is None and size not in (None, _size(picture)):
        picture = _decode(data, flags, is_turned=False)
    if picture is None:
        fix = "remove it and its labels, or convert it"
        raise DatasetError(Problem(str(path), "is not an image that can be decoded", value=_kind(data), fix=fix))
    if full is None or scale == 1:
        full = _size(picture)
    if size not in (None, full):
        raise _wrong_size(path, full, size)
    return Decoded(picture, full, () if header is None else _rules(header, is_turned=is_turned))


def is_file(path: Path) -> bool:
    """Whether a path out of a dataset is a file; a path that no file system could hold is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of the upright image, from its header where that tells them.

    Raises:
        DatasetError: The file is not there, too large, or no image.
    """
    header = read_header(_read_head(path)) or read_header(_read(path))
    if header is None:
        return read_upright(path).size
    _check_pixels(header, path)
    return header.upright


def encode_jpeg(picture: Picture) -> bytes:
    """JPEG bytes at quality 95; the same picture gives the same bytes."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done  # encoding 8-bit BGR to memory cannot fail
    return bytes(data.tobytes())


def _read_head(path: Path) -> bytes:
    try:
        with open_plain(path) as file:
            return file.read(_HEADER_BYTES)
    except OSError as exc:
        raise DatasetError(Problem(str(path), f"the image cannot be read: {exc.strerror}")) from exc


def _read(path: Path) -> bytes:
    try:
        return read_plain(path, MAX_BYTES)
    except OSError as exc:
        raise DatasetError(Problem(str(path), f"the image cannot be read: {exc.strerror}")) from exc


def _check_whole(data: bytes, path: Path) -> None:
    if _is_truncated(data):
        fix = "copy it again, or remove it and its labels"
        raise DatasetError(Problem(str(path), "the image is truncated", fix=fix))


def _check_pixels(header: Header, path: Path) -> None:
    if header.width * header.height > MAX_PIXELS:
        rule = f"an image must have at most {MAX_PIXELS >> 20} x 2^20 pixels"
        value, fix = f"{header.width}x{header.height}", "cut it into several, or remove it and its labels"
        raise DatasetError(Problem(str(path), rule, value=value, fix=fix))


def _as_annotated(header: Header, size: tuple[int, int] | None, path: Path) -> tuple[tuple[int, int], bool]:
    """Width and height of the picture its annotations were made for, and whether that is the upright one."""
    if size is None or size == header.upright:
        return header.upright, True
    if size == (header.width, header.height):
        return size, False
    raise _wrong_size(path, header.upright, size)


def _reduction(header: Header, full: tuple[int, int], least: tuple[int, int] | None) -> tuple[int, int]:
    """By how much to reduce while decoding, and the flags for that. Only libjpeg can; others decode all the same."""
    if header.bits > 8:
        return 1, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    if header.kind == "JPEG" and least is not None:
        for scale, flags in _REDUCED:
            if all(-(-side // scale) >= needed for side, needed in zip(full, least, strict=True)):
                return scale, flags
    return 1, cv2.IMREAD_COLOR


def _decode(data: bytes, flags: int, *, is_turned: bool) -> Picture | None:
    decoded = decode(data, flags | (0 if is_turned else cv2.IMREAD_IGNORE_ORIENTATION))
    if decoded is not None and decoded.dtype == np.uint16:
        decoded = cv2.convertScaleAbs(decoded, alpha=1 / 257)
    return None if decoded is None or decoded.dtype != np.uint8 else np.asarray(decoded, dtype=np.uint8)


def _rules(header: Header, *, is_turned: bool) -> tuple[str, ...]:
    found = [_FROM[header.colour]] if header.colour in _FROM else []
    if header.orientation != 1 and is_turned:
        found.append(TURNED)
    if header.has_alpha:
        found.append(NO_ALPHA)
    if header.bits > 8:
        found.append(FROM_16_BIT)
    return tuple(found)


def _size(picture: Picture) -> tuple[int, int]:
    return picture.shape[1], picture.shape[0]


def _wrong_size(path: Path, found: tuple[int, int], stated: tuple[int, int] | None) -> DatasetError:
    assert stated is not None  # only then is there a size to differ from
    rule = f"the image must have the size its annotations state, {stated[0]}x{stated[1]}"
    return DatasetError(Problem(str(path), rule, value=f"{found[0]}x{found[1]}"))


def _is_truncated(data: bytes) -> bool:
    if data.startswith(b"\xff\xd8"):
        # Within a scan 0xFF is followed by 0x00 or a restart mark: an end mark after the last start is the end.
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG_END not in data
    if data.startswith(b"RIFF"):
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    return False


def _kind(data: bytes) -> str:
    return "an empty file" if not data else f"{len(data)} bytes starting with {data[:8]!r}"
