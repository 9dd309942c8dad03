"""What was found in an image, as rows of COCO results and of a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from segsweep.dataset.formats.rle import encode_counts, encode_window
from segsweep.inference.masks import Mask
from segsweep.inference.predictor import Prediction

COLUMNS = ("file_name", "image_id", "category_id", "category", "score", "x", "y", "width", "height", "mask_area")


def coco_rows(prediction: Prediction, image_id: int, file_name: str) -> list[dict[str, Any]]:
    """Objects of one image as COCO results, best first (cocodataset.org/#format-results).

    Args:
        prediction: Of the image.
        image_id: From 1.
        file_name: As the user named it; COCO's readers ignore it.

    Returns:
        Each with `category_id` (class index + 1), `bbox` (x, y, width, height in pixels, to a hundredth), `score` (to
        six digits) and `segmentation` (compressed runs).
    """
    return [
        {
            "image_id": image_id,
            "file_name": file_name,
            "category_id": int(kind) + 1,
            "bbox": [round(float(value), 2) for value in (box[0], box[1], box[2] - box[0], box[3] - box[1])],
            "score": round(float(score), 6),
            "segmentation": segmentation(mask, prediction.shape),
        }
        for box, score, kind, mask in zip(
            prediction.boxes, prediction.scores, prediction.classes, prediction.masks, strict=True
        )
    ]


def table_rows(rows: Sequence[dict[str, Any]], prediction: Prediction, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """The same objects under `COLUMNS`, sizes in pixels.

    Args:
        rows: Of `coco_rows`.
        prediction: What they were made from.
        names: Class names by index.
    """
    return [
        (
            *(row["file_name"], row["image_id"], row["category_id"], names[row["category_id"] - 1]),
            *(row["score"], *row["bbox"], mask.area),
        )
        for row, mask in zip(rows, prediction.masks, strict=True)
    ]


def to_csv(rows: Sequence[tuple[Any, ...]]) -> str:
    """A table with a line of `COLUMNS` on top."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def segmentation(mask: Mask, shape: tuple[int, int]) -> dict[str, Any]:
    """A mask as COCO's compressed runs.

    Args:
        mask: Of an image.
        shape: The image's height and width in pixels.
    """
    height, width = shape
    runs = encode_window(mask.pixels, (mask.left, mask.top), height, width)
    return {"size": [height, width], "counts": encode_counts(runs)}
