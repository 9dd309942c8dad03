"""What a dataset's own papers say of where it comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROBOFLOW_README = "README.roboflow.txt"

# https://docs.roboflow.com/datasets/versions/dataset-versions/image-augmentation
ROBOFLOW_SCOPE = "Roboflow augments the images of its training split only (docs.roboflow.com, Image Augmentation)"

_MOST_BYTES = 1 << 16
_IMAGES = re.compile(r"dataset includes (\d{1,9}) images")
_VERSIONS = re.compile(r"create (\d{1,4}) versions of each source image")
_STEPS = re.compile(r"following (pre-processing|augmentation) was applied[^\n]*:\n((?:[*-][^\n]*\n?)*)")


@dataclass(frozen=True)
class Provenance:
    """What the README that Roboflow puts into an export says.

    Attributes:
        file: Its name.
        images: How many images were exported; None if it does not say.
        versions: How many augmented versions of each source image were made; None if none.
        preprocessing: Steps that every image went through.
        augmentation: Random steps that the versions differ by.
    """

    file: str
    images: int | None
    versions: int | None
    preprocessing: tuple[str, ...]
    augmentation: tuple[str, ...]


def read_provenance(root: Path) -> Provenance | None:
    """Read a Roboflow export's README; None if there is none, or it says nothing of this."""
    try:
        with (root / ROBOFLOW_README).open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return None
    steps = {
        kind: tuple(line.strip("*- \t") for line in lines.splitlines() if line.strip("*- \t"))
        for kind, lines in _STEPS.findall(text)
    }
    images, versions = _IMAGES.search(text), _VERSIONS.search(text)
    if not (steps or images or versions):
        return None
    return Provenance(
        file=ROBOFLOW_README,
        images=int(images[1]) if images else None,
        versions=int(versions[1]) if versions else None,
        preprocessing=steps.get("pre-processing", ()),
        augmentation=steps.get("augmentation", ()),
    )
