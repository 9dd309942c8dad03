"""LabelMe: one JSON an image, beside it or holding it, as versions 3 to 5 write them."""

from __future__ import annotations

import json
import os
import reprlib
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from segsweep.dataset.formats.embedded import unpack
from segsweep.dataset.formats.json_file import read_json
from segsweep.dataset.formats.labelme_shapes import RESERVED_LABELS, Canvas, is_text, read_shapes, shapes_of
from segsweep.dataset.pictures.picture import is_file, picture_size
from segsweep.dataset.records import (
    IMAGE_SUFFIXES,
    UNSPLIT,
    Findings,
    ImageRecord,
    Keep,
    RawDataset,
    in_memory,
    source_group,
)
from segsweep.dataset.stems import unique_stems
from segsweep.errors import DatasetError, Problem
from segsweep.storage.plain import read_plain

_VERSION = "5.5.0"  # the first that knows masks is 5.2
_MOST_BYTES = 1 << 28  # an image of 190 MB as base64 text
_MOST_LABELS_BYTES = 1 << 20
_LABELS = "labels.txt"
_SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}

_MOST_PIXELS = 1 << 28  # of an image: a wrong size must not take all memory when a circle or a mask is drawn

_HEAD_BYTES = 1 << 16
_LOOKED_AT = 8  # JSON files, to detect the format


class LabelmeFormat:
    """A JSON file an image; splits are folders named train, val and test; `labels.txt` lists the classes.

    Images that lie inside their JSON are unpacked below `$TMPDIR` for as long as the process lives; a file beside the
    JSON is preferred.
    """

    name = "labelme"

    def detect(self, source: Path) -> bool:
        """Whether one of the first JSON files speaks of shapes."""
        files = (file for _, file in zip(range(_LOOKED_AT), _files(source, {".json"}), strict=False))
        return any(_looks_like_labelme(file) for file in files)

    def read(self, source: Path, keep: Keep = in_memory) -> RawDataset:
        """Read all JSON files below the folder; classes in the order of labels.txt, then as they are met."""
        source = source.resolve()  # so that `..` cannot lead out of it unseen
        files = list(_files(source, {".json"}))
        if not files:
            fix = "or name the format with --format"
            raise DatasetError(Problem(str(source), "must hold JSON files of LabelMe", fix=fix))
        reader = _Reader(source if source.is_dir() else source.parent, keep)
        for file in files:
            reader.read(file)
        if source.is_dir():
            reader.take_backgrounds()
        if not reader.images and not reader.findings.problems:
            reader.findings.fault(str(source), "holds no file of LabelMe", fix="or name the format with --format")
        return RawDataset(
            format=self.name,
            classes=tuple(reader.classes),
            images=tuple(reader.images[name] for name in sorted(reader.images)),
            notes=reader.findings.notes,
            problems=tuple(reader.findings.problems),
        )

    def write(self, dataset: RawDataset, folder: Path) -> None:
        """Write each image with a JSON beside it, in a folder a split, and labels.txt."""
        stems = unique_stems([record.name for record in dataset.images])
        for record in dataset.images:
            place = folder / record.split
            place.mkdir(parents=True, exist_ok=True)
            image = place / f"{stems[record.name]}{record.path.suffix.lower()}"
            shutil.copyfile(record.path, image)
            size = record.size or picture_size(record.path)
            shapes = [
                shape
                for number, one in enumerate(record.instances, start=1)
                for shape in shapes_of(one, dataset.classes[one.category], number, size)
            ]
            document: dict[str, Any] = {
                "version": _VERSION,
                "flags": {},
                "shapes": shapes,
                "imagePath": image.name,
                "imageData": None,
                "imageHeight": size[1],
                "imageWidth": size[0],
            }
            text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
            image.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        lines = "".join(f"{line}\n" for line in (*RESERVED_LABELS, *dataset.classes))
        (folder / _LABELS).write_text(lines, encoding="utf-8")


