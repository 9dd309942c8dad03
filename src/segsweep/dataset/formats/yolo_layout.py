"""What a YOLO folder's data.yaml says, in all the spellings that Ultralytics and Roboflow understand."""

from __future__ import annotations

import os
import reprlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from segsweep.config.bounded_yaml import BoundedLoader
from segsweep.dataset.pictures.picture import is_file
from segsweep.dataset.records import Findings
from segsweep.errors import DatasetError, Problem
from segsweep.storage.plain import read_plain

DATA_YAML = "data.yaml"

_MOST_BYTES = 1 << 21  # no such file is honest: a class list is kilobytes

_MOST_NAMELESS = 10_000  # classes

# What data.yaml may call the splits.
_SPLIT_KEYS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


@dataclass(frozen=True)
class Layout:
    """What data.yaml says.

    Attributes:
        file: The data.yaml itself.
        roots: Folders that its entries may be relative to, most likely first.
        names: Class id -> name, in the order of the ids.
        splits: Split -> folders and list files.
    """

    file: Path
    roots: tuple[Path, ...]
    names: dict[int, str]
    splits: dict[str, list[str]]

    def resolve(self, entry: str) -> Path | None:
        """The folder or file that an entry names; None if there is none."""
        # Roboflow writes ../train/images for folders that lie beside data.yaml.
        inside = entry
        while inside.startswith("../"):
            inside = inside.removeprefix("../")
        for candidate in (*(root / entry for root in self.roots), self.file.parent / inside):
            if _is_folder(candidate) or is_file(candidate):
                return Path(os.path.normpath(candidate))
        return None


def find_yaml(source: Path) -> Path | None:
    """The data.yaml of the folder, or the file itself."""
    if source.is_file():
        return source if source.suffix in (".yaml", ".yml") else None
    for name in (DATA_YAML, "data.yml", "dataset.yaml", "dataset.yml"):
        if (source / name).is_file():
            return source / name
    return None


def read_layout(file: Path, findings: Findings) -> Layout:
    """Read a data.yaml.

    Args:
        file: The file.
        findings: Takes faults, by field.

    Raises:
        DatasetError: It is no YAML, or no mapping.
    """
    where = str(file)
    try:
        data = yaml.load(read_plain(file, _MOST_BYTES).decode("utf-8-sig"), BoundedLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as exc:
        raise DatasetError(Problem(where, f"must be YAML: {' '.join(str(exc).split())}")) from exc
    if not isinstance(data, dict):
        raise DatasetError(Problem(where, "must be a mapping with train, val, test and names"))
    splits: dict[str, list[str]] = {}
    for split, keys in _SPLIT_KEYS.items():
        entry: Any = next((data[key] for key in keys if data.get(key)), [])
        entries = entry if isinstance(entry, list) else [entry]
        if not all(isinstance(one, str) for one in entries):
            rule = "must be a folder, a list file or a list of them"
            findings.fault(where, rule, field=split, value=reprlib.repr(entry))
            continue
        splits[split] = entries
    root = data.get("path")
    if root is not None and not isinstance(root, str):
        findings.fault(where, "must be a folder", field="path", value=reprlib.repr(root))
        root = None
    return Layout(file, _roots(file, root), _read_names(data, where, findings), splits)


def _roots(file: Path, root: str | None) -> tuple[Path, ...]:
    """To Ultralytics, `path` is relative to where one works or to a folder of datasets; mostly it means here."""
    if not root:
        return (file.parent,)
    here = Path.cwd()
    return (file.parent / root, here / root, here / "datasets" / root, file.parent)


def _read_names(data: dict[Any, Any], where: str, findings: Findings) -> dict[int, str]:
    count = _whole(data["nc"]) if "nc" in data else None
    names = _spelled_out(data.get("names"), count, where, findings)
    if not isinstance(names, dict) or not names:
        rule = "must list the classes, or map their ids to names"
        findings.fault(where, rule, field="names", value=reprlib.repr(names))
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
    if "nc" in data and count != len(texts):
        fix = "Ultralytics would not start; name all classes, or remove nc"
        rule = f"must be the number of names, {len(texts)}"
        findings.fault(where, rule, field="nc", value=reprlib.repr(data["nc"]), fix=fix)
    return texts


def _spelled_out(names: Any, count: int | None, where: str, findings: Findings) -> Any:
    """Names as a mapping with whole numbers as keys, where they are a list, text of one, or a number only."""
    if names is None and count is not None and 0 < count <= _MOST_NAMELESS:
        findings.repair("classes without names called class_<id>, as Ultralytics does", where)
        return {index: f"class_{index}" for index in range(count)}
    if isinstance(names, str) and names.lstrip()[:1] in ("[", "{"):
        try:
            names = yaml.load(names, BoundedLoader)  # noqa: S506 - a SafeLoader
        except (yaml.YAMLError, ValueError, RecursionError):
            return names
        findings.repair("names that are a list written as text read as a list", where)
    if isinstance(names, list):
        return dict(enumerate(names))
    if isinstance(names, dict) and all(isinstance(key, str) and key.isdecimal() and key.isascii() for key in names):
        return {int(key): name for key, name in names.items()}  # as JSON has it
    return names


def _whole(value: Any) -> int | None:
    """A whole number, as a number or as text; Ultralytics takes both."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() and not isinstance(value, bool) else None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no file system could hold
        return False
