"""Albumentations transforms in turn, on pictures in OpenCV's channel order, from one stream of random numbers.

Imported by `segsweep.dataset.augmentation.transforms` once it has found albumentations. Four things that albumentations
2.0 leaves to its user are put right here, wherever the transforms run, Ultralytics' training included:

- `Compose.set_random_seed` seeds every transform alike: a horizontal and a vertical flip of p 0.5 would always come
  together, for ever. Here all of them draw from one generator.
- Transforms that know colours expect RGB, and both Ultralytics and OpenCV hold BGR.
- Its keypoints count pixels by their centres, outlines by their edges: a flip would move an outline by one pixel.
- Dropouts remove the points of an outline that fall into a hole and so bend it. Here they touch the picture alone, and
  an object stays annotated where it is hidden; with `fill_mask: 0` they cut the masks too, of offline copies only.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import albumentations
import cv2
import numpy as np
from albumentations.augmentations.crops.transforms import CropSizeError
from albumentations.augmentations.dropout.transforms import BaseDropout

_HALF_PX = 0.5


class BgrSequence(albumentations.Sequential):  # type: ignore[misc]
    """Every transform in turn; a plain sequence to everybody else, and storable as one.

    Args:
        transforms: What to apply.
        p: Probability that any of it is applied.
    """

    def __init__(self, transforms: list[Any], p: float = 1.0) -> None:
        super().__init__(transforms=transforms, p=p)

    def set_random_seed(self, seed: int | None) -> None:
        """Let all transforms draw from one generator with this seed."""
        self.seed = seed
        self.set_random_state(np.random.default_rng(seed), random.Random(seed))

    def __call__(self, *args: Any, force_apply: bool = False, **data: Any) -> dict[str, Any]:
        """Apply to albumentations' data; `image` is uint8 BGR (or grey), before and after.

        Raises:
            ValueError: A transform cannot be applied to a picture of this size.
        """
        if not force_apply and self.py_random.random() >= self.p:
            return data
        data = _prepared(data, -_HALF_PX)
        try:
            for transform in self.transforms:
                if isinstance(transform, BaseDropout) and transform.fill_mask is None:
                    data = {**data, "image": transform(image=data["image"])["image"]}
                else:
                    data = self.check_data_post_transform(transform(**data))
        except (CropSizeError, cv2.error) as exc:  # which have no common base with the ValueErrors of other transforms
            raise ValueError(" ".join(str(exc).split())) from exc
        return _prepared(data, _HALF_PX)


def _prepared(data: Mapping[str, Any], shift: float) -> dict[str, Any]:
    image, points = data["image"], data.get("keypoints")
    changed = {"image": np.ascontiguousarray(image[..., ::-1]) if image.ndim == 3 and image.shape[2] == 3 else image}
    if points is not None and len(points):
        changed["keypoints"] = points + np.array([shift, shift, *[0.0] * (points.shape[1] - 2)], points.dtype)
    return {**data, **changed}
