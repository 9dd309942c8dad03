"""A place that keeps bytes under keys: a folder or an S3 prefix, behind one Protocol.

Keys are relative POSIX paths (`trials/t0001/trial.json`); they never start with `/` and never hold `..`.
Every write is atomic: a reader sees the old bytes or the new ones, whatever is killed in between.

A key that is written with `create` and `replace` is never written with `write`: conditional writes exclude each
other, an unconditional one asks nobody. The bytes of such a key name their writer and are never written twice:
a version may be a digest of the content, which does not see that the same bytes were written again, and after a
request without an answer, finding one's own bytes is how a store knows that it won.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from segsweep.errors import NotFoundError, Problem, StorageError

T = TypeVar("T")

# Names of this kind belong to the stores themselves (temporary files, locks): never a key, never listed.
RESERVED_PREFIX = ".segsweep-"


@dataclass(frozen=True)
class ObjectInfo:
    """One stored object.

    Attributes:
        key: Relative to the store's root.
        size_bytes: Length of the content.
        version: Differs whenever the content differs; opaque, compare for equality only. The same one that
            `read_versioned` gives. Writing the same bytes again may or may not change it.
    """

    key: str
    size_bytes: int
    version: str


class Store(Protocol):
    """Bytes under keys. All methods raise `StorageError` or one of its kinds, with the key's place in the message."""

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

    def stream(self, key: str, consume: Callable[[BinaryIO], T]) -> T:
        """Let a function read the object from its beginning while it arrives, and return what it returns.

        The function may be called again, from the beginning, after the connection broke. Raises `NotFoundError`.
        """
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


def checked_key(uri: str, key: str) -> str:
    """Return `key` if it is a relative POSIX path without surprises.

    Args:
        uri: The store's root, for the message.
        key: The key as the caller spelt it.

    Raises:
        StorageError: The key is empty or absolute, ends with `/`, or has a part that is empty, `.`, `..`, reserved
            or holds a control character.
    """
    if rule := _broken_rule(key):
        raise StorageError(Problem(uri, rule, "key", repr(key)))
    return key


def checked_prefix(uri: str, prefix: str) -> str:
    """Return `prefix` if some valid key may start with it; the empty one is the whole store.

    Raises:
        StorageError: No key starts like this.
    """
    if prefix and (rule := _broken_rule(f"{prefix}x")):
        raise StorageError(Problem(uri, rule, "prefix", repr(prefix)))
    return prefix


def version_holding(store: Store, key: str, data: bytes) -> str | None:
    """The object's version if it holds exactly `data`; None if it holds something else or is not there.

    Tells whether a conditional write that got no answer, and was refused when sent again, had won the first time.
    """
    try:
        found, version = store.read_versioned(key)
    except NotFoundError:
        return None
    return version if found == data else None


def _broken_rule(key: str) -> str:
    """The rule that `key` breaks, empty if none."""
    if not key:
        return "must not be empty"
    parts = key.split("/")
    if not parts[0]:
        return "must be relative, without a leading '/'"
    if any(part in ("", ".", "..") for part in parts):
        return "must not hold an empty part, '.' or '..'"
    if any(part.startswith(RESERVED_PREFIX) for part in parts):
        return f"must not hold a part that starts with {RESERVED_PREFIX!r}"
    if any(ord(character) < 32 or ord(character) == 127 for character in key):
        return "must not hold control characters"
    return ""
