"""A store that outlives outages of the one inside it, and how long a process waits for a place that has gone silent.

A place that has never answered is given up soon: its name is wrong, or the network is. One that has answered is waited
for: whoever trains for days shall not lose a session, and its machines, to a minute in which S3 is away.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeVar

from segsweep.errors import ConfigError, ConflictError, NotFoundError, Problem, UnreachableError
from segsweep.storage.store import ObjectInfo, Store, version_holding

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

PATIENCE_VARIABLE = "SEGSWEEP_PATIENCE_S"
# Longer than nearly every outage of S3, and not so long that a cluster waits all night at its price.
_PATIENCE_S = 900.0
_LONGEST_DELAY_S = 30.0


def patience_s() -> float:
    """How long an outage is sat out, seconds: `$SEGSWEEP_PATIENCE_S`, else 15 minutes.

    Raises:
        ConfigError: It is no number of seconds.
    """
    text = os.environ.get(PATIENCE_VARIABLE)
    if not text:
        return _PATIENCE_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not 0 <= seconds < float("inf"):
        raise ConfigError(Problem(PATIENCE_VARIABLE, "must be a number of seconds, 0 or more", value=repr(text)))
    return seconds


class Patience:
    """Whether a silent place is worth waiting for; the stores of one place share it, whatever thread they are used in.

    An outage is one: what was waited for in vain once is not waited for again by the next call, be it the last words
    of a process that ends because of it. The first answer ends the outage.

    Args:
        limit_s: How long an outage is sat out once the place has answered.
        clock: Seconds, monotonic.
    """

    def __init__(self, limit_s: float = _PATIENCE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit_s = limit_s
        self.has_answered = False
        self._clock = clock
        self._silent_since: float | None = None
        self._given_up = False

    def answered(self) -> None:
        """The place has answered, whatever it said."""
        self.has_answered = True
        self._silent_since = None
        self._given_up = False

    def kept_silent(self) -> None:
        """The place has not answered."""
        if self._silent_since is None:
            self._silent_since = self._clock()

    def give_up(self) -> None:
        """Wait no more in this outage."""
        self._given_up = True

    def left_s(self, began: float) -> float:
        """How long a call that began then may still wait; 0 where nobody waits any more.

        Args:
            began: By the same clock. A place that answers others, and never this call, is given up too.
        """
        if self._given_up or not self.has_answered:
            return 0.0
        return max(0.0, self.limit_s - self.silent_s(began))

    def silent_s(self, began: float) -> float:
        """Seconds since the outage, or the call, began: whichever is longer ago."""
        since = began if self._silent_since is None else min(began, self._silent_since)
        return self._clock() - since

    @property
    def given_up(self) -> bool:
        """Whether this outage has been waited for in vain."""
        return self._given_up

    def now(self) -> float:
        """The clock's time."""
        return self._clock()


