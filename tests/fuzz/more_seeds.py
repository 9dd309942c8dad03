"""Sound datasets of the other formats, three images each: LabelMe, masks as PNG in every layout, Cityscapes."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np

from fuzz import seeds
from fuzz.pictures import encoded
from fuzz.seeds import Files
from segsweep.dataset.formats.registry import find_format, read_dataset

_SPLITS = ("train", "val", "test")


def labelme() -> Files:
    """A JSON beside each image; every type of shape, one image inside its JSON."""
    shapes = [
        ("cat", "polygon", [[4, 3], [4, 27], [36, 27]], None),
        ("dog", "rectangle", [[20, 3], [36, 15]], None),
        ("dog", "circle", [[10, 15], [14, 15]], 1),
        ("dog", "polygon", [[30, 20], [38, 20], [38, 28]], 1),
    ]
    rows = [
        {"label": label, "points": points, "group_id": group, "shape_type": kind, "flags": {}}
        for label, kind, points, group in shapes
    ]
    files: Files = {"labels.txt": b"__ignore__\n_background_\ncat\ndog\n"}
    for seed, split in enumerate(_SPLITS):
        document = {
            "version": "5.5.0", "flags": {}, "shapes": rows, "imagePath": f"{split}0.jpg", "imageData": None,
            "imageHeight": 30, "imageWidth": 40,
        }  # fmt: skip
        image = encoded(".jpg", seed=seed)
        if split == "val":
            document["imageData"] = base64.b64encode(image).decode()
        else:
            files[f"{split}/{split}0.jpg"] = image
        files[f"{split}/{split}0.json"] = json.dumps(document).encode()
    return files


def _png(values: np.ndarray) -> bytes:
    done, data = cv2.imencode(".png", values)
    assert done
    return bytes(data.tobytes())


def _numbers(first: int, second: int) -> np.ndarray:
    mask = np.zeros((30, 40), np.uint16)
    mask[3:20, 4:20] = first
    mask[10:28, 22:38] = second
    return mask


def numbered_masks() -> Files:
    """One mask an image, every number an object."""
    files: Files = {}
    for seed, split in enumerate(_SPLITS):
        files[f"{split}/images/{split}0.jpg"] = encoded(".jpg", seed=seed)
        files[f"{split}/masks/{split}0.png"] = _png(_numbers(1, 2).astype(np.uint8))
    return files


def object_masks() -> Files:
    """A folder an image, with one mask an object."""
    files: Files = {}
    for seed, split in enumerate(_SPLITS):
        files[f"{split}0/images/{split}0.png"] = encoded(".png", seed=seed)
        for number in (1, 2):
            mask = (_numbers(1, 2) == number).astype(np.uint8) * 255
            files[f"{split}0/masks/{split}0-{number}.png"] = _png(mask)
    return files


def coloured_masks() -> Files:
    """One mask an image, colours that a table names."""
    files: Files = {"colours.yaml": b"classes:\n  cat: [255, 0, 0]\n  dog: '#00ff00'\nignore: [[9, 9, 9]]\n"}
    for seed, split in enumerate(_SPLITS):
        colours = np.zeros((30, 40, 3), np.uint8)
        colours[_numbers(1, 2) == 1] = (0, 0, 255)
        colours[_numbers(1, 2) == 2] = (0, 255, 0)
        files[f"images/{split}/{split}0.jpg"] = encoded(".jpg", seed=seed)
        files[f"masks/{split}/{split}0.png"] = _png(colours)
    return files


def cityscapes() -> Files:
    """Two cities to train on and one of the official val, from instanceIds and from polygons."""
    files: Files = {}
    for seed, (split, city) in enumerate((("train", "aachen"), ("train", "bochum"), ("val", "lindau"))):
        stem = f"{city}_000000_000019"
        files[f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png"] = encoded(".png", seed=seed)
        folder = f"gtFine/{split}/{city}"
        files[f"{folder}/{stem}_gtFine_instanceIds.png"] = _png(_numbers(24_000, 26_000))
    stem = "gtFine/train/bochum/bochum_000000_000019_gtFine"
    del files[f"{stem}_instanceIds.png"]
    objects = [
        {"label": "road", "polygon": [[0, 0], [0, 29], [39, 29], [39, 0]]},
        {"label": "person", "polygon": [[4, 3], [4, 20], [20, 20]]},
        {"label": "car", "polygon": [[22, 10], [22, 28], [38, 28]]},
        {"label": "cargroup", "polygon": [[1, 25], [8, 25], [8, 29]]},
    ]
    document = {"imgHeight": 30, "imgWidth": 40, "objects": objects}
    files[f"{stem}_polygons.json"] = json.dumps(document).encode()
    return files


def written_as(format_name: str) -> Files:
    """The COCO seed as our own writer of another format leaves it."""
    with tempfile.TemporaryDirectory(prefix="segsweep-tests-") as place:
        dataset = read_dataset(seeds.write(seeds.coco(), Path(place) / "coco"), "coco")
        folder = Path(place) / "out"
        folder.mkdir()
        find_format(format_name).write(dataset, folder)
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
