"""Raw datasets small enough to be read in milliseconds, and the real one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

# The lower left half of the image.
TRIANGLE = "0.1 0.1 0.1 0.9 0.9 0.9"


def write_image(path: Path, width: int = 40, height: int = 30, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    done, data = cv2.imencode(path.suffix, noise)
    assert done
    path.write_bytes(data.tobytes())
    return path


@pytest.fixture
def make_image() -> Callable[..., Path]:
    """Writes a picture of noise, 40x30 unless told otherwise."""
    return write_image


@pytest.fixture
def make_yolo(tmp_path: Path) -> Callable[..., Path]:
    """Writes a YOLO folder: `{"train/a": rows, ...}`; rows of None is an image without a label file."""

    def make(labels: Mapping[str, str | None], data: str | None = None) -> Path:
        folder = tmp_path / "raw"
        splits = dict.fromkeys(name.partition("/")[0] for name in labels)
        lines = [f"{split}: images/{split}" for split in splits]
        folder.mkdir()
        (folder / "data.yaml").write_text(data or "\n".join([*lines, "names: [cat, dog]"]))
        for seed, (name, rows) in enumerate(labels.items()):
            write_image(folder / "images" / f"{name}.jpg", seed=seed)
            if rows is not None:
                label = folder / "labels" / f"{name}.txt"
                label.parent.mkdir(parents=True, exist_ok=True)
                label.write_text(rows)
        return folder

    return make


@pytest.fixture
def small_yolo(make_yolo: Callable[..., Path]) -> Path:
    """Twelve images of two classes, given in train, val and test."""
    rows = f"0 {TRIANGLE}\n1 0.5 0.1 0.9 0.1 0.9 0.5\n"
    names = [f"{split}/{split}{i}" for split, count in (("train", 6), ("val", 3), ("test", 3)) for i in range(count)]
    folder: Path = make_yolo(dict.fromkeys(names, rows))
    return folder


@pytest.fixture
def make_coco(tmp_path: Path) -> Callable[..., Path]:
    """Writes a COCO folder with one JSON from annotations; images are 40x30 unless given."""

    def make(
        annotations: list[dict[str, Any]],
        images: list[dict[str, Any]] | None = None,
        categories: list[dict[str, Any]] | None = None,
        file: str = "annotations.json",
    ) -> Path:
        folder = tmp_path / "coco"
        rows = images or [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}]
        for seed, row in enumerate(rows):
            write_image(folder / "images" / row["file_name"], row["width"], row["height"], seed)
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        names = categories or [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        path.write_text(json.dumps({"images": rows, "annotations": annotations, "categories": names}))
        return folder

    return make


@pytest.fixture
def feralcat() -> Path:
    """The real photographs in `../shared/data`, or in `$SEGSWEEP_DATA`."""
    root = os.environ.get("SEGSWEEP_DATA") or Path(__file__).parents[4] / "shared" / "data"
    folder = Path(root) / "feralcat"
    if not folder.is_dir():
        reason = f"no real data at {folder}: set SEGSWEEP_DATA"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
