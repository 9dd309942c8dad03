"""Which files of a node's copy are not what the manifest says: looked for before every trial, so it must cost little.

Reading a bundle again before every trial would cost minutes, a look at every file costs microseconds. So a verified
file is dated `DATED_NS`, a moment at which nobody writes: one that has another date has been written since, and it
alone is read again. What a disk loses without anybody writing, at the same size and date, stays unseen.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from segsweep.dataset.bundles.manifest import FileEntry

DATED_NS = 946_684_800 * 10**9  # 2000-01-01, whole seconds and even ones: every file system can say it


def doubtful(root: Path, files: Iterable[FileEntry]) -> list[FileEntry]:
    """The files that are missing, have another size, or were written since they were verified.

    Raises:
        OSError: A folder cannot be looked into.
    """
    found = []
    for file in files:
        try:
            facts = os.stat(f"{root}/{file.path}")  # noqa: PTH116 - a Path costs more than the look
        except (FileNotFoundError, NotADirectoryError):
            found.append(file)
            continue
        if facts.st_size != file.size_bytes or facts.st_mtime_ns != DATED_NS:
            found.append(file)
    return found


def damaged(root: Path, files: Iterable[FileEntry]) -> dict[FileEntry, str]:
    """The files whose content is not the manifest's, and what is the matter; the others get their date back.

    Raises:
        OSError: A file is there and cannot be read.
    """
    found = {}
    for file in files:
        path = root / file.path
        try:
            size_bytes = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            found[file] = "missing"
            continue
        if size_bytes != file.size_bytes:
            found[file] = f"{size_bytes} bytes instead of {file.size_bytes}"
        elif _sha256(path) != file.sha256:
            found[file] = "another sha256"
        else:
            with suppress(PermissionError):  # another user's copy: it is read again the next time
                os.utime(path, ns=(DATED_NS, DATED_NS))
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
