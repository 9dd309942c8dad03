"""YOLO folders: `data.yaml`, `images/` and `labels/`, plain or as Roboflow exports them."""

from __future__ import annotations

import os
import reprlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from segsweep.dataset.formats.image_walk import find_images, holds
from segsweep.dataset.formats.yolo_layout import DATA_YAML, Layout, find_yaml, read_layout
from segsweep.dataset.labels import MOST_LABEL_BYTES, format_labels, parse_labels
from segsweep.dataset.pictures.picture import is_file, picture_size
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

# LabelImg and CVAT leave it among the labels.
_CLASS_LIST = "classes.txt"

# No such file is honest: a list of a million images is 100 MB.
_MOST_LIST_BYTES = 1 << 30


class YoloFormat:
    """`data.yaml` with `path`, `train`, `val`, `test` and `names`; each image has its rows in a text file beside."""

    name = "yolo"

    def detect(self, source: Path) -> bool:
        """Whether there is a data.yaml."""
        return find_yaml(source) is not None

    def read(self, source: Path, keep: Keep = in_memory) -> RawDataset:
        """Read all label files of all splits that exist."""
        file = find_yaml(source)
        if file is None:
            raise DatasetError(Problem(str(source), f"must hold a {DATA_YAML}", fix="or name the format with --format"))
        findings = Findings()
        layout = read_layout(file, findings)
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


def _list_images(layout: Layout, split: str, entry: str, findings: Findings) -> list[Path]:
    """Images of one entry of data.yaml."""
    place = layout.resolve(entry)
    if place is None:
        findings.repair(f"{DATA_YAML} names a folder that is not there", f"{split}: {entry}")
        return []
    if is_file(place):
        return _read_list(place, layout, findings)
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


def _read_list(file: Path, layout: Layout, findings: Findings) -> list[Path]:
    """Images of a list file, one a line: relative to the list, as Ultralytics reads `./`, or to the dataset."""
    found = []
    try:
        lines = read_plain(file, _MOST_LIST_BYTES).decode("utf-8-sig", "replace").splitlines()
    except OSError as exc:
        findings.fault(str(file), f"cannot be read: {exc.strerror}")
        return []
    folders = dict.fromkeys((file.parent, *layout.roots))
    for number, line in enumerate(lines, start=1):
        entry = line.strip()
        if not entry:
            continue
        spellings = (entry, entry.replace("\\", "/")) if "\\" in entry else (entry,)
        guesses = (folder / spelling for spelling in spellings for folder in folders)
        path = next((guess for guess in guesses if is_file(guess)), None)
        if path is not None:
            found.append(Path(os.path.normpath(path)))
        else:
            fix = "correct the line: Ultralytics would train without it"
            findings.fault(f"{file}:{number}", "names an image that is not there", value=entry, fix=fix)
    return found


def _read_labels(
    path: Path, layout: Layout, class_ids: list[int], findings: Findings
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


def _report_orphans(images: Iterable[Path], layout: Layout, findings: Findings) -> None:
    expected: dict[Path, set[str]] = {}  # names by folder: whole paths, of twenty thousand images, take 17 MB
    for path in images:
        label = _label_path(path)
        expected.setdefault(label.parent, set()).add(label.name)
    for folder in sorted(expected):
        if folder.name == "labels" or "labels" in folder.parts:
            for name in sorted(_label_names(folder) - expected[folder]):
                fix = "add the image or remove the label"
                findings.fault(_shown(folder / name, layout.file), "is a label without an image", fix=fix)


def _label_names(folder: Path) -> set[str]:
    """Names of the label files in a folder; none where it is not there, or may not be read."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a Path for each takes the memory
    except OSError:
        return set()
    return {name for name in names if name.endswith(".txt") and name != _CLASS_LIST and not name.startswith(".")}


def _shown(path: Path, beside: Path) -> str:
    root = beside.parent
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
