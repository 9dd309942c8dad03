"""Image files: decoded with every fault told, resized, encoded the same way every time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from segsweep.errors import DatasetError, Problem

Picture = npt.NDArray[np.uint8]

JPEG_QUALITY = 95
MIN_SIDE_PX = 10  # Ultralytics drops smaller images (data/utils.py, check_image)


def read_picture(path: Path, size: tuple[int, int] | None = None) -> Picture:
    """Decode an image file to 8-bit BGR, turned upright as its EXIF data say.

    Args:
        path: Any format OpenCV reads.
        size: Width and height that the annotations were made for. If they fit only the picture as it lies in the file,
            the EXIF rotation is not applied, for the annotations did not either.

    Returns:
        (height, width, 3), uint8.

    Raises:
        DatasetError: The file is not there, truncated, no image, or of another size.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise DatasetError(Problem(str(path), f"the image cannot be read: {exc.strerror}")) from exc
    if _is_truncated(data):
        raise DatasetError(
            Problem(str(path), "the image is truncated", fix="copy it again, or remove it and its labels")
        )
    picture = _decode(data, cv2.IMREAD_COLOR)
    if picture is None:
        fix = "remove it and its labels, or convert it"
        raise DatasetError(Problem(str(path), "is not an image that can be decoded", value=_kind(data), fix=fix))
    if size and size != (picture.shape[1], picture.shape[0]):
        upright = picture
        picture = _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if picture is None or size != (picture.shape[1], picture.shape[0]):
            found = f"{upright.shape[1]}x{upright.shape[0]}"
            rule = f"the image must have the size its annotations state, {size[0]}x{size[1]}"
            raise DatasetError(Problem(str(path), rule, value=found))
    return picture


def is_file(path: Path) -> bool:
    """Whether a path out of a dataset is a file; a path that no file system could hold is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of the upright image. Raises as `read_picture`."""
    height, width = read_picture(path).shape[:2]
    return width, height


def encode_jpeg(picture: Picture) -> bytes:
    """JPEG bytes at quality 95; the same picture gives the same bytes."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done  # encoding 8-bit BGR to memory cannot fail
    return bytes(data.tobytes())


def _decode(data: bytes, flags: int) -> Picture | None:
    if not data:
        return None
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return None if decoded is None else np.asarray(decoded, dtype=np.uint8)


def _is_truncated(data: bytes) -> bool:
    if data.startswith(b"\xff\xd8"):
        # Within a scan 0xFF is followed by 0x00 or a restart mark: an end mark after the last start is the end.
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in data[-64:]
    return False


def _kind(data: bytes) -> str:
    return "an empty file" if not data else f"{len(data)} bytes starting with {data[:8]!r}"
