"""Reading a dataset so that its images end up on disk, and the memory that reading took is gone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from segsweep.dataset.formats.registry import read_dataset
from segsweep.dataset.preparing.batch import CHUNK_IMAGES
from segsweep.dataset.preparing.roster import Roster
from segsweep.dataset.records import RawDataset
from segsweep.dataset.spool import Spool
from segsweep.dataset.spread import in_another_process

_MANY_FILES = 4000  # reading them takes longer than starting a process
_LARGE_BYTES = 8_000_000  # of a single file: as above


@dataclass(frozen=True)
class Reading:
    """What is to be read.

    Attributes:
        source: Folder or file of the raw dataset.
        format: Name of its format; None to detect it.
        classes: As `read_dataset` takes them.
        work: Folder for the spool and the roster.
    """

    source: Path
    format: str | None
    classes: Sequence[str]
    work: Path

    def __call__(self) -> tuple[RawDataset, Roster]:
        """The dataset without its images, and its images on disk."""
        for leftover in self.work.glob("*.spool"):
            leftover.unlink()
        with tempfile.NamedTemporaryFile(dir=self.work, suffix=".spool", delete=False) as file:
            path = Path(file.name)
        with Spool(path) as spool:
            dataset = read_dataset(self.source, self.format, spool.keep, self.classes)
        roster = Roster(self.work / "roster", dataset.images, CHUNK_IMAGES)
        return replace(dataset, images=()), roster


def read_to_disk(reading: Reading) -> tuple[RawDataset, Roster]:
    """Read a dataset; a large one in a process of its own.

    Objects of many sizes that come and go leave holes which Python keeps: after 20,000 images a third of what they took
    stays taken, for as long as the process lives.

    Raises:
        DatasetError, ConfigError, StorageError: As `read_dataset`.
    """
    return in_another_process(reading) if _is_large(reading.source) else reading()


def _is_large(source: Path) -> bool:
    if source.is_file():
        return source.stat().st_size > _LARGE_BYTES
    files = (name for _, _, names in os.walk(source) for name in names)
    return next(islice(files, _MANY_FILES, None), None) is not None
