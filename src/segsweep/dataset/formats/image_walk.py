"""The images below a folder, found without leaving it: no links to folders followed, nothing that is no plain file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from segsweep.dataset.pictures.picture import is_file
from segsweep.dataset.records import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Found:
    """What lies below a folder, in order of path.

    Attributes:
        images: Plain files with the extension of an image, hidden ones left out.
        odd: What looks like an image by its name, and is a pipe, a device, a link to nothing; a folder is none of them.
        linked: Links to folders, which were not followed: they may lead anywhere, also back.
    """

    images: tuple[Path, ...]
    odd: tuple[Path, ...]
    linked: tuple[Path, ...]


def find_images(folder: Path) -> Found:
    """Walk through a folder and those in it; hidden ones are left out.

    Raises:
        OSError: The folder cannot be listed.
    """
    images: list[Path] = []
    odd: list[Path] = []
    linked: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=_fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        linked += [path for name in folders if (path := Path(parent, name)).is_symlink()]
        for name in sorted(files):
            path = Path(parent, name)
            if path.suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                (images if is_file(path) else odd).append(path)
    return Found(tuple(images), tuple(odd), tuple(linked))


def holds(folder: Path, inner: Path) -> bool:
    """Whether the second folder lies somewhere below the first; links are resolved."""
    return folder.resolve() in inner.resolve().parents


def _fail(error: OSError) -> None:
    raise error
