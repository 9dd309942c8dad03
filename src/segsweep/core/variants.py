"""The five YOLOv8-seg sizes and what is known about them before the first trial."""

from __future__ import annotations

from typing import Literal, get_args

Variant = Literal["n", "s", "m", "l", "x"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

# Forward GFLOPs at 640 pixels and parameters in millions, from Ultralytics' YOLOv8-seg model table
# (https://docs.ultralytics.com/models/yolov8/). Only ratios between sizes are used.
GFLOPS: dict[Variant, float] = {"n": 12.6, "s": 42.6, "m": 110.2, "l": 220.5, "x": 344.1}
PARAMETERS_M: dict[Variant, float] = {"n": 3.4, "s": 11.8, "m": 27.3, "l": 46.0, "x": 71.8}


def weights_name(variant: str) -> str:
    """File name of the pretrained weights, as Ultralytics publishes them."""
    return f"yolov8{variant}-seg.pt"


def architecture_name(variant: str) -> str:
    """Name of the architecture file for training from random weights."""
    return f"yolov8{variant}-seg.yaml"


def nominal_epoch_cost(variant: Variant) -> float:
    """Cost of one epoch relative to variant n, a prior that does not depend on any clock."""
    return GFLOPS[variant] / GFLOPS["n"]
