"""A store that outlives short outages of the one inside it."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from segsweep.errors import ConflictError, UnreachableError
from segsweep.storage.store import ObjectInfo, Store, version_holding

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class RetryingStore:
    """The same store, asked again while it does not answer (`UnreachableError`); no other error is retried.

    Before attempt n + 1 it waits `first_delay_s` * 2 ** (n - 1), at most 30 seconds, less a random part of up to half:
    equal jitter, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, so that the workers of a
    cluster do not come back all at once.

    Args:
        store: The store to ask.
        attempts: Calls in all, at least 1.
        first_delay_s: Wait before the second attempt.
        sleep: Waits so many seconds.
        rng: Draws the jitter.
    """

    def __init__(
        self,
        store: Store,
        attempts: int = 5,
        first_delay_s: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.store = store
        self._attempts = attempts
        self._first_delay_s = first_delay_s
        self._sleep = sleep
        self._rng = rng or random.Random()

    def __repr__(self) -> str:
        return f"RetryingStore({self.store!r})"

    @property
    def uri(self) -> str:
        """Of the store inside."""
        return self.store.uri

    def read(self, key: str) -> bytes:
        """Return the whole object."""
        return self._retried(lambda: self.store.read(key))

    def read_versioned(self, key: str) -> tuple[bytes, str]:
        """Return the object and its version."""
        return self._retried(lambda: self.store.read_versioned(key))

    def write(self, key: str, data: bytes) -> None:
        """Write or overwrite the object atomically."""
        self._retried(lambda: self.store.write(key, data))

    def create(self, key: str, data: bytes) -> str:
        """Write the object only if there is none."""
        return self._conditional(key, data, lambda: self.store.create(key, data))

    def replace(self, key: str, data: bytes, version: str) -> str:
        """Overwrite only if the object still has `version`."""
        return self._conditional(key, data, lambda: self.store.replace(key, data, version))

    def upload(self, path: Path, key: str) -> None:
        """Copy a local file to the key atomically."""
        self._retried(lambda: self.store.upload(path, key))

    def download(self, key: str, path: Path) -> None:
        """Copy the object to a local file atomically."""
        self._retried(lambda: self.store.download(key, path))

    def stream(self, key: str, consume: Callable[[BinaryIO], _T]) -> _T:
        """Let a function read the object; it reads from the beginning again after the connection broke."""
        return self._retried(lambda: self.store.stream(key, consume))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in key order; read whole before the first is given."""
        return iter(self._retried(lambda: [*self.store.list(prefix)]))

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        return self._retried(lambda: self.store.exists(key))

    def delete(self, key: str) -> None:
        """Remove the object; no error if there is none."""
        self._retried(lambda: self.store.delete(key))

    def _conditional(self, key: str, data: bytes, write: Callable[[], str]) -> str:
        """Retry a conditional write, knowing that an attempt without an answer may have been the one that won."""
        calls = 0

        def attempt() -> str:
            nonlocal calls
            calls += 1
            try:
                return write()
            except ConflictError:
                if calls == 1 or (version := version_holding(self.store, key, data)) is None:
                    raise
                return version

        return self._retried(attempt)

    def _retried(self, call: Callable[[], _T]) -> _T:
        for attempt in range(1, self._attempts):
            try:
                return call()
            except UnreachableError as exc:
                delay_s = min(30.0, self._first_delay_s * 2 ** (attempt - 1)) * self._rng.uniform(0.5, 1.0)
                _log.warning("%s; attempt %d of %d, again in %.1f s", exc, attempt, self._attempts, delay_s)
                self._sleep(delay_s)
        return call()


def without_retries(store: Store) -> Store:
    """The store itself, for callers that would rather hear at once that it does not answer."""
    return store.store if isinstance(store, RetryingStore) else store
