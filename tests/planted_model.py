"""A segmentation network whose outputs are written down, so that predictions have exact expected values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

CANVAS = 64


def planted_outputs(objects: Sequence[tuple[float, ...]], classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of a network with 2 prototypes: prototype 0 is +1 everywhere, prototype 1 is +1 left and -1 right.

    Args:
        objects: `(centre x, centre y, width, height, class, score, coefficient 0, coefficient 1)` each.
        classes: Number of classes.
    """
    raw = np.zeros((1, 4 + classes + 2, max(len(objects), 8)), np.float32)
    for anchor, (x, y, w, h, kind, score, *coefficients) in enumerate(objects):
        raw[0, :4, anchor] = x, y, w, h
        raw[0, 4 + int(kind), anchor] = score
        raw[0, -2:, anchor] = coefficients
    prototypes = np.ones((1, 2, CANVAS // 4, CANVAS // 4), np.float32)
    prototypes[0, 1, :, CANVAS // 8 :] = -1.0
    return raw, prototypes


def planted_survivors(objects: Sequence[tuple[float, ...]], rows: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of a network with NMS inside and the prototypes of `planted_outputs`.

    Args:
        objects: `(x1, y1, x2, y2, score, class, coefficient 0, coefficient 1)` each, best first.
        rows: Rows of the first output; those after the objects are zeros.
    """
    raw = np.zeros((1, rows, 8), np.float32)
    for row, values in enumerate(objects):
        raw[0, row] = values
    return raw, planted_outputs([])[1]


def write_planted_model(
    path: Path,
    outputs: Sequence[np.ndarray],
    names: str = "{0: 'cat', 1: 'dog'}",
    kind: type = np.float32,
    metadata: Mapping[str, str] | None = None,
    *,
    dynamic: bool = False,
) -> Path:
    """Write the network.

    Args:
        path: The file.
        outputs: What it gives, whatever the image.
        names: Its metadata `names`.
        kind: What it takes and gives, float32 or float16.
        metadata: More of its metadata.
        dynamic: Whether it says that batch, height and width are the caller's.
    """
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    constants = [
        helper.make_node("Constant", [], [f"output{i}"], value=numpy_helper.from_array(value.astype(kind)))
        for i, value in enumerate(outputs)
    ]
    shapes = [value.shape for value in outputs]
    images = helper.make_tensor_value_info("images", number, [1, 3, CANVAS, CANVAS])
    if dynamic:
        images = helper.make_tensor_value_info("images", number, ["batch", 3, "height", "width"])
        shapes = [("batch", shapes[0][1], "anchors"), ("batch", shapes[1][1], "mask_height", "mask_width")]
    infos = [helper.make_tensor_value_info(f"output{i}", number, shape) for i, shape in enumerate(shapes)]
    graph = helper.make_graph(constants, "planted", [images], infos)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"names": names, **(metadata or {})})
    onnx.save(model, str(path))
    return path
