"""The JSON files of a COCO dataset: which there are, which split each is, and that they hold what they must."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segsweep.dataset.records import UNSPLIT, Findings

_SPLIT_WORDS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_HEAD_BYTES = 1 << 16


@dataclass(frozen=True, eq=False)
class Document:
    """One JSON file, its three lists checked to hold mappings.

    Attributes:
        file: The file.
        split: Which split it is, by its name.
        images: Rows of `images`.
        annotations: Rows of `annotations`.
        categories: Rows of `categories`.
    """

    file: Path
    split: str
    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    categories: list[dict[str, Any]]


def find_documents(source: Path) -> list[Path]:
    """The JSON files of the dataset at a folder, or the file itself; in order of name."""
    if source.is_file():
        return [source] if source.suffix == ".json" else []
    for pattern in ("annotations/instances*.json", "annotations/*.json", "*.json", "*/_annotations.coco.json"):
        files = sorted(file for file in source.glob(pattern) if file.is_file())
        if files:
            return files
    return []


def looks_like_coco(file: Path) -> bool:
    """Whether the first or last bytes of a JSON file speak of annotations."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
        opened.seek(max(0, size - _HEAD_BYTES))
        tail = opened.read(_HEAD_BYTES)
    return any(key in head or key in tail for key in (b'"annotations"', b'"segmentation"', b'"categories"'))


def _split_of(file: Path) -> str:
    """Split from the words of the file's name, else of its folder's."""
    for name in (file.stem, file.parent.name):
        for word in re.findall(r"[a-z]+", name.lower()):
            if word in _SPLIT_WORDS:
                return _SPLIT_WORDS[word]
    return UNSPLIT


def read_document(file: Path, root: Path, findings: Findings) -> Document | None:
    """Read one JSON file; None if it does not hold the three lists.

    Args:
        file: The file.
        root: The dataset's folder, to shorten messages.
        findings: Takes faults.
    """
    where = shown(file, root)
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        findings.fault(where, f"must be JSON: {exc}")
        return None
    except OSError as exc:
        findings.fault(where, f"cannot be read: {exc.strerror}")
        return None
    lists = {}
    for key in ("images", "annotations", "categories"):
        rows = data.get(key) if isinstance(data, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            findings.fault(where, "must be a list of objects", field=key, value=type(rows).__name__)
        else:
            lists[key] = rows
    return Document(file, _split_of(file), **lists) if len(lists) == 3 else None


def shown(path: Path, root: Path) -> str:
    """The path from the dataset's folder on, for names and messages."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
