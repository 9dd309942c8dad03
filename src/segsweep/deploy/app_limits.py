"""What a visitor of the demo page may bring, and how it is read: nothing is decoded before its header has been judged.

A film's container is told by its first bytes, never by its name: FFmpeg would take a playlist for a video and open the
files and addresses that it lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from segsweep.dataset.pictures.header import read_header
from segsweep.dataset.pictures.picture import MIN_SIDE_PX, upright_from
from segsweep.deploy.frames import Origin, open_capture
from segsweep.errors import ConfigError, DatasetError, Problem
from segsweep.inference.letterbox import Image

MAX_UPLOAD_BYTES = 100 << 20  # of one file
MAX_IMAGE_PIXELS = 1 << 26  # 67 megapixels: more than telephones take
MAX_FILM_PIXELS = 3840 * 2160  # of one picture
MAX_FILM_PICTURES = 600  # 24 s at 25 a second; a minute of work for a small model on a small machine

IMAGE_KINDS = ("JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF")
FILM_KINDS = ("MP4", "MOV", "WebM", "MKV", "AVI")

FILM_RULE = (
    f"{', '.join(FILM_KINDS)} up to {MAX_UPLOAD_BYTES >> 20} MB and 3840x2160; "
    f"the first {MAX_FILM_PICTURES} pictures are looked at"
)
IMAGE_RULE = f"{', '.join(IMAGE_KINDS)} up to {MAX_UPLOAD_BYTES >> 20} MB and {MAX_IMAGE_PIXELS >> 20} megapixels"

_HEAD_BYTES = 16


def read_image(path: Path) -> Image:
    """The image of an uploaded file; see `decode_image`.

    Raises:
        ConfigError: See `decode_image`; or the upload has been deleted since.
    """
    with _still_there(path):
        data = path.read_bytes()
    return decode_image(data, path.name)


def decode_image(data: bytes, name: str) -> Image:
    """BGR, uint8 [height, width, 3], turned upright as its EXIF data say.

    Args:
        data: The file.
        name: What the visitor calls it.

    Raises:
        ConfigError: It is no image of `IMAGE_KINDS`, too small, too large, or broken.
    """
    header = read_header(data)
    if header is None:
        raise ConfigError(Problem(name, "is not an image that this page reads", fix=f"choose {IMAGE_RULE}"))
    width, height = header.upright
    size = f"{width}x{height}"
    if width * height > MAX_IMAGE_PIXELS:
        rule = f"must have at most {MAX_IMAGE_PIXELS >> 20} megapixels"
        raise ConfigError(
            Problem(name, rule, value=size, fix="make it smaller; the model looks at a small copy anyway")
        )
    if min(width, height) < MIN_SIDE_PX:
        raise ConfigError(Problem(name, f"must be at least {MIN_SIDE_PX} pixels wide and high", value=size))
    try:
        return upright_from(data, Path(name)).picture
    except DatasetError as exc:
        fix = "open it elsewhere and save it again"
        raise ConfigError(Problem(name, f"is a damaged or unusual {header.kind} file", fix=fix)) from exc


def check_film(path: Path) -> None:
    """Judge an uploaded film by its container and the size of its pictures.

    Raises:
        ConfigError: It is none of `FILM_KINDS`, does not open, is too large, or has been deleted since.
    """
    if not _is_film(_head(path)):
        raise ConfigError(Problem(path.name, "is not a film that this page reads", fix=f"choose {FILM_RULE}"))
    capture = open_capture(Origin("file", str(path), path.name))
    try:
        if not capture.isOpened():
            raise ConfigError(Problem(path.name, "holds no video that can be read", fix="does it play elsewhere?"))
        width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    finally:
        capture.release()
    if width * height > MAX_FILM_PIXELS:
        rule = "its pictures must not be larger than 3840x2160"
        raise ConfigError(Problem(path.name, rule, value=f"{width}x{height}", fix="make it smaller"))


def _head(path: Path) -> bytes:
    with _still_there(path), path.open("rb") as file:
        return file.read(_HEAD_BYTES)


@contextmanager
def _still_there(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        rule = "is no longer here: what is uploaded is deleted soon"
        raise ConfigError(Problem(path.name, rule, fix="choose it again")) from exc


def _is_film(head: bytes) -> bool:
    is_iso = head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
    is_matroska = head.startswith(b"\x1a\x45\xdf\xa3")
    return is_iso or is_matroska or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")
