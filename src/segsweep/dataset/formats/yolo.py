"""YOLO folders: `data.yaml`, `images/` and `labels/`, plain or as Roboflow exports them."""

from __future__ import annotations

import os
import reprlib
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from segsweep.config.bounded_yaml import BoundedLoader
from segsweep.dataset.formats.image_walk import find_images, holds
from segsweep.dataset.labels import MOST_LABEL_BYTES, format_labels, parse_labels
from segsweep.dataset.picture import is_file, picture_size
from segsweep.dataset.records import (
    SPLITS,
    UNSPLIT,
    Findings,
    ImageRecord,
    Instance,
    Keep,
    RawDataset,
    in_memory,
    source_group,
)
from segsweep.dataset.stems import unique_stems
from segsweep.errors import DatasetError, Problem
from segsweep.storage.plain import read_plain

DATA_YAML = "data.yaml"

# LabelImg and CVAT leave it among the labels.
_CLASS_LIST = "classes.txt"

# No such file is honest: a class list is kilobytes, a list of a million images 100 MB.
_MOST_YAML_BYTES = 1 << 21
_MOST_LIST_BYTES = 1 << 30

# What data.yaml may call the splits.
_SPLIT_KEYS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


@dataclass(frozen=True)
class _Layout:
    """What data.yaml says."""

    file: Path
    root: Path
    names: dict[int, str]
    splits: dict[str, list[str]]


class YoloFormat:
    """`data.yaml` with `path`, `train`, `val`, `test` and `names`; each image has its rows in a text file beside."""

    name = "yolo"

    def detect(self, source: Path) -> bool:
        """Whether there is a data.yaml."""
        return _find_yaml(source) is not None

    def read(self, source: Path, keep: Keep = in_memory) -> RawDataset:
        """Read all label files of all splits that exist."""
        file = _find_yaml(source)
        if file is None:
            raise DatasetError(Problem(str(source), f"must hold a {DATA_YAML}", fix="or name the format with --format"))
        findings = Findings()
        layout = _read_layout(file, findings)
        if findings.problems:  # without names every row would be a further fault
            return RawDataset(self.name, (), (), findings.notes, tuple(findings.problems))
        images: dict[Path, ImageRecord] = {}
        class_ids = list(layout.names)
        for split, entries in layout.splits.items():
            for entry in entries:
                for path in _list_images(layout, split, entry, findings):
                    if path in images:
                        findings.repair("images named by two splits, kept in the first", _shown(path, layout.file))
                        continue
                    name, instances = _read_labels(path, layout, class_ids, findings)
                    images[path] = ImageRecord(path, name, source_group(name), keep(instances), split)
        _report_orphans(images, layout, findings)
        if not images and not findings.problems:
            findings.fault(str(file), "names no folder with images", fix="correct train, val and test")
        return RawDataset(
            format=self.name,
            classes=tuple(layout.names.values()),
            images=tuple(sorted(images.values(), key=lambda record: record.name)),
            notes=findings.notes,
            problems=tuple(findings.problems),
        )

    def write(self, dataset: RawDataset, folder: Path) -> None:
        """Write `images/<split>/`, `labels/<split>/` and data.yaml; an unsplit dataset is one `train` folder."""
        present = {record.split for record in dataset.images}
        folders = {split: split or "train" for split in (*SPLITS, UNSPLIT) if split in present}
        stems = unique_stems([record.name for record in dataset.images])
        for record in dataset.images:
            inner, stem = folders[record.split], stems[record.name]
            image = folder / "images" / inner / f"{stem}{record.path.suffix.lower()}"
            label = folder / "labels" / inner / f"{stem}.txt"
            for path in (image, label):
                path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(record.path, image)
            width, height = record.size or picture_size(record.path)
            label.write_text(format_labels(record.instances, width, height), encoding="utf-8")
        data: dict[str, Any] = {"path": "."}
        data |= {name: f"images/{name}" for name in folders.values()}
        data["names"] = dict(enumerate(dataset.classes))
        (folder / DATA_YAML).write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _find_yaml(source: Path) -> Path | None:
    if source.is_file():
        return source if source.suffix in (".yaml", ".yml") else None
    for name in (DATA_YAML, "data.yml", "dataset.yaml", "dataset.yml"):
        if (source / name).is_file():
            return source / name
    return None


