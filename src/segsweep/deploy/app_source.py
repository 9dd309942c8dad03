"""The program's own text and licence, for those who use it over a network (AGPL-3.0, section 13)."""

from __future__ import annotations

import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import segsweep

PACKAGE = Path(segsweep.__file__).parent
LICENCE = "LICENSE"


def licence_text() -> str | None:
    """The licence: of the installed package, or the file beside a checkout or an exported Space; None without any."""
    try:
        found = distribution("segsweep").read_text(f"licenses/{LICENCE}")
    except PackageNotFoundError:
        found = None
    beside = [PACKAGE.parent / LICENCE, PACKAGE.parents[1] / LICENCE]
    return found or next((path.read_text(encoding="utf-8") for path in beside if path.is_file()), None)


def write_source(path: Path) -> None:
    """Write a zip archive of every file of the program that is running, and its licence."""
    files = sorted(file for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(PACKAGE.parent))
        if (licence := licence_text()) is not None:
            archive.writestr(LICENCE, licence)
