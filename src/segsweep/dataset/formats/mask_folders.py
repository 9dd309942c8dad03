"""Where the masks of a folder lie: one a picture, or a folder with one an object."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segsweep.dataset.pictures.picture import is_file
from segsweep.dataset.records import IMAGE_SUFFIXES, UNSPLIT, Findings

# What the two folders may be called, in lower case, likeliest first.
IMAGE_FOLDERS = ("images", "pngimages", "jpegimages", "image", "imgs", "img")
MASK_FOLDERS = ("masks", "pedmasks", "segmentationobject", "mask")

_MASK_ENDINGS = ("", "_mask")
_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_LOOKED_AT = 20  # subfolders, to tell what a folder holds


@dataclass(frozen=True)
class MaskedImage:
    """An image and where its objects are drawn.

    Attributes:
        image: The image file.
        masks: The mask, or the mask of each object.
        is_folder: Whether `masks` are those of single objects.
        split: One of `SPLITS`, or `UNSPLIT`.
    """

    image: Path
    masks: tuple[Path, ...]
    is_folder: bool
    split: str


def find_roots(source: Path) -> list[tuple[Path, str]]:
    """The folders that hold images and masks, with the split each is: the source itself, or its `train`, `val`, ..."""
    if not source.is_dir():
        return []
    if _holds_masks(source):
        return [(source, UNSPLIT)]
    named = [(folder, split) for folder in subfolders(source) if (split := _split_in(folder.name))]
    return [(folder, split) for folder, split in named if _holds_masks(folder)]


def without_masks(source: Path) -> list[Path]:
    """Folders called `train`, `val` or `test` that hold no mask: their images cannot be used."""
    used = {root for root, _ in find_roots(source)}
    if not source.is_dir() or source in used:
        return []
    return [folder for folder in subfolders(source) if _split_in(folder.name) and folder not in used]


def list_masked(root: Path, split: str, where: Path, findings: Findings) -> Iterator[MaskedImage]:
    """Images with their masks, in order of name; what lacks its mask or image is a fault.

    Args:
        root: One of `find_roots`.
        split: Of the images that lie in no `train`, `val` or `test` of their own.
        where: The dataset's folder, to shorten messages.
        findings: Takes faults.
    """
    pair = _folder_pair(root)
    if pair is not None:
        yield from _in_pair(pair, split, where, findings)
        return
    for folder in subfolders(root):
        inner = _folder_pair(folder)
        if inner is None:
            if any(child.is_dir() or _is_image(child) for child in folder.iterdir()):
                rule = "must hold images/ and masks/, as the folders beside it do"
                findings.fault(shown(folder, where), rule, fix="an image without an object has an empty masks/")
            continue
        yield from _in_object_folder(inner, split, where, findings)


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, links to folders too; hidden ones left out."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    return [folder / name for name in names]


def shown(path: Path, root: Path) -> str:
    """The path from the dataset's folder on, for names and messages."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _in_pair(pair: tuple[Path, Path], split: str, where: Path, findings: Findings) -> Iterator[MaskedImage]:
    images, masks = pair
    used: set[Path] = set()
    for path in _walk(images):
        if not _is_image(path):
            continue
        relative = path.relative_to(images)
        beside = masks / relative.parent
        found = _beside(beside, path.stem, [".png"])
        own = _SPLIT_WORDS.get(relative.parts[0].lower(), split) if len(relative.parts) > 1 else split
        if found:
            used.add(found[0])
            yield MaskedImage(path, (found[0],), is_folder=False, split=own)
        elif (beside / path.stem).is_dir():
            drawn = tuple(_walk(beside / path.stem))
            used.update(drawn)
            yield MaskedImage(path, _only_png(drawn, where, findings), is_folder=True, split=own)
        else:
            others = _beside(beside, path.stem, sorted(IMAGE_SUFFIXES))
            fix = f"{others[0].name} is no PNG" if others else "add one, all 0 if the image shows no object"
            wanted = shown(beside / f"{path.stem}.png", where)
            findings.fault(shown(path, where), "has no mask", value=f"looked for {wanted}", fix=fix)
            used.update(others)
    for mask in _walk(masks):
        if _is_image(mask) and mask not in used:
            findings.fault(shown(mask, where), "is a mask without an image", fix="add the image or remove the mask")


def _in_object_folder(pair: tuple[Path, Path], split: str, where: Path, findings: Findings) -> Iterator[MaskedImage]:
    images = [path for path in _walk(pair[0]) if _is_image(path)]
    if len(images) != 1:
        rule = "must hold one image, whose objects are in masks/ beside it"
        findings.fault(shown(pair[0], where), rule, value=f"{len(images)} images")
        return
    yield MaskedImage(images[0], _only_png(tuple(_walk(pair[1])), where, findings), is_folder=True, split=split)


def _only_png(files: tuple[Path, ...], where: Path, findings: Findings) -> tuple[Path, ...]:
    for file in files:
        if _is_image(file) and file.suffix.lower() != ".png":
            findings.fault(shown(file, where), "a mask must be a PNG", fix="other formats change what is drawn")
    return tuple(file for file in files if file.suffix.lower() == ".png")


def _holds_masks(folder: Path) -> bool:
    if _folder_pair(folder):
        return True
    inside = itertools.islice(subfolders(folder), _LOOKED_AT)
    return any(child.name.lower() not in _SPLIT_WORDS and _folder_pair(child) for child in inside)


def _folder_pair(folder: Path) -> tuple[Path, Path] | None:
    inside = {child.name.lower(): child for child in subfolders(folder)}
    images = next((inside[name] for name in IMAGE_FOLDERS if name in inside), None)
    masks = next((inside[name] for name in MASK_FOLDERS if name in inside), None)
    return (images, masks) if images and masks else None


def _walk(folder: Path) -> Iterator[Path]:
    """Files of a folder and those below it, in order; hidden ones left out."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(files) if not name.startswith("."))


def _split_in(name: str) -> str:
    return next((_SPLIT_WORDS[word] for word in re.findall(r"[a-z]+", name.lower()) if word in _SPLIT_WORDS), UNSPLIT)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _beside(folder: Path, stem: str, suffixes: list[str]) -> list[Path]:
    names = [f"{stem}{ending}{suffix}" for ending in _MASK_ENDINGS for suffix in suffixes]
    return [folder / name for name in names if is_file(folder / name)]
