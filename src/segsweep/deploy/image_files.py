"""The images that a user names: files, folders with all that is below them, and patterns such as `shots/*.jpg`."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from segsweep.dataset.formats.image_walk import find_images
from segsweep.errors import ConfigError, Problem
from segsweep.storage.files import disk_errors


def find_image_files(named: Sequence[str], without: Path) -> tuple[Path, ...]:
    """Each file once, in the order of the arguments, and in the order of paths within one.

    Args:
        named: What the user typed; a name that exists is never read as a pattern.
        without: A folder of results: what lies in it is left out where a folder or a pattern finds it.

    Raises:
        ConfigError: An argument is a URL, or does not exist, or nothing is found; all such arguments are told.
        StorageError: A folder cannot be listed.
    """
    problems = [problem for one in named if (problem := _problem(one)) is not None]
    if problems:
        raise ConfigError(problems)
    results = without.resolve()
    found: dict[Path, Path] = {}
    for one in named:
        for path in _files(one):
            whole = path.resolve()
            if results not in whole.parents or path == Path(one):
                found.setdefault(whole, path)
    if not found:
        raise ConfigError(
            Problem(", ".join(named), "must hold images", "IMAGES", fix="name files, folders or patterns")
        )
    return tuple(found.values())


def overlay_names(images: Sequence[Path]) -> tuple[str, ...]:
    """A file name for the picture of each image: its stem, with a number where that is taken, by any case."""
    taken: set[str] = set()
    names: list[str] = []
    for image in images:
        name, number = f"{image.stem}.jpg", 1
        while name.casefold() in taken:
            number += 1
            name = f"{image.stem}-{number}.jpg"
        taken.add(name.casefold())
        names.append(name)
    return tuple(names)


def _problem(named: str) -> Problem | None:
    if "://" in named:
        fix = "download it first; nothing is fetched from here"
        return Problem(named, "must be a file, a folder or a pattern, not a URL", "IMAGES", fix=fix)
    if not Path(named).exists() and not glob.has_magic(named):
        return Problem(named, "does not exist", "IMAGES")
    return None


def _files(named: str) -> Iterator[Path]:
    path = Path(named)
    if not path.exists():
        for match in sorted(glob.glob(named, recursive=True)):  # noqa: PTH207  (pathlib takes no absolute pattern)
            yield from [Path(match)] if Path(match).is_file() else []
    elif path.is_dir():
        with disk_errors(named):
            yield from find_images(path).images
    else:
        yield path
