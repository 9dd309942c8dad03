"""`segsweep predict`: images through an exported model, without torch, to pictures, COCO results and a table.

```
OUT/predictions.json   COCO results, a list: what COCO's loadRes reads
OUT/predictions.csv    one row an object
OUT/facts.json         the model, the options, each image, what could not be read
OUT/overlays/          one picture an image
OUT/crops/             one picture an object, where asked for: <overlay's name>-<number>.jpg
```
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segsweep.dataset.pictures.picture import encode_jpeg, read_picture
from segsweep.deploy.image_files import find_image_files, overlay_names
from segsweep.deploy.model_file import class_indices, find_model
from segsweep.deploy.overlay import draw
from segsweep.deploy.results import coco_rows, table_rows, to_csv
from segsweep.errors import ConfigError, DatasetError, Problem
from segsweep.inference.decode import Thresholds
from segsweep.inference.letterbox import Image
from segsweep.inference.predictor import Prediction, Predictor
from segsweep.storage.files import write_whole

_LONGEST_PX = 65_500  # of a JPEG that libjpeg writes


@dataclass(frozen=True)
class PredictOptions:
    """How to predict.

    Attributes:
        conf: A score must be above this, 0-1.
        iou: A box that overlaps a better one of its class by more than this is dropped, 0-1.
        classes: Classes to look for, by name or index; all where empty.
        threads: CPU threads, at least 1.
        crops: Whether each object gets a picture of its own.
    """

    conf: float = 0.45
    iou: float = 0.7
    classes: tuple[str, ...] = ()
    threads: int = 1
    crops: bool = False


@dataclass(frozen=True)
class Predicted:
    """What was done.

    Attributes:
        out: The folder of results.
        model: The ONNX file.
        provider: What executed the network.
        options: How.
        names: Class names by index.
        images: Each image that was read: `id`, `file_name`, `width`, `height`, `overlay`, `objects`.
        broken: Each one that was not: `file_name` and `error`.
        median_ms: Of an image from decoded to masks, the first one left out where there are others; None for none.
    """

    out: Path
    model: Path
    provider: str
    options: PredictOptions
    names: tuple[str, ...]
    images: tuple[dict[str, Any], ...]
    broken: tuple[dict[str, str], ...]
    median_ms: float | None

    def to_json(self) -> dict[str, Any]:
        """For `--json` and `facts.json`."""
        return {
            "schema": 1,
            "out": str(self.out),
            "model": str(self.model),
            "provider": self.provider,
            "conf": self.options.conf,
            "iou": self.options.iou,
            "classes": self.options.classes,
            "threads": self.options.threads,
            "median_ms": self.median_ms,
            "categories": [{"id": index, "name": name} for index, name in enumerate(self.names, start=1)],
            "images": self.images,
            "broken": self.broken,
        }

    def to_text(self) -> str:
        """For a terminal."""
        objects = sum(image["objects"] for image in self.images)
        speed = "" if self.median_ms is None else f", {self.median_ms:.1f} ms an image (median, {self.provider})"
        lines = [f"{objects} objects in {len(self.images)} images{speed}"]
        lines += [f"{len(self.broken)} images could not be read"] if self.broken else []
        return "\n".join([*lines, f"look at {self.out}"])


def predict(
    model: Path,
    images: Sequence[str],
    out: Path,
    options: PredictOptions,
    progress: Callable[[int, int], None],
    warn: Callable[[str], None],
) -> Predicted:
    """Segment images and write what was found; an image that cannot be read is told, and the rest goes on.

    Every file is written whole or not at all; another run overwrites the files it would write, and removes none.

    Args:
        model: An exported ONNX file or the folder it is in.
        images: Files, folders and patterns.
        out: Folder of results; made if it is missing.
        options: How.
        progress: Told images done, and how many there are.
        warn: Told what is wrong with an image.

    Raises:
        ConfigError: The model is none, an option breaks its rule, or no image is found.
        MissingExtraError: onnxruntime is not installed.
        StorageError: `out` cannot be written.
    """
    _check(options)
    path = find_model(model)
    files = find_image_files(images, out)
    predictor = Predictor(path, options.threads)
    names = predictor.session.names
    predictor.thresholds = Thresholds(options.conf, options.iou, classes=class_indices(options.classes, names))
    seen: list[dict[str, Any]] = []
    broken: list[dict[str, str]] = []
    results: list[dict[str, Any]] = []
    table: list[tuple[Any, ...]] = []
    times_ms: list[float] = []
    for index, (file, overlay) in enumerate(zip(files, overlay_names(files), strict=True), start=1):
        try:
            picture = read_picture(file)
        except DatasetError as exc:
            warn(str(exc))
            broken.append({"file_name": str(file), "error": str(exc)})
        else:
            found = predictor(picture)
            rows = coco_rows(found, index, str(file))
            results += rows
            table += table_rows(rows, found, names)
            times_ms.append(found.times.total_ms)
            seen.append(_image_facts(index, file, found, overlay))
            _write_pictures(out, overlay, picture, found, names, crops=options.crops)
        progress(index, len(files))
    median_ms = statistics.median(times_ms[1:] or times_ms) if times_ms else None
    facts = (path, predictor.session.provider, options, names, tuple(seen), tuple(broken), median_ms)
    predicted = Predicted(out, *facts)
    write_whole(out / "predictions.json", json.dumps(results).encode())
    write_whole(out / "predictions.csv", to_csv(table).encode(errors="backslashreplace"))
    write_whole(out / "facts.json", (json.dumps(predicted.to_json(), indent=1) + "\n").encode())
    return predicted


def _check(options: PredictOptions) -> None:
    problems = [
        Problem(name, "must be from 0 to 1", value=str(value))
        for name, value in (("--conf", options.conf), ("--iou", options.iou))
        if not 0 <= value <= 1
    ]
    if options.threads < 1:
        problems.append(Problem("--threads", "must be at least 1", value=str(options.threads)))
    if problems:
        raise ConfigError(problems)


def _image_facts(index: int, file: Path, found: Prediction, overlay: str) -> dict[str, Any]:
    height, width = found.shape
    shown = {"overlay": f"overlays/{overlay}", "objects": len(found.masks)}
    return {"id": index, "file_name": str(file), "width": width, "height": height, **shown}


def _write_pictures(
    out: Path, overlay: str, picture: Image, found: Prediction, names: Sequence[str], *, crops: bool
) -> None:
    write_whole(out / "overlays" / overlay, _jpeg(draw(picture, found, names)))
    for number, mask in enumerate(found.masks if crops else (), start=1):
        height, width = mask.pixels.shape
        crop = picture[mask.top : mask.top + height, mask.left : mask.left + width]
        write_whole(out / "crops" / f"{Path(overlay).stem}-{number}.jpg", _jpeg(crop))


def _jpeg(picture: Image) -> bytes:
    """A JPEG's sides are limited; what is longer is shrunk."""
    height, width = picture.shape[:2]
    scale = _LONGEST_PX / max(height, width)
    if scale < 1:
        size = (max(int(width * scale), 1), max(int(height * scale), 1))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return encode_jpeg(picture)