class _Reader:
    """Reads file after file; what is known of all of them is here."""

    def __init__(self, root: Path, keep: Keep) -> None:
        self._root = root
        self._keep = keep
        self._annotated: set[Path] = set()  # JSON files without their suffix
        self.findings = Findings()
        self.classes = _read_classes(root, self.findings)
        self.images: dict[str, ImageRecord] = {}

    def read(self, file: Path) -> None:
        """Take the image of one JSON file; what is wrong with it goes to the findings."""
        where = file.relative_to(self._root).as_posix()
        data = self._load(file, where)
        if data is None:
            return
        self._annotated.add(file.with_suffix(""))
        shapes = data.get("shapes")
        if not isinstance(shapes, list):
            self.findings.fault(where, "must be a list", field="shapes", value=type(shapes).__name__)
            return
        image = self._find_image(data, file, where)
        if image is None:
            return
        name, path = image
        if name in self.images:
            self.findings.fault(where, "an image must be annotated once", field="imagePath", value=name)
            return
        size = self._read_size(data, path, where)
        if size is None:
            return
        canvas = Canvas(where, size, self._read_version(data, where))
        instances = read_shapes(shapes, canvas, self._category_of, self.findings)
        split = _split_of(PurePosixPath(where))
        self.images[name] = ImageRecord(path, name, source_group(name), self._keep(instances), split, size)

    def take_backgrounds(self) -> None:
        """Take the images that no JSON speaks of."""
        used = {record.path for record in self.images.values()}
        for path in _files(self._root, IMAGE_SUFFIXES):
            name = path.relative_to(self._root).as_posix()
            if path in used or name in self.images or path.with_suffix("") in self._annotated:
                continue
            if not is_file(path):
                self.findings.fault(name, "is a link to nothing, or no file")
                continue
            self.findings.repair("images without a JSON file taken as background", name)
            split = _split_of(PurePosixPath(name))
            self.images[name] = ImageRecord(path, name, source_group(name), self._keep(()), split)

    def _load(self, file: Path, where: str) -> dict[str, Any] | None:
        if not is_file(file):
            self.findings.fault(where, "is a link to nothing, or no file")
            return None
        told = len(self.findings.problems)
        data = read_json(file, _MOST_BYTES, where, self.findings)
        if len(self.findings.problems) > told:
            return None
        if not isinstance(data, dict) or not data.keys() & {"shapes", "imagePath", "imageData"}:
            self.findings.repair("JSON files that are none of LabelMe passed over", where)
            return None
        return data

    def _find_image(self, data: dict[str, Any], file: Path, where: str) -> tuple[str, Path] | None:
        """Name and file of the image: where the JSON says, beside it, or out of it."""
        said, embedded = data.get("imagePath"), data.get("imageData")
        if not isinstance(said, str) or not PurePosixPath(said.replace("\\", "/")).name or not is_text(said):
            self.findings.fault(where, "must be a file", field="imagePath", value=reprlib.repr(said))
            return None
        relative = said.replace("\\", "/")
        beside = file.parent / PurePosixPath(relative).name
        there = [Path(os.path.normpath(file.parent / one)) for one in (said, relative)]
        for path in (*there, beside):
            if path.is_relative_to(self._root) and is_file(path):
                if path not in there:
                    self.findings.repair("images found beside the JSON rather than where it says", where)
                return path.relative_to(self._root).as_posix(), path
        if embedded is None:
            rule = "the image is not there, and not in the file either"
            fix = f"put it beside the JSON, anywhere below {self._root}"
            self.findings.fault(where, rule, field="imagePath", value=said, fix=fix)
            return None
        try:
            path = unpack(embedded if isinstance(embedded, str) else "")
        except ValueError as exc:
            self.findings.fault(where, str(exc), field="imageData", value=reprlib.repr(embedded))
            return None
        return beside.with_suffix(path.suffix).relative_to(self._root).as_posix(), path

    def _read_size(self, data: dict[str, Any], path: Path, where: str) -> tuple[int, int] | None:
        width, height = data.get("imageWidth"), data.get("imageHeight")
        if width is None and height is None:  # LabelMe 3
            try:
                return picture_size(path)
            except DatasetError as exc:
                self.findings.problems += exc.problems
                return None
        if type(width) is int and type(height) is int and min(width, height) > 0 and width * height <= _MOST_PIXELS:
            return width, height
        self.findings.fault(where, "needs imageWidth and imageHeight in pixels", value=f"{width!r} x {height!r}")
        return None

    def _read_version(self, data: dict[str, Any], where: str) -> int:
        major = str(data.get("version", "")).partition(".")[0]
        if major not in ("3", "4", "5"):
            self.findings.repair("files of another version than 3 to 5 read as 5", where)
            return 5
        return int(major)

    def _category_of(self, label: str) -> int:
        return self.classes.setdefault(label, len(self.classes))


def _files(source: Path, suffixes: set[str] | frozenset[str]) -> Iterator[Path]:
    """Files of these kinds at or below a place, in order, hidden ones passed over."""
    if source.is_file():
        yield from [source] if source.suffix.lower() in suffixes else []
    for parent, folders, files in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(parent, name)
            if path.suffix.lower() in suffixes and not name.startswith("."):
                yield path


def _looks_like_labelme(file: Path) -> bool:
    """Whether the first or last bytes speak of shapes and of what only LabelMe has beside them."""
    if not is_file(file):
        return False
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
        opened.seek(max(0, file.stat().st_size - _HEAD_BYTES))
        text = head + opened.read(_HEAD_BYTES)
    return b'"shapes"' in text and any(key in text for key in (b'"imagePath"', b'"imageData"', b'"flags"'))


def _read_classes(root: Path, findings: Findings) -> dict[str, int]:
    """Class -> index, from labels.txt if there is one."""
    try:
        lines = read_plain(root / _LABELS, _MOST_LABELS_BYTES).decode("utf-8-sig").splitlines()
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as exc:
        findings.fault(_LABELS, f"must be a text file: {exc}")
        return {}
    names = dict.fromkeys(line.strip() for line in lines)
    return {name: index for index, name in enumerate(name for name in names if name and name not in RESERVED_LABELS)}


def _split_of(name: PurePosixPath) -> str:
    """Split from the folders a file lies in."""
    return next((_SPLIT_FOLDERS[part.lower()] for part in name.parts[:-1] if part.lower() in _SPLIT_FOLDERS), UNSPLIT)
