"""The folders of Cityscapes, `leftImg8bit/<split>/<city>/` and `gtFine/<split>/<city>/`: what lies where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segsweep.dataset.formats.cityscapes_splits import choose_val_cities
from segsweep.dataset.formats.mask_folders import subfolders
from segsweep.dataset.records import IMAGE_SUFFIXES, Findings

IMAGES, ANNOTATIONS = "leftImg8bit", "gtFine"
IMAGE_END, MASK_END, POLYGONS_END = "_leftImg8bit", "_gtFine_instanceIds.png", "_gtFine_polygons.json"

_ZIP_END = "_trainvaltest"  # a zip that was unpacked into a folder of its own
_HIDDEN = "test"


@dataclass(frozen=True)
class Scene:
    """One image of the tree and where its annotations are or would be.

    Attributes:
        image: The image file.
        folder: Its folder among the splits, e.g. `train`.
        city: Its folder among the cities.
        mask: `*_gtFine_instanceIds.png`.
        polygons: `*_gtFine_polygons.json`.
    """

    image: Path
    folder: str
    city: str
    mask: Path
    polygons: Path


def find_half(source: Path, name: str) -> Path | None:
    """`leftImg8bit` or `gtFine` of a tree, also where each zip was unpacked into a folder of its own."""
    places = (source / name, source / f"{name}{_ZIP_END}" / name)
    return next((place for place in places if place.is_dir()), None)


def list_scenes(images: Path, annotations: Path, findings: Findings) -> list[Scene]:
    """All images of the tree, in order; files elsewhere than in `<split>/<city>/` are faults."""
    scenes: list[Scene] = []
    for path in _misplaced(images):
        rule = f"must be {IMAGES}/<split>/<city>/*{IMAGE_END}.png"
        findings.fault(f"{IMAGES}/{path.relative_to(images).as_posix()}", rule)
    for folder in subfolders(images):
        for city in subfolders(folder):
            beside = annotations / folder.name / city.name
            for path in _images_in(city):
                if path.stem.endswith(IMAGE_END):
                    stem = path.stem.removesuffix(IMAGE_END)
                    mask, polygons = beside / f"{stem}{MASK_END}", beside / f"{stem}{POLYGONS_END}"
                    scenes.append(Scene(path, folder.name, city.name, mask, polygons))
    return scenes


def deal_splits(scenes: list[Scene], given: Mapping[str, str] | None, findings: Findings) -> list[tuple[Scene, str]]:
    """Scenes with their splits.

    Cityscapes keeps the labels of its test images to itself: its val becomes test, and train is dealt by city into
    train and val.

    Args:
        scenes: All scenes.
        given: Folder -> split, for a tree that says so; None for Cityscapes itself.
        findings: Takes notes of what is left out.
    """
    if given is not None:
        for scene in scenes:
            if scene.folder not in given:
                findings.repair("images of folders that no split names left out", scene.image.name)
        return [(scene, given[scene.folder]) for scene in scenes if scene.folder in given]
    cities = Counter(scene.city for scene in scenes if scene.folder == "train")
    val_cities = choose_val_cities(cities)
    dealt = []
    for scene in scenes:
        if scene.folder == "val":
            dealt.append((scene, "test"))
        elif scene.folder == "train":
            dealt.append((scene, "val" if scene.city in val_cities else "train"))
        elif scene.folder == _HIDDEN:
            findings.repair("official test images left out: their labels are hidden", scene.image.name)
        else:
            findings.repair(f"images of {scene.folder} left out: they have no fine labels", scene.image.name)
    if any(scene.folder == "val" for scene in scenes):
        findings.repair("official val taken as test: the labels of the official test images are hidden", "val")
    for city in sorted(val_cities):
        findings.repair("cities of official train taken as val", city)
    return dealt


def report_orphans(scenes: list[Scene], annotations: Path, findings: Findings) -> None:
    """Annotations without an image are faults."""
    wanted = {path for scene in scenes for path in (scene.mask, scene.polygons)}
    for folder in sorted({scene.mask.parent for scene in scenes}):
        for end in (MASK_END, POLYGONS_END):
            for file in sorted(folder.glob(f"*{end}")):
                if file not in wanted:
                    where = f"{ANNOTATIONS}/{file.relative_to(annotations).as_posix()}"
                    findings.fault(where, "is an annotation without an image", fix="add the image or remove it")


def _misplaced(images: Path) -> list[Path]:
    found = _images_in(images)
    for folder in subfolders(images):
        found += _images_in(folder)
        for city in subfolders(folder):
            found += [path for path in _images_in(city) if not path.stem.endswith(IMAGE_END)]
            found += [path for inner in subfolders(city) for path in _images_in(inner)]
    return found


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
