"""A place that keeps bytes under keys: a folder or an S3 prefix, behind one Protocol.

Keys are relative POSIX paths (`trials/t0001/trial.json`); they never start with `/` and never hold `..`.
Every write is atomic: a reader sees the old bytes or the new ones, whatever is killed in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class ObjectInfo:
    """One stored object.

    Attributes:
        key: Relative to the store's root.
        size_bytes: Length of the content.
        version: Changes whenever the content is written; opaque, compare for equality only.
    """

    key: str
    size_bytes: int
    version: str


class Store(Protocol):
    """Bytes under keys. All methods raise `StorageError` or one of its kinds, with the URI of the key in the message."""

    @property
    def uri(self) -> str:
        """Where the store's root is: `s3://bucket/prefix` or an absolute folder; no trailing slash."""
        ...

    def read(self, key: str) -> bytes:
        """Return the whole object. Raises `NotFoundError`."""
        ...

    def read_versioned(self, key: str) -> tuple[bytes, str]:
        """Return the object and the version to pass to `replace`. Raises `NotFoundError`."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Write or overwrite the object atomically."""
        ...

    def create(self, key: str, data: bytes) -> str:
        """Write the object only if there is none, and return its version. Raises `ConflictError`."""
        ...

    def replace(self, key: str, data: bytes, version: str) -> str:
        """Overwrite only if the object still has `version`; return the new one. Raises `ConflictError`."""
        ...

    def upload(self, path: Path, key: str) -> None:
        """Copy a local file to the key atomically; large files in parts."""
        ...

    def download(self, key: str, path: Path) -> None:
        """Copy the object to a local file, atomically. Raises `NotFoundError`."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in key order."""
        ...

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; no error if there is none."""
        ...
