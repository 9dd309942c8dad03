"""What a raw dataset format must do."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from segsweep.dataset.records import Keep, RawDataset


class Format(Protocol):
    """One way of keeping images and annotations in a folder."""

    @property
    def name(self) -> str:
        """As `--format` takes it."""
        ...

    def detect(self, source: Path) -> bool:
        """Whether the folder or file looks like this format; opens no more than it must."""
        ...

    def read(self, source: Path, keep: Keep) -> RawDataset:
        """Read all annotations; images only where they are the annotations.

        Faults and repairs are collected in the dataset, each with file and line or record.

        Args:
            source: Folder or file.
            keep: Takes each image's instances out of memory; called as soon as they are known.

        Raises:
            DatasetError: There is no such dataset here at all.
        """
        ...

    def write(self, dataset: RawDataset, folder: Path) -> None:
        """Write the dataset into an empty folder, images copied as they are."""
        ...
