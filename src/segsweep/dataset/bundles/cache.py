"""A node's cache of bundles: who uses which, and which go when there is no room for another."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segsweep.errors import ConfigError, NoSpaceError, Problem
from segsweep.storage import layout

logger = logging.getLogger(__name__)

LIMIT_VARIABLE = "SEGSWEEP_CACHE_GB"

_GIGABYTE = 1_000_000_000

# Descriptors whose locks say that this process uses a copy; the kernel lets go of them when the process ends.
_held: dict[str, int] = {}


@dataclass(frozen=True)
class Cached:
    """A complete copy of a bundle.

    Attributes:
        root: Its folder.
        size_bytes: What it takes.
        used_ns: When it was last used, nanoseconds since the epoch.
    """

    root: Path
    size_bytes: int
    used_ns: int


def cache_limit() -> int | None:
    """What all bundles of a node may take together, bytes: `$SEGSWEEP_CACHE_GB`; None for what the disk holds.

    Raises:
        ConfigError: It is no number above 0.
    """
    text = os.environ.get(LIMIT_VARIABLE)
    if not text:
        return None
    try:
        limit = float(text) * _GIGABYTE
    except ValueError:
        limit = float("nan")
    if not 0 < limit < float("inf"):
        raise ConfigError(Problem(LIMIT_VARIABLE, "must be a number of gigabytes above 0", value=repr(text)))
    return int(limit)


def hold(root: Path) -> None:
    """Say that this process uses the copy, until it ends or lets go: nobody evicts it meanwhile."""
    if str(root) in _held:
        return
    with contextlib.suppress(PermissionError):  # what we may not write, nobody evicts on our behalf
        descriptor = os.open(_in_use(root), os.O_CREAT | os.O_RDWR, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        _held[str(root)] = descriptor


def let_go(root: Path) -> None:
    """The opposite of `hold`."""
    descriptor = _held.pop(str(root), None)
    if descriptor is not None:
        os.close(descriptor)


def mark_used(root: Path) -> None:
    """Remember that the copy was used now."""
    with contextlib.suppress(PermissionError):
        os.utime(root / layout.NODE_COMPLETE)


def cached(folder: Path) -> list[Cached]:
    """The complete copies in a cache folder, least recently used first."""
    found = []
    for mark in folder.glob(f"*/{layout.NODE_COMPLETE}"):
        try:
            found.append(Cached(mark.parent, _size_bytes(mark), mark.stat().st_mtime_ns))
        except FileNotFoundError:
            continue  # evicted meanwhile
    return sorted(found, key=lambda one: (one.used_ns, one.root.name))


def make_room(folder: Path, name: str, needed_bytes: int, spare_bytes: int) -> None:
    """Evict what was used least recently until a bundle fits: under the node's limit, and on its disk.

    Args:
        folder: The cache's folder of bundles.
        name: The bundle that needs room.
        needed_bytes: What it takes.
        spare_bytes: What must stay free on the disk besides.

    Raises:
        NoSpaceError: There is not enough room and nothing left to evict; how much is needed and how much there is.
        ConfigError: The node's limit is no number.
    """
    limit = cache_limit()
    with _alone(folder / ".room.lock"):
        there = [one for one in cached(folder) if one.root.name != name]
        kept_bytes = sum(one.size_bytes for one in there)
        # What cannot fit even into an empty cache, or says so, evicts nobody.
        possible_bytes = shutil.disk_usage(folder).free + kept_bytes - spare_bytes
        is_hopeless = needed_bytes > (possible_bytes if limit is None else min(limit, possible_bytes))
        for one in () if is_hopeless else there:
            fits = limit is None or kept_bytes + needed_bytes <= limit
            if fits and shutil.disk_usage(folder).free >= needed_bytes + spare_bytes:
                return
            if _evict(one):
                kept_bytes -= one.size_bytes
        if limit is not None and kept_bytes + needed_bytes > limit:
            rule = f"{name} needs {needed_bytes / 1e6:.0f} MB, bundles may take {limit / 1e6:.0f} MB"
            used = f"; {kept_bytes / 1e6:.0f} MB of them are in use" if kept_bytes and not is_hopeless else ""
            raise NoSpaceError(Problem(str(folder), rule + used, fix=f"raise {LIMIT_VARIABLE}"))
        free = shutil.disk_usage(folder).free
        if free < needed_bytes + spare_bytes:
            needed = (needed_bytes + spare_bytes) / 1e6
            rule = f"staging {name} needs {needed:.0f} MB, {free / 1e6:.0f} MB are free"
            raise NoSpaceError(Problem(str(folder), rule, fix="free some, or name another cache folder"))


def _evict(copy: Cached) -> bool:
    """Remove a copy that nobody uses; whether it is gone."""
    with _in_use(copy.root).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        (copy.root / layout.NODE_COMPLETE).unlink(missing_ok=True)  # from here on it is nobody's
        shutil.rmtree(copy.root, ignore_errors=True)
    logger.info("evicted %s, %.1f MB, to make room", copy.root.name, copy.size_bytes / 1e6)
    return True


def _in_use(root: Path) -> Path:
    return root.parent / f".{root.name}.in-use.lock"


def _size_bytes(mark: Path) -> int:
    try:
        said = json.loads(mark.read_bytes())
    except (ValueError, RecursionError):  # damaged: the copy is there all the same, and takes room
        said = None
    if isinstance(said, dict) and isinstance(said.get("size_bytes"), int):
        return int(said["size_bytes"])
    return sum(path.stat().st_size for path in mark.parent.rglob("*") if path.is_file())  # of an earlier version


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
