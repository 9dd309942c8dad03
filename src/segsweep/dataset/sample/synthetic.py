"""The sample: a small raw dataset, rendered here, that can be learnt in minutes on a CPU and is not trivial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from segsweep.core.geometry import trace
from segsweep.dataset.formats.registry import find_format
from segsweep.dataset.pictures.picture import encode_jpeg
from segsweep.dataset.records import ImageRecord, Instance, RawDataset
from segsweep.dataset.sample.scene import CLASSES, render_scene
from segsweep.dataset.split import DEFAULT_RATIOS, split_by_ratio
from segsweep.errors import ConfigError, DatasetError, Problem
from segsweep.storage.files import disk_errors, folder_beside

DEFAULT_IMAGES = 96
DEFAULT_IMGSZ = 320

_PNG_EVERY = 8  # images; the others are JPEG
_ASPECTS = ((1.0, 1.0), (1.0, 0.75), (0.75, 1.0))


def write_sample(
    folder: Path, format_name: str, images: int = DEFAULT_IMAGES, seed: int = 0, imgsz: int = DEFAULT_IMGSZ
) -> RawDataset:
    """Render scenes and write them as a raw dataset; the same arguments give the same bytes.

    A `yolo` sample comes split into train, val and test, any other unsplit, so that `prepare` is seen to do both.

    Args:
        folder: Where to; absent or empty.
        format_name: A raw dataset format.
        images: How many, at least 3.
        seed: Another seed renders other scenes.
        imgsz: Longest side, pixels; at least 64.

    Returns:
        The dataset as written, its image paths inside a folder that is gone.

    Raises:
        ConfigError: An argument breaks its rule.
        DatasetError: The folder holds something already.
    """
    format_ = find_format(format_name)
    problems = []
    if images < 3:
        problems.append(Problem("--images", "must be at least 3, one a split", value=str(images)))
    if imgsz < 64:
        problems.append(Problem("--imgsz", "must be at least 64 pixels", value=str(imgsz)))
    if seed < 0:
        problems.append(Problem("--seed", "must not be negative", value=str(seed)))
    if problems:
        raise ConfigError(problems)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(
            Problem(str(folder), "must be absent or an empty folder", fix="choose another, or remove it")
        )
    # Written beside and renamed: a sample that was interrupted is not there.
    with disk_errors(str(folder)), folder_beside(folder) as work:
        rendered, written = work / "rendered", work / "written"
        rendered.mkdir()
        written.mkdir()
        records = tuple(_render(rendered, index, seed, imgsz) for index in range(images))
        if format_name == "yolo":
            splits = split_by_ratio(records, DEFAULT_RATIOS, seed)
            records = tuple(replace(record, split=splits[record.name]) for record in records)
        dataset = RawDataset(format_name, CLASSES, records)
        format_.write(dataset, written)
        if folder.exists():
            folder.rmdir()
        written.rename(folder)
    return dataset


def _render(folder: Path, index: int, seed: int, imgsz: int) -> ImageRecord:
    rng = np.random.default_rng([seed, index])
    across, down = _ASPECTS[int(rng.integers(len(_ASPECTS)))]
    width, height = round(imgsz * across), round(imgsz * down)
    scene = render_scene(width, height, rng)
    instances = tuple(
        Instance(category, tuple(part.scaled(1 / width, 1 / height) for part in trace(mask)))
        for category, mask in scene.shapes
    )
    if index % _PNG_EVERY == _PNG_EVERY - 1:
        name = f"scene{index:05d}.png"
        cv2.imwrite(str(folder / name), scene.picture)
    else:
        name = f"scene{index:05d}.jpg"
        (folder / name).write_bytes(encode_jpeg(scene.picture))
    return ImageRecord(folder / name, name, f"scene{index:05d}", instances, size=(width, height))
