"""Raw datasets of photograph-like pictures, as large and as many as a benchmark asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segsweep.core.part import Mask
from segsweep.dataset.pictures.picture import Picture
from segsweep.dataset.sample.scene import CLASSES, render_scene

Outline = npt.NDArray[np.int32]
Shape = tuple[int, list[Outline]]  # class, outlines in pixels

_SCENES = 60  # rendered; the others are these with other noise
_FILES = 600  # of a YOLO dataset; more images are further names of these


def write_coco(folder: Path, images: int, width: int, height: int) -> Path:
    """A COCO dataset of JPEGs with outlines as an annotator draws them; made once."""
    folder = folder / f"coco-{images}-{width}x{height}"
    if (folder / "annotations.json").exists():
        return folder
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (picture, shapes) in enumerate(_scenes(images, width, height)):
        name = f"{number:06d}.jpg"
        _write(folder / "images" / name, picture)
        rows.append({"id": number, "file_name": name, "width": width, "height": height})
        for category, outlines in shapes:
            segmentation = [outline.ravel().tolist() for outline in outlines]
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": category,
                    "iscrowd": 0,
                    "segmentation": segmentation,
                }
            )
    categories = [{"id": index, "name": name} for index, name in enumerate(CLASSES)]
    document = {"images": rows, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def write_yolo(folder: Path, images: int, width: int, height: int) -> Path:
    """A YOLO dataset of such JPEGs with splits, and all images of a scene in one of them; made once."""
    folder = folder / f"yolo-{images}-{width}x{height}"
    if (folder / "data.yaml").exists():
        return folder
    splits = [*["train"] * 8, "val", "test"]
    for split in dict.fromkeys(splits):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
    for number, (picture, shapes) in enumerate(_scenes(min(images, _FILES), width, height)):
        split = splits[number % len(splits)]
        image, labels = folder / "images" / split / f"{number:06d}.jpg", folder / "labels" / split / f"{number:06d}.txt"
        _write(image, picture)
        rows = [
            f"{category} " + " ".join(f"{value:.6f}" for value in (outline / (width, height)).ravel().tolist())
            for category, outlines in shapes
            for outline in outlines
        ]
        labels.write_text("\n".join(rows) + "\n")
        for further in range(number + _FILES, images, _FILES):
            for path in (image, labels):
                path.with_stem(f"{further:06d}").hardlink_to(path)
    lines = [f"{split}: images/{split}" for split in dict.fromkeys(splits)]
    (folder / "data.yaml").write_text("\n".join([*lines, f"names: [{', '.join(CLASSES)}]"]) + "\n")
    return folder


def _scenes(images: int, width: int, height: int) -> Iterator[tuple[Picture, list[Shape]]]:
    rng = np.random.default_rng(0)
    rendered: list[tuple[Picture, list[Shape]]] = []
    for _ in range(min(images, _SCENES)):
        scene = render_scene(width, height, rng)
        outlined = [(category, _outlines(mask)) for category, mask in scene.shapes]
        rendered.append((scene.picture, [shape for shape in outlined if shape[1]]))
    for number in range(images):
        picture, shapes = rendered[number % len(rendered)]
        noise = rng.integers(0, 24, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        grain = np.kron(noise, np.ones((8, 8, 1), np.uint8))[:height, :width]
        yield np.asarray(cv2.add(picture, grain), dtype=np.uint8), shapes


def _outlines(mask: Mask) -> list[Outline]:
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    thin = [cv2.approxPolyDP(outline, 1.0, closed=True).reshape(-1, 2) for outline in found]
    return [np.asarray(outline) for outline in thin if len(outline) >= 3]


def _write(path: Path, picture: Picture) -> None:
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
