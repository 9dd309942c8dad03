"""Sound datasets to start from, three images each: as files in memory, by their path in the dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.pictures import encoded

Files = dict[str, bytes]

_SPLITS = ("train", "val", "test")
_ROWS = b"0 0.1 0.1 0.1 0.9 0.9 0.9\n1 0.5 0.1 0.9 0.1 0.9 0.5\n"
_TRIANGLE = [4.0, 3.0, 4.0, 27.0, 36.0, 27.0]
_SQUARE = [20.0, 3.0, 36.0, 3.0, 36.0, 15.0, 20.0, 15.0]


def yolo(suffix: str = ".jpg") -> Files:
    """Three splits, two classes, two objects an image."""
    files = {"data.yaml": b"path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames: [cat, dog]\n"}
    for seed, split in enumerate(_SPLITS):
        files[f"images/{split}/{split}0{suffix}"] = encoded(suffix, seed=seed)
        files[f"labels/{split}/{split}0.txt"] = _ROWS
    return files


def yolo_lists() -> Files:
    """The same with list files, as Darknet and Ultralytics take them."""
    files = yolo()
    files["data.yaml"] = b"train: train.txt\nval: val.txt\ntest: [test.txt]\nnames: {0: cat, 1: dog}\nnc: 2\n"
    return files | {f"{split}.txt": f"./images/{split}/{split}0.jpg\n".encode() for split in _SPLITS}


def coco() -> Files:
    """One JSON a split; polygons, a mask in each spelling, a crowd."""
    files: Files = {}
    for seed, split in enumerate(_SPLITS):
        files[f"images/{split}0.jpg"] = encoded(".jpg", seed=seed)
        files[f"annotations/instances_{split}.json"] = json.dumps(coco_document(f"{split}0.jpg")).encode()
    return files


def coco_document(file_name: str, **changes: Any) -> dict[str, Any]:
    """One image, five annotations."""
    runs = [310, 10, 20, 10, 850]  # column by column: two strips of 10 pixels
    shapes: list[tuple[int, Any, int]] = [
        (1, [_TRIANGLE], 0),
        (2, [_SQUARE, [2, 2, 9, 2, 9, 9]], 0),
        (1, {"size": [30, 40], "counts": runs}, 0),
        (2, {"size": [30, 40], "counts": "f9:d00ni0"}, 0),
        (1, {"size": [30, 40], "counts": [*runs[:4], 840, 10]}, 1),
    ]
    document = {
        "images": [{"id": 7, "file_name": file_name, "width": 40, "height": 30}],
        "annotations": [
            {"id": i, "image_id": 7, "category_id": category, "segmentation": shape, "iscrowd": crowd, "area": 1}
            for i, (category, shape, crowd) in enumerate(shapes)
        ],
        "categories": [
            {"id": 1, "name": "cat", "supercategory": "pet"},
            {"id": 2, "name": "dog", "supercategory": "pet"},
        ],
    }
    return document | changes


def write(files: Mapping[str, bytes], folder: Path) -> Path:
    """Put the files into the folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
