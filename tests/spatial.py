"""Transforms with parameters under which each does something, and shapes to see what it does."""

from __future__ import annotations

from typing import Any

import numpy as np

from segsweep.config.augmentation import TransformSpec
from segsweep.core.geometry import trace
from segsweep.dataset.pictures.picture import Picture
from segsweep.dataset.records import Instance

SIDE = 96

# What transforms need, or need in order to be visible; dropouts cut the masks too, so that both sides can be compared.
PARAMETERS: dict[str, dict[str, Any]] = {
    "Affine": {"rotate": [-30, 30], "scale": [0.8, 1.2], "shear": [-10, 10]},
    "CenterCrop": {"height": 60, "width": 70},
    "CoarseDropout": {"fill_mask": 0},
    "Crop": {"x_max": 70, "y_max": 64},
    "CropAndPad": {"percent": [-0.1, 0.1]},
    "CropNonEmptyMaskIfExists": {"height": 60, "width": 70},
    "ElasticTransform": {"alpha": 40, "sigma": 6},
    "Erasing": {"fill_mask": 0},
    "GridDropout": {"fill_mask": 0},
    "GridElasticDeform": {"num_grid_xy": [3, 3], "magnitude": 8},
    "LongestMaxSize": {"max_size": 71},
    "OpticalDistortion": {"distort_limit": 0.4},
    "Pad": {"padding": 10},
    "PadIfNeeded": {"min_height": 110, "min_width": 120},
    "PixelDropout": {"mask_drop_value": 0},
    "RandomCrop": {"height": 60, "width": 70},
    "RandomResizedCrop": {"size": [90, 90], "scale": [0.5, 1.0]},
    "RandomScale": {"scale_limit": 0.3},
    "RandomSizedCrop": {"min_max_height": [50, 70], "size": [80, 80]},
    "Resize": {"height": 70, "width": 110},
    "SmallestMaxSize": {"max_size": 71},
    "XYMasking": {"num_masks_x": 2, "num_masks_y": 2, "mask_x_length": 9, "mask_y_length": 9, "fill_mask": 0},
}


def spec(name: str, **changes: Any) -> TransformSpec:
    """The transform, always applied unless told otherwise."""
    return TransformSpec(name=name, params={"p": 1.0, **PARAMETERS.get(name, {}), **changes})


def shapes() -> tuple[Picture, tuple[Instance, ...]]:
    """A red ring (a hole) and a blue pair of bars (two parts) on grey, with their instances."""
    y, x = np.mgrid[:SIDE, :SIDE]
    ring = (np.hypot(x - 36, y - 42) < 26) & (np.hypot(x - 33, y - 42) >= 10)
    bars = (abs(y - 30) < 22) & (abs(x - 78) < 14) & (abs(x - 78) >= 4)
    picture = np.full((SIDE, SIDE, 3), 128, np.uint8)
    picture[ring], picture[bars] = (0, 0, 255), (255, 0, 0)
    instances = tuple(
        Instance(category, tuple(part.scaled(1 / SIDE, 1 / SIDE) for part in trace(mask)))
        for category, mask in enumerate((ring, bars))
    )
    return picture, instances


def painted(picture: Picture, category: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where the picture shows the instance of the category, by its colour alone."""
    redness = picture[..., 2].astype(int) - picture[..., 0]
    return np.asarray(redness > 127 if category == 0 else redness < -127)