def _read_layout(file: Path, findings: Findings) -> _Layout:
    where = str(file)
    try:
        data = yaml.load(read_plain(file, _MOST_YAML_BYTES).decode("utf-8-sig"), BoundedLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as exc:
        raise DatasetError(Problem(where, f"must be YAML: {' '.join(str(exc).split())}")) from exc
    if not isinstance(data, dict):
        raise DatasetError(Problem(where, "must be a mapping with train, val, test and names"))
    splits: dict[str, list[str]] = {}
    for split, keys in _SPLIT_KEYS.items():
        entry: Any = next((data[key] for key in keys if data.get(key)), [])
        entries = entry if isinstance(entry, list) else [entry]
        if not all(isinstance(one, str) for one in entries):
            findings.fault(
                where, "must be a folder, a list file or a list of them", field=split, value=reprlib.repr(entry)
            )
            continue
        splits[split] = entries
    root = data.get("path")
    if root is not None and not isinstance(root, str):
        findings.fault(where, "must be a folder", field="path", value=reprlib.repr(root))
        root = None
    names = _read_names(data, where, findings)
    return _Layout(file, file.parent / (root or "."), names, splits)


def _read_names(data: dict[Any, Any], where: str, findings: Findings) -> dict[int, str]:
    names = data.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        findings.fault(
            where, "must list the classes, or map their ids to names", field="names", value=reprlib.repr(names)
        )
        return {}
    if not all(type(key) is int and key >= 0 for key in names):
        findings.fault(where, "class ids must be whole numbers from 0", field="names", value=reprlib.repr(list(names)))
        return {}
    odd = [name for name in names.values() if not isinstance(name, str | int | float)]
    if odd:
        findings.fault(where, "a class name must be a text", field="names", value=reprlib.repr(odd[0]))
        return {}
    texts = {key: str(names[key]).strip() for key in sorted(names)}
    doubled = sorted(text for text, uses in Counter(texts.values()).items() if uses > 1)
    if doubled or "" in texts.values():
        findings.fault(where, "class names must differ and not be empty", field="names", value=", ".join(doubled))
    nc = data.get("nc", len(texts))
    if nc != len(texts):
        findings.fault(where, f"must be the number of names, {len(texts)}", field="nc", value=reprlib.repr(nc))
    return texts


def _list_images(layout: _Layout, split: str, entry: str, findings: Findings) -> list[Path]:
    """Images of one entry of data.yaml."""
    place = _resolve(layout, entry)
    if place is None:
        findings.repair(f"{DATA_YAML} names a folder that is not there", f"{split}: {entry}")
        return []
    if is_file(place):
        return _read_list(place, findings)
    if holds(place, layout.file.parent):
        # `path: /` and its like: all that lies beside the dataset, maybe all of the disk, would be searched.
        rule = "must be a folder of the dataset, not one that the dataset lies in"
        findings.fault(str(layout.file), rule, field=split, value=reprlib.repr(entry))
        return []
    found = find_images(place)
    for path in found.odd:
        findings.fault(_shown(path, layout.file), "is no plain file", fix="remove it")
    for path in found.linked:
        findings.repair("linked folders not followed, name them in data.yaml", _shown(path, layout.file))
    if not found.images:
        findings.repair(f"{DATA_YAML} names a folder without images", f"{split}: {entry}")
    return list(found.images)


def _read_list(file: Path, findings: Findings) -> list[Path]:
    found = []
    try:
        lines = read_plain(file, _MOST_LIST_BYTES).decode("utf-8-sig", "replace").splitlines()
    except OSError as exc:
        findings.fault(str(file), f"cannot be read: {exc.strerror}")
        return []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        path = file.parent / line.strip()
        if is_file(path):
            found.append(Path(os.path.normpath(path)))
        else:
            findings.fault(f"{file}:{number}", "names an image that is not there", value=line.strip())
    return found


def _resolve(layout: _Layout, entry: str) -> Path | None:
    beside = layout.file.parent
    # Roboflow writes ../train/images for folders that lie beside data.yaml.
    inside = entry
    while inside.startswith("../"):
        inside = inside.removeprefix("../")
    for candidate in (layout.root / entry, beside / entry, beside / inside):
        if _is_folder(candidate) or is_file(candidate):
            return Path(os.path.normpath(candidate))
    return None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no file system could hold
        return False


def _read_labels(
    path: Path, layout: _Layout, class_ids: list[int], findings: Findings
) -> tuple[str, tuple[Instance, ...]]:
    """Name and instances of one image."""
    label = _label_path(path)
    instances: tuple[Instance, ...] = ()
    where = _shown(label, layout.file)
    try:
        text = read_plain(label, MOST_LABEL_BYTES).decode("utf-8")
        instances = parse_labels(text, where, class_ids, findings)
    except FileNotFoundError:
        findings.repair("images without a label file taken as background", _shown(path, layout.file))
    except UnicodeDecodeError:
        findings.fault(where, "must be a text file")
    except OSError as exc:
        findings.fault(where, f"cannot be read: {exc.strerror}")
    return _shown(path, layout.file), instances


def _label_path(image: Path) -> Path:
    """The last folder named images becomes labels, as Ultralytics' `img2label_paths` has it."""
    head, sep, tail = str(image).rpartition("/images/")
    moved = f"{head}/labels/{tail}" if sep else str(image)
    return Path(moved).with_suffix(".txt")


def _report_orphans(images: dict[Path, ImageRecord], layout: _Layout, findings: Findings) -> None:
    expected = {_label_path(path) for path in images}
    for folder in sorted({label.parent for label in expected}):
        if folder.name == "labels" or "labels" in folder.parts:
            for label in sorted(folder.glob("*.txt")):
                if label not in expected and label.name != _CLASS_LIST and not label.name.startswith("."):
                    fix = "add the image or remove the label"
                    findings.fault(_shown(label, layout.file), "is a label without an image", fix=fix)


def _shown(path: Path, beside: Path) -> str:
    root = beside.parent
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
