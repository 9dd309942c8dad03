"""What is wrong with a manifest whose fields are all there: it names other places, or does not fit its own bundle.

A manifest comes with the bundle, from anywhere. Names in it become paths on this machine, and sizes in it memory: none
of them is believed before it is looked at here.
"""

from __future__ import annotations

import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from segsweep.dataset.formats.spelling import is_line
from segsweep.dataset.records import SPLITS

if TYPE_CHECKING:
    from segsweep.dataset.bundles.manifest import Manifest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHARD = re.compile(r"shards/[A-Za-z0-9][A-Za-z0-9._-]*\.tar")
_IMAGE = re.compile(r"images/(train|val|test)/([A-Za-z0-9][A-Za-z0-9._-]*)\.jpg")
_LABEL = re.compile(r"labels/(train|val|test)/([A-Za-z0-9][A-Za-z0-9._-]*)\.txt")
_LARGEST_PX = 1 << 16
_LONGEST = 200  # characters of a value that are told

Contradiction = tuple[str, str, str]  # field, value, rule


def contradictions(manifest: Manifest, digest: str) -> Iterator[Contradiction]:
    """Everything that is wrong with a manifest.

    Args:
        manifest: All fields of the right types.
        digest: That of its content.

    Yields:
        Field, value, and the rule it breaks.
    """
    if not _NAME.fullmatch(manifest.name):
        rule = "must be 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit"
        yield "name", _told(manifest.name), rule
    if not 1 <= manifest.imgsz <= _LARGEST_PX:
        yield "imgsz", str(manifest.imgsz), f"must be 1 to {_LARGEST_PX} pixels"
    if not manifest.classes:
        yield "classes", "", "must name a class"
    for name in _repeated(manifest.classes):
        yield "classes", name, "names of classes must differ"
    for name in manifest.classes:
        if not name or not is_line(name):
            yield "classes", ascii(name), "the name of a class must be one line of text"
    yield from _of_shards(manifest)
    yield from _of_files(manifest)
    if digest != manifest.digest:
        yield "digest", _told(manifest.digest), f"must be that of the content, {digest}"


def _of_shards(manifest: Manifest) -> Iterator[Contradiction]:
    if not manifest.shards:
        yield "shards", "", "must name a shard"
    for key in _repeated(shard.key for shard in manifest.shards):
        yield "shards", key, "keys of shards must differ"
    held: Counter[str] = Counter()
    for file in manifest.files:
        held[file.shard] += file.size_bytes
    for shard in manifest.shards:
        if not _SHARD.fullmatch(shard.key):
            yield "shards", _told(shard.key), "a key must be shards/<name>.tar"
        if shard.size_bytes < held[shard.key]:
            rule = f"must be at least the {held[shard.key]} bytes of its files"
            yield "shards", f"{shard.key}: {shard.size_bytes} bytes", rule


def _of_files(manifest: Manifest) -> Iterator[Contradiction]:
    keys = {shard.key for shard in manifest.shards}
    images, labels = set(), set()
    for file in manifest.files:
        if image := _IMAGE.fullmatch(file.path):
            images.add(image.groups())
        elif label := _LABEL.fullmatch(file.path):
            labels.add(label.groups())
        else:
            rule = "a path must be images/<split>/<stem>.jpg or labels/<split>/<stem>.txt"
            yield "files", _told(file.path), rule
        if file.shard not in keys:
            yield "files", _told(file.shard), "a file's shard must be listed"
        if file.size_bytes < 0:
            yield "files", f"{file.path}: {file.size_bytes} bytes", "a size must be 0 or more"
    for path in _repeated(file.path for file in manifest.files):
        yield "files", path, "paths must differ"
    for split, stem in sorted(images ^ labels):
        yield "files", f"{split}/{stem}", "an image and its label must both be listed"
    there = Counter(split for split, _ in images)
    for split in (*SPLITS, *sorted(set(manifest.splits) - set(SPLITS))):
        facts = manifest.splits.get(split)
        if split not in SPLITS:
            yield "splits", _told(split), f"must be {', '.join(SPLITS)}"
        elif facts is None or facts.images < 1:
            yield f"splits.{split}", "", "every split must hold images"
        elif facts.images != there[split]:
            yield f"splits.{split}", f"{facts.images} images", f"must be as many as are listed, {there[split]}"


def _repeated(values: Iterable[str]) -> list[str]:
    return sorted(value for value, uses in Counter(values).items() if uses > 1)


def _told(text: str) -> str:
    return text if is_line(text) and len(text) <= _LONGEST else reprlib.repr(text)
