"""Small videos, a model that finds the same in every picture, and live sources that break on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CANVAS = 64
WIDTH, HEIGHT = 96, 64


def write_film(path: Path, frames: int, fps: float = 25.0, fourcc: str = "mp4v") -> Path:
    """A film whose pictures have their number, modulo 256, in eight stripes."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), fps, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(picture(number))
    writer.release()
    return path


def picture(number: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """A picture that shows a number: a white stripe for 1, a black one for 0, the lowest bit on the left."""
    image = np.zeros((*size, 3), np.uint8)
    for bit in range(8):
        if number >> bit & 1:
            image[:, bit * size[1] // 8 : (bit + 1) * size[1] // 8] = 255
    return image


def shown_number(image: np.ndarray) -> int:
    """The number in a picture."""
    width = image.shape[1]
    return sum(1 << bit for bit in range(8) if image[:, (2 * bit + 1) * width // 16].mean() > 128)


def numbers(path: Path) -> list[int]:
    """What the pictures of a film show."""
    film = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    found = []
    while True:
        is_there, image = film.read()
        if not is_there:
            film.release()
            return found
        found.append(shown_number(image))


def write_cat_model(path: Path, found: bool = True) -> Path:
    """A network of two classes that sees one cat in the middle of whatever it is given, or nothing."""
    raw = np.zeros((1, 4 + 2 + 2, 8), np.float32)
    raw[0, :, 0] = 32.0, 32.0, 32.0, 16.0, 0.9 if found else 0.0, 0.0, 1.0, 0.0
    outputs = (raw, np.ones((1, 2, CANVAS // 4, CANVAS // 4), np.float32))
    nodes = [
        helper.make_node("Constant", [], [f"output{i}"], value=numpy_helper.from_array(value))
        for i, value in enumerate(outputs)
    ]
    infos = [
        helper.make_tensor_value_info(f"output{i}", TensorProto.FLOAT, value.shape) for i, value in enumerate(outputs)
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, CANVAS, CANVAS])
    graph = helper.make_graph(nodes, "cat", [images], infos)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"names": "{0: 'cat', 1: 'dog'}"})
    onnx.save(model, str(path))
    return path


class FakeLive:
    """Opens again and again: each time it gives so many pictures and breaks, 0 is one that opens and is silent.

    Args:
        openings: Pictures of each opening; None where it does not open. After the last one nothing opens.
        fps: What it says its rate is.
    """

    def __init__(self, openings: Sequence[int | None], fps: float = 25.0) -> None:
        self.opened = 0
        self.released = 0
        self._openings = openings
        self._fps = fps
        self._number = 0

    def __call__(self, origin: object) -> FakeCapture:
        gives = self._openings[self.opened] if self.opened < len(self._openings) else None
        self.opened += 1
        return FakeCapture(self, gives)

    def next_picture(self) -> np.ndarray:
        self._number += 1
        return picture(self._number - 1)

    @property
    def fps(self) -> float:
        return self._fps


class FakeCapture:
    def __init__(self, live: FakeLive, gives: int | None) -> None:
        self._live = live
        self._gives = gives

    def isOpened(self) -> bool:
        return self._gives is not None

    def read(self) -> tuple[bool, object]:
        if not self._gives:
            return False, None
        self._gives -= 1
        return True, self._live.next_picture()

    def get(self, property_id: int) -> float:
        return {cv2.CAP_PROP_FPS: self._live.fps, cv2.CAP_PROP_FRAME_COUNT: -1.0}[property_id]

    def release(self) -> None:
        self._live.released += 1
