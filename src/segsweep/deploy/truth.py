"""What is true of a bundle's split: every object's own mask at the image's resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segsweep.core.geometry import fill
from segsweep.dataset.bundles.staging import NodeCopy
from segsweep.dataset.labels import read_labels
from segsweep.dataset.pictures.picture import read_picture
from segsweep.dataset.records import SPLITS
from segsweep.deploy.results import segmentation
from segsweep.errors import ConfigError, DatasetError, Problem
from segsweep.inference.masks import Mask


@dataclass(frozen=True)
class TrueObject:
    """One object.

    Attributes:
        category: Class index.
        box: Rectangle around its mask, corners x1, y1, x2, y2 in pixels.
        mask: Its pixels.
    """

    category: int
    box: tuple[int, int, int, int]
    mask: Mask


@dataclass(frozen=True)
class Truth:
    """Objects of one image.

    Attributes:
        shape: The image's height and width in pixels.
        objects: Those that fill a pixel at least.
    """

    shape: tuple[int, int]
    objects: tuple[TrueObject, ...]


def split_images(copy: NodeCopy, split: str) -> list[Path]:
    """Image files of a split, in order of name.

    Raises:
        ConfigError: There is no such split.
        DatasetError: It holds no images.
    """
    if split not in SPLITS:
        raise ConfigError(Problem("--split", f"must be one of {', '.join(SPLITS)}", value=split))
    images = sorted(copy.root / file.path for file in copy.manifest.files if file.path.startswith(f"images/{split}/"))
    if not images:
        raise DatasetError(Problem(copy.manifest.directory, "the split must hold images to evaluate on", split))
    return images


def true_objects(image: Path, classes: int) -> Truth:
    """Read an image's labels.

    Args:
        image: A file of a bundle's node copy.
        classes: How many the bundle has.

    Raises:
        DatasetError: The image or its labels cannot be read.
    """
    height, width = read_picture(image).shape[:2]
    objects = []
    for one in read_labels(image, classes):
        mask = fill([part.scaled(width, height) for part in one.parts], height, width)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size:
            x1, y1, x2, y2 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
            crop = np.ascontiguousarray(mask[y1:y2, x1:x2], np.bool_)
            objects.append(TrueObject(one.category, (x1, y1, x2, y2), Mask(x1, y1, crop)))
    return Truth((height, width), tuple(objects))


def to_coco(root: Path, files: Sequence[Path], truth: Sequence[Truth], classes: Sequence[str]) -> dict[str, Any]:
    """The split as a COCO dataset; image ids from 1 in the order of the files, category ids class index + 1.

    Args:
        root: What file names are relative to.
        files: Images.
        truth: Of each.
        classes: Names by index.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (file, one) in enumerate(zip(files, truth, strict=True), start=1):
        height, width = one.shape
        images.append({"id": image_id, "file_name": str(file.relative_to(root)), "width": width, "height": height})
        for each in one.objects:
            x1, y1, x2, y2 = each.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": each.category + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": each.mask.area,
                    "iscrowd": 0,
                    "segmentation": segmentation(each.mask, one.shape),
                }
            )
    categories = [{"id": index, "name": name} for index, name in enumerate(classes, start=1)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}
