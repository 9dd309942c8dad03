"""One synthetic scene: shapes over textures, drawn back to front, with the exact visible mask of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from segsweep.core.geometry import Mask, Part, fill
from segsweep.dataset.pictures.picture import Picture

CLASSES = ("disc", "ring", "star", "bar")

# A shape of which less than this is seen, in pixels of area or as a share of itself, is not drawn at all: nobody could
# tell what it is, and what is not annotated must not be seen.
MIN_VISIBLE_PX = 20
_MIN_VISIBLE_SHARE = 0.15

_SMALLEST, _MIDDLE, _LARGEST = 0.02, 0.2, 0.6  # longest extent of a shape, as a share of the shorter side


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and what is seen in it.

    Attributes:
        picture: (height, width, 3), uint8, BGR.
        shapes: Class index and visible mask of each shape, back to front.
    """

    picture: Picture
    shapes: tuple[tuple[int, Mask], ...]


@dataclass(frozen=True, eq=False)
class _Shape:
    category: int
    mask: Mask
    texture: npt.NDArray[np.float64]


def render_scene(width: int, height: int, rng: np.random.Generator) -> Scene:
    """Render a scene of two to six shapes.

    Most shapes are 20 % to 60 % of the shorter side, one in ten is smaller, down to 2 %; one scene in three has a bar
    laid across its largest shape, which cuts it in two. Each class has its range of hues, which overlap nowhere but
    leave the outline to be learnt; backgrounds are pale.

    Args:
        width: Pixels.
        height: Pixels.
        rng: Everything random comes from here.
    """
    background = _texture(width, height, _colour(rng.uniform(0, 360), rng.uniform(0.0, 0.25), rng), rng)
    shapes = [_random_shape(width, height, rng) for _ in range(int(rng.integers(2, 6)))]
    if rng.random() < 1 / 3:
        shapes.append(_cut(max(shapes, key=lambda shape: np.count_nonzero(shape.mask)), width, height, rng))
    while True:
        visible = _visible([shape.mask for shape in shapes])
        kept = [shape for shape, mask in zip(shapes, visible, strict=True) if _is_recognisable(shape, mask)]
        if len(kept) == len(shapes):
            break
        shapes = kept  # those behind may now be seen better
    canvas = background
    for shape, mask in zip(shapes, visible, strict=True):
        canvas = np.where(mask[..., None], shape.texture, canvas)
    canvas = cv2.GaussianBlur(canvas, (3, 3), 0.5) + rng.normal(0, 4, canvas.shape)
    picture = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    return Scene(picture, tuple((shape.category, mask) for shape, mask in zip(shapes, visible, strict=True)))


def _is_recognisable(shape: _Shape, visible: Mask) -> bool:
    seen = np.count_nonzero(visible)
    return bool(seen >= max(MIN_VISIBLE_PX, _MIN_VISIBLE_SHARE * np.count_nonzero(shape.mask)))


def _visible(masks: list[Mask]) -> list[Mask]:
    covered = np.zeros_like(masks[0]) if masks else np.zeros((0, 0), np.bool_)
    visible = []
    for mask in reversed(masks):
        visible.append(mask & ~covered)
        covered = covered | mask
    return visible[::-1]


def _random_shape(width: int, height: int, rng: np.random.Generator) -> _Shape:
    side = min(width, height)
    if rng.random() < 0.1:
        extent = _SMALLEST * (_MIDDLE / _SMALLEST) ** rng.random() * side
    else:
        extent = rng.uniform(_MIDDLE, _LARGEST) * side
    category = int(rng.integers(len(CLASSES)))
    centre = np.array([rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height])
    part = _OUTLINES[category](rng)
    placed = _place(part, centre, extent / 2, rng.uniform(0, 2 * np.pi))
    return _Shape(category, fill([placed], height, width), _class_texture(category, width, height, rng))


def _cut(shape: _Shape, width: int, height: int, rng: np.random.Generator) -> _Shape:
    y, x = np.nonzero(shape.mask)
    centre = np.array([x.mean() + 0.5, y.mean() + 0.5]) if x.size else np.array([width, height]) / 2
    extent = 1.3 * max(float(np.ptp(x)), float(np.ptp(y)), 8.0) if x.size else 8.0
    bar = _place(_bar(rng), centre, min(extent, 0.9 * max(width, height)) / 2, rng.uniform(0, 2 * np.pi))
    category = CLASSES.index("bar")
    return _Shape(category, fill([bar], height, width), _class_texture(category, width, height, rng))


def _place(part: Part, centre: npt.NDArray[np.float64], radius: float, angle: float) -> Part:
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    rings = [ring @ turn * radius + centre for ring in part.rings]
    return Part(rings[0], tuple(rings[1:]))


def _circle(radius: float) -> npt.NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius


def _disc(rng: np.random.Generator) -> Part:
    return Part(_circle(1.0) * (1.0, rng.uniform(0.75, 1.0)))


def _ring(rng: np.random.Generator) -> Part:
    return Part(_circle(1.0), (_circle(rng.uniform(0.4, 0.6)),))


def _star(rng: np.random.Generator) -> Part:
    angles = np.arange(10) * np.pi / 5
    radii = np.where(np.arange(10) % 2, rng.uniform(0.38, 0.5), 1.0)
    return Part(np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None])


def _bar(rng: np.random.Generator) -> Part:
    half = rng.uniform(0.12, 0.25)
    return Part(np.array([[-1.0, -half], [1.0, -half], [1.0, half], [-1.0, half]]))


_OUTLINES: tuple[Callable[[np.random.Generator], Part], ...] = (_disc, _ring, _star, _bar)


def _class_texture(category: int, width: int, height: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    hue = 360 * category / len(CLASSES) + rng.uniform(-30, 30)
    return _texture(width, height, _colour(hue, rng.uniform(0.6, 1.0), rng), rng)


def _colour(hue_degrees: float, saturation: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """BGR, 0 to 255, of medium to high brightness."""
    hsv = np.array([[[hue_degrees % 360, saturation, rng.uniform(0.5, 0.9)]]], dtype=np.float32)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0] * 255, dtype=np.float64)


def _texture(
    width: int, height: int, colour: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """A colour with clouds and, half of the time, stripes; (height, width, 3), 0 to 255."""
    clouds = cv2.resize(rng.normal(0, 14, (5, 5)), (width, height), interpolation=cv2.INTER_CUBIC)
    stripes = np.zeros((height, width))
    if rng.random() < 0.5:
        angle, period = rng.uniform(0, np.pi), rng.uniform(0.03, 0.12) * max(width, height)
        y, x = np.mgrid[:height, :width]
        stripes = 12 * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    return np.asarray(colour + (clouds + stripes)[..., None], dtype=np.float64)
