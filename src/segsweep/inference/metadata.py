"""What a model file says about itself: `segsweep export` writes it, the predictor reads it, on an edge device too.

The entries lie in the file's `metadata_props`, beside those that Ultralytics writes (`names`, `imgsz`, `stride`,
`license`, ...); ours are named `segsweep.*` and hold JSON. A file of Ultralytics' own export has none of ours.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

import segsweep
from segsweep.errors import ConfigError, Problem
from segsweep.inference.decode import Thresholds
from segsweep.inference.forms import Form
from segsweep.inference.letterbox import PADDING

# What NMS inside a graph is made with. Callers may ask for a higher score afterwards, and get what NMS would have left.
INSIDE = Thresholds(conf=0.05, iou=0.7, max_det=300)

_INPUT = {"channels": "RGB", "letterbox_colour": PADDING, "divided_by": 255}
_DEFAULT_IMGSZ = (640, 640)


def entries(form: Form, about: Mapping[str, Any]) -> dict[str, str]:
    """Our entries of a file.

    Args:
        form: How it is made.
        about: What else it tells, by name: trial, dataset_digest, calibration, ...
    """
    told = {
        "version": segsweep.__version__,
        "precision": form.precision,
        "input": _INPUT,
        "nms": _thresholds(INSIDE) if form.nms else None,
        "thresholds": _thresholds(Thresholds()),
        **about,
    }
    return {f"segsweep.{name}": json.dumps(value, sort_keys=True) for name, value in told.items()}


def check_input(metadata: Mapping[str, str], where: str) -> None:
    """Raise when the file wants pixels prepared in another way than the predictor's.

    Raises:
        ConfigError: It says so.
    """
    told = _json(metadata.get("segsweep.input"))
    if told is not None and told != _INPUT:
        rule = f"must take what this version prepares, {json.dumps(_INPUT, sort_keys=True)}"
        fix = "use the version of segsweep that wrote it"
        raise ConfigError(Problem(where, rule, "segsweep.input", metadata["segsweep.input"], fix))


def class_names(metadata: Mapping[str, str]) -> dict[int, str]:
    """Class names by index; empty where the file has none."""
    names = _literal(metadata.get("names"))
    if not isinstance(names, dict) or not all(isinstance(index, int) for index in names):
        return {}
    return {index: str(name) for index, name in names.items()}


def image_size(metadata: Mapping[str, str]) -> tuple[int, int]:
    """Height and width, in pixels, that the file was made for; 640 each where it does not say."""
    told = _literal(metadata.get("imgsz"))
    if isinstance(told, list | tuple) and len(told) == 2 and all(isinstance(side, int) and side > 0 for side in told):
        return told[0], told[1]
    return _DEFAULT_IMGSZ


def has_nms(metadata: Mapping[str, str]) -> bool:
    """Whether NMS is part of the graph: from our entry, or from the arguments of Ultralytics' own export."""
    arguments = _literal(metadata.get("args"))
    return nms_inside(metadata) is not None or (isinstance(arguments, dict) and arguments.get("nms") is True)


def nms_inside(metadata: Mapping[str, str]) -> Thresholds | None:
    """What NMS inside the graph was made with; None where there is none, or where the file does not say."""
    told = _json(metadata.get("segsweep.nms"))
    try:
        return Thresholds(float(told["conf"]), float(told["iou"]), int(told["max_det"]))
    except (KeyError, TypeError, ValueError):
        return None


def _thresholds(thresholds: Thresholds) -> dict[str, Any]:
    return {"conf": thresholds.conf, "iou": thresholds.iou, "max_det": thresholds.max_det}


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def _literal(text: str | None) -> Any:
    try:
        return ast.literal_eval(text or "None")
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
