"""From a URI in a job or on the command line to a store, and whether that store can be used."""

from __future__ import annotations

import contextlib
import functools
import re
import uuid
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from segsweep.errors import ConfigError, ConflictError, Problem, StorageError
from segsweep.storage.local import LocalStore
from segsweep.storage.retrying import Patience, RetryingStore, patience_s, without_retries
from segsweep.storage.store import Store

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
_ACCEPTED = "must be s3://bucket/prefix, file:///folder or a folder"
_OTHER = "use another storage"


def open_store(uri: str, *parts: str) -> Store:
    """Open the place that `uri` names; nothing is read or written yet.

    Args:
        uri: `s3://bucket/prefix`, `file:///folder` or a folder; `~` and relative folders are resolved here and now.
        *parts: Names below it, e.g. the run's.

    Returns:
        The store whose root is `join(uri, *parts)`.

    Raises:
        ConfigError: Another scheme, no bucket, a part that leaves the place, or no patience that can be read.
    """
    place = join(uri, *parts)
    if place.startswith("s3://"):
        # botocore takes a third of a second to import, and a folder needs none of it.
        from segsweep.storage.s3 import S3Store  # noqa: PLC0415

        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        return RetryingStore(S3Store(bucket, prefix), patience=_patience())
    return LocalStore(Path(place))


def vouch() -> None:
    """Say that S3 has answered where this process comes from: a worker whose first words fall into an outage waits."""
    _patience().has_answered = True


@functools.cache
def _patience() -> Patience:
    """One for the process: all its buckets lie at the one endpoint that the environment names."""
    return Patience(patience_s())


def join(uri: str, *parts: str) -> str:
    """The URI of a place below `uri`, in its one spelling: absolute, without doubled or trailing slashes.

    Args:
        uri: As `open_store` takes it.
        *parts: Names or relative keys below it.

    Returns:
        `s3://bucket/prefix/part` or an absolute folder.

    Raises:
        ConfigError: Another scheme, no bucket, or a part that is empty, absolute or holds `.` or `..`.
    """
    names = [name for part in parts for name in _checked_names(uri, part)]
    scheme = _SCHEME.match(uri)
    if not uri.strip() or not uri.isprintable():
        raise ConfigError(Problem(repr(uri), _ACCEPTED))
    if uri.startswith("s3://"):
        bucket, *prefix = _checked_names(uri, uri.removeprefix("s3://").rstrip("/"))
        if not _BUCKET.fullmatch(bucket):
            raise ConfigError(Problem(uri, "a bucket's name holds letters, digits, '.', '-' and '_'", value=bucket))
        return "s3://" + "/".join([bucket, *prefix, *names])
    if uri.startswith("file://"):
        split = urlsplit(uri)
        if split.netloc not in ("", "localhost") or not split.path:
            raise ConfigError(Problem(uri, _ACCEPTED, fix="write file:/// with three slashes"))
        return str(Path(unquote(split.path)).joinpath(*names))
    if scheme or uri.startswith(("s3:", "file:")):
        raise ConfigError(Problem(uri, _ACCEPTED))
    try:
        return str(Path(uri).expanduser().absolute().joinpath(*names))
    except RuntimeError as exc:  # ~somebody without a home
        raise ConfigError(Problem(uri, f"names no folder: {exc}")) from exc


def check_reachable(store: Store) -> list[Problem]:
    """Whether a run can live in `store`: a small object is created, listed, read and deleted there.

    That a second `create` is refused is tried too: on a server that ignores the condition two drivers could own one
    run. Nothing is left behind, not even a folder that was not there before. A wrapped store is tried without its
    retries, so that a place that does not answer is told in seconds.

    Args:
        store: The place to try.

    Returns:
        What is wrong, for a dry run to list with the rest; empty if nothing is.
    """
    plain = without_retries(store)
    made = _missing_folders(plain)
    try:
        return _probe(plain)
    except StorageError as exc:
        return _problems(store, exc)
    finally:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def check_readable(store: Store) -> list[Problem]:
    """Whether `store` answers and may be read, e.g. a dataset's place; an empty one is readable.

    Returns:
        What is wrong; empty if nothing is.
    """
    plain = without_retries(store)
    try:
        next(plain.list(), None)
    except StorageError as exc:
        return _problems(store, exc)
    return []


def _probe(store: Store) -> list[Problem]:
    key, data = f"segsweep-probe-{uuid.uuid4().hex}", b"written by segsweep to see whether it may write here\n"
    problems = []
    store.create(key, data)
    try:
        store.create(key, data)
    except ConflictError:
        pass
    else:
        problems.append(Problem(store.uri, "must refuse a conditional write to an object that exists", fix=_OTHER))
    if [info.key for info in store.list(key)] != [key] or store.read(key) != data:
        problems.append(Problem(store.uri, "must list and give back what was just written", fix=_OTHER))
    store.delete(key)
    return problems


def _problems(store: Store, exc: StorageError) -> list[Problem]:
    """What went wrong, told of the place itself: the key of the probe means nothing to a reader."""
    return [replace(problem, where=store.uri) for problem in exc.problems] or [Problem(store.uri, str(exc))]


def _missing_folders(store: Store) -> list[Path]:
    """Folders that a first write would make, innermost first."""
    if not isinstance(store, LocalStore):
        return []
    with contextlib.suppress(OSError):
        return [folder for folder in (store.root, *store.root.parents) if not folder.exists()]
    return []


def _checked_names(uri: str, part: str) -> list[str]:
    names = part.split("/")
    if any(name in ("", ".", "..") for name in names):
        raise ConfigError(Problem(uri, "must not hold an empty name, '.' or '..'", value=repr(part), fix=_ACCEPTED))
    return names