class RetryingStore:
    """The same store, asked again while it does not answer (`UnreachableError`); no other error is retried.

    Before attempt n + 1 it waits `first_delay_s` * 2 ** (n - 1), at most 30 seconds, less a random part of up to half:
    equal jitter, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, so that the workers of a
    cluster do not come back all at once.

    Args:
        store: The store to ask.
        attempts: Calls in all, at least 1, where the place has never answered.
        first_delay_s: Wait before the second attempt.
        sleep: Waits so many seconds.
        rng: Draws the jitter.
        patience: How long it is asked where it has answered before; None for one of its own.
    """

    def __init__(
        self,
        store: Store,
        attempts: int = 5,
        first_delay_s: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.store = store
        self._attempts = attempts
        self._first_delay_s = first_delay_s
        self._sleep = sleep
        self._rng = rng or random.Random()
        self.patience = patience or Patience()

    def __repr__(self) -> str:
        return f"RetryingStore({self.store!r})"

    @property
    def uri(self) -> str:
        """Of the store inside."""
        return self.store.uri

    def read(self, key: str) -> bytes:
        """Return the whole object."""
        return self.retried(lambda: self.store.read(key))

    def read_versioned(self, key: str) -> tuple[bytes, str]:
        """Return the object and its version."""
        return self.retried(lambda: self.store.read_versioned(key))

    def write(self, key: str, data: bytes) -> None:
        """Write or overwrite the object atomically."""
        self.retried(lambda: self.store.write(key, data))

    def create(self, key: str, data: bytes) -> str:
        """Write the object only if there is none."""
        return self._conditional(key, data, lambda: self.store.create(key, data))

    def replace(self, key: str, data: bytes, version: str) -> str:
        """Overwrite only if the object still has `version`."""
        return self._conditional(key, data, lambda: self.store.replace(key, data, version))

    def upload(self, path: Path, key: str) -> None:
        """Copy a local file to the key atomically."""
        self.retried(lambda: self.store.upload(path, key))

    def download(self, key: str, path: Path) -> None:
        """Copy the object to a local file atomically."""
        self.retried(lambda: self.store.download(key, path))

    def stream(self, key: str, consume: Callable[[BinaryIO], _T]) -> _T:
        """Let a function read the object; it reads from the beginning again after the connection broke."""
        return self.retried(lambda: self.store.stream(key, consume))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in key order; read whole before the first is given."""
        return iter(self.retried(lambda: [*self.store.list(prefix)]))

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        return self.retried(lambda: self.store.exists(key))

    def delete(self, key: str) -> None:
        """Remove the object; no error if there is none."""
        self.retried(lambda: self.store.delete(key))

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

        return self.retried(attempt)

    def retried(self, call: Callable[[], _T]) -> _T:
        """What the call returns, made again while the place does not answer."""
        patience, began, attempt = self.patience, self.patience.now(), 0
        while True:
            attempt += 1
            try:
                result = call()
            except UnreachableError as exc:
                patience.kept_silent()
                silent_s, left_s = patience.silent_s(began), patience.left_s(began)
                is_last = left_s <= 0 if patience.has_answered else attempt >= self._attempts
                if is_last or patience.given_up:
                    patience.give_up()
                    raise self._told(exc, silent_s) from exc
                self._wait(exc, attempt, silent_s, left_s)
            except (NotFoundError, ConflictError):
                patience.answered()
                raise
            except KeyboardInterrupt:
                patience.give_up()  # whoever interrupts wants no other wait for the last words
                raise
            else:
                patience.answered()
                return result

    def _wait(self, exc: UnreachableError, attempt: int, silent_s: float, left_s: float) -> None:
        longest_s = min(_LONGEST_DELAY_S, self._first_delay_s * 2 ** min(attempt - 1, 10))
        delay_s = longest_s * self._rng.uniform(0.5, 1.0)
        if self.patience.has_answered:
            delay_s = min(delay_s, left_s)
            told = "%s; silent for %.0f s, waiting for %.0f s more, again in %.1f s"
            _log.warning(told, exc, silent_s, left_s, delay_s)
        else:
            _log.warning("%s; attempt %d of %d, again in %.1f s", exc, attempt, self._attempts, delay_s)
        try:
            self._sleep(delay_s)
        except KeyboardInterrupt:
            self.patience.give_up()
            raise

    def _told(self, exc: UnreachableError, silent_s: float) -> UnreachableError:
        """The error of a place that has answered before, saying how long it was waited for; of any other as it is."""
        if not self.patience.has_answered:
            return exc
        fix = f"run the same command again once it answers; {PATIENCE_VARIABLE} says how long it is waited for"
        rule = f"; silent for {silent_s:.0f} s"
        told = [replace(problem, rule=problem.rule + rule, fix=fix) for problem in exc.problems]
        return UnreachableError(told or f"{exc}{rule} ({fix})")


def persistently(store: Store, call: Callable[[Store], _T]) -> _T:
    """Call with the store itself, again while it does not answer.

    For what must be done anew before each attempt: an attempt may come long after the first.

    Args:
        store: Retried as its own methods are; once, where it retries nothing.
        call: It gets the store without retries.
    """
    return store.retried(lambda: call(store.store)) if isinstance(store, RetryingStore) else call(store)


def without_retries(store: Store) -> Store:
    """The store itself, for callers that would rather hear at once that it does not answer."""
    return store.store if isinstance(store, RetryingStore) else store
