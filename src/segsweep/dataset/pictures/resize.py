"""Resizing: which part of a picture becomes which output image, and how it is drawn.

A source image has one output image, or a grid of tiles; each is a `View`, which also says where shapes go.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from segsweep.dataset.pictures.picture import Picture
from segsweep.dataset.pictures.view import View
from segsweep.errors import ConfigError, Problem

MODES = ("longest", "stretch", "letterbox", "tile")
MAX_OVERLAP = 0.9  # of a tile; beyond it, tiles are more than a hundred times what they cover

_SKIPS_ABOVE = 1.5  # times smaller: bilinear interpolation then leaves out much of what lies between its points
_BLUR_PX = 0.45  # standard deviation

_PAD = 114  # grey level; Ultralytics pads with it (data/augment.py, LetterBox)


def views(width: int, height: int, mode: str, imgsz: int, overlap: float) -> tuple[View, ...]:
    """The output images of a source image.

    Args:
        width: Of the source image, pixels.
        height: As `width`.
        mode: `longest`: the longer side becomes `imgsz`, the aspect is kept. `stretch`: both sides become `imgsz`.
            `letterbox`: as `longest`, padded with grey to a square. `tile`: squares of `imgsz` at the image's own
            scale, the last of a row or column moved inside; an image no larger than a tile is one `longest` view.
        imgsz: Pixels.
        overlap: Share of a tile's side that it has in common with the next, 0 to 0.9; for `tile`.

    Raises:
        ConfigError: There is no such mode, or the overlap is not in its range.
    """
    if mode not in MODES:
        raise ConfigError(Problem("--resize", f"must be one of {', '.join(MODES)}", value=mode))
    if not 0 <= overlap <= MAX_OVERLAP:
        raise ConfigError(Problem("--overlap", f"must be a share from 0 to {MAX_OVERLAP}", value=str(overlap)))
    source, whole, square = (width, height), (0, 0, width, height), (imgsz, imgsz)
    if mode == "tile" and max(width, height) > imgsz:
        return tuple(
            View(f"-r{row}c{column}", (x, y, right, bottom), size, (0, 0), size, source)
            for row, y in enumerate(_starts(height, imgsz, overlap))
            for column, x in enumerate(_starts(width, imgsz, overlap))
            for right, bottom in [(min(x + imgsz, width), min(y + imgsz, height))]
            for size in [(right - x, bottom - y)]
        )
    if mode == "stretch":
        return (View("", whole, square, (0, 0), square, source),)
    scaled = resized_shape(width, height, imgsz)
    if mode == "letterbox":
        # The odd pixel goes to the right and below, as Ultralytics has it.
        offset = ((imgsz - scaled[0]) // 2, (imgsz - scaled[1]) // 2)
        return (View("", whole, scaled, offset, square, source),)
    return (View("", whole, scaled, (0, 0), scaled, source),)


def resized_shape(width: int, height: int, imgsz: int) -> tuple[int, int]:
    """Width and height after the longest side became `imgsz`; aspect kept to the nearest pixel, at least 1."""
    scale = imgsz / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def least_size(of: Sequence[View]) -> tuple[int, int]:
    """Width and height that a source image must at least be decoded at, so that no view has to enlarge it again."""
    width, height = (
        math.ceil(max(view.source[i] * view.scaled[i] / (view.crop[i + 2] - view.crop[i]) for view in of) - 1e-9)
        for i in (0, 1)
    )
    return width, height


def render(picture: Picture, view: View) -> Picture:
    """Draw a view.

    Where it shrinks, pixels are averaged so that nothing aliases (by a factor below two, what is no wider than a pixel
    may, a little); where it grows, it is interpolated by cubics.

    Args:
        picture: The source image, (height, width, 3), uint8; it may have been decoded at a reduced scale.
        view: One of its views.
    """
    height, width = picture.shape[:2]
    across, down = width / view.source[0], height / view.source[1]
    x0, y0, x1, y1 = view.crop
    part = picture
    if view.crop != (0, 0, *view.source):
        part = picture[round(y0 * down) : round(y1 * down), round(x0 * across) : round(x1 * across)]
    part = _resized(part, *view.scaled)
    if view.scaled == view.size:
        return np.ascontiguousarray(part)
    canvas = np.full((view.size[1], view.size[0], 3), _PAD, dtype=np.uint8)
    x, y = view.offset
    canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    return canvas


def _resized(picture: Picture, width: int, height: int) -> Picture:
    has_height, has_width = picture.shape[:2]
    picture = _shrunk(picture, min(has_width, width), min(has_height, height))
    if picture.shape[:2] != (height, width):
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    return picture


def _shrunk(picture: Picture, width: int, height: int) -> Picture:
    """Halve as often as it goes, each pixel the mean of four; then interpolate, after a blur where that skips pixels.

    OpenCV's averaging over areas takes three times as long for any factor but 2. Measured on photographs against
    Lanczos scaling of Pillow, this is as close as averaging up to a factor of 1.5 (42 dB), and 1 dB less at 2; the JPEG
    that follows keeps 41 to 43 dB.
    """
    while picture.shape[1] >= 2 * width and picture.shape[0] >= 2 * height:
        half = (max(width, picture.shape[1] // 2), max(height, picture.shape[0] // 2))
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    across, down = picture.shape[1] / width, picture.shape[0] / height
    if across == down == 1:
        return picture
    if max(across, down) >= 2:
        return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    kernel = (3 if across > _SKIPS_ABOVE else 1, 3 if down > _SKIPS_ABOVE else 1)
    if kernel != (1, 1):
        picture = np.asarray(cv2.GaussianBlur(picture, kernel, _BLUR_PX), dtype=np.uint8)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    if length <= tile:
        return [0]
    stride = max(1, round(tile * (1 - overlap)))
    count = math.ceil((length - tile) / stride) + 1
    return [min(i * stride, length - tile) for i in range(count)]
