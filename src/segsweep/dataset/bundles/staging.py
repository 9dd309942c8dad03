"""Staging: a node fetches a bundle once, verifies all of it, and every trial on that node reads the one copy."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from segsweep.dataset.bundles.cache import hold, let_go, make_room, mark_used
from segsweep.dataset.bundles.manifest import FileEntry, Manifest, ShardEntry, parse_manifest, read_manifest
from segsweep.dataset.bundles.shard import unpack_stream, verify_shard
from segsweep.dataset.records import SPLITS
from segsweep.errors import DatasetError, Problem
from segsweep.storage import layout
from segsweep.storage.files import disk_errors, written_whole
from segsweep.storage.opening import join, open_store
from segsweep.storage.store import Store

logger = logging.getLogger(__name__)

_NAMED_BY_DIGEST = re.compile(r"-[0-9a-f]{12}$")
_AT_ONCE = 4  # shards
_BLOCK_BYTES = 4096  # of a file system
_SPARE_BYTES = 64_000_000  # label caches, and room for the system to breathe


@dataclass(frozen=True)
class NodeCopy:
    """A bundle's verified copy on this node.

    Attributes:
        root: Its folder, absolute; the same on every node that has the same cache folder.
        manifest: What it holds.
    """

    root: Path
    manifest: Manifest

    @property
    def data_yaml(self) -> Path:
        """The file that Ultralytics' `data` argument takes."""
        return self.root / layout.NODE_DATA_YAML


def stage(bundle_uri: str, cache_dir: Path, finish: Callable[[NodeCopy], None] | None = None) -> NodeCopy:
    """Return this node's copy of the bundle; make it if there is none yet.

    Any number of processes may call this at once: one fetches, the others wait for it. The copy is verified file by
    file, gets its final path by one rename, is finished, and only then marked complete; a copy without the mark is
    nobody's, and the next call replaces it. Where there is no room, copies that no process uses are evicted, the least
    recently used first; this process uses its copy until it ends.

    Args:
        bundle_uri: The bundle itself, digest and all; see `resolve_bundle`.
        cache_dir: The node's cache folder; a local disk.
        finish: Called once on the new copy, at its final path, before anybody else sees it.

    Raises:
        DatasetError: The bundle is missing or damaged; what was expected and what was found.
        NoSpaceError: The disk, or the node's limit, leaves not enough room; how much is needed and how much there is.
        StorageError: The bundle or the cache folder cannot be read or written.
    """
    bundle_uri = join(bundle_uri)
    folder = cache_dir.expanduser().absolute() / layout.NODE_BUNDLES
    name = bundle_uri.rpartition("/")[2]
    # The digest in the name makes a look at the bundle's place unnecessary where there is a copy already.
    root = folder / (name if _NAMED_BY_DIGEST.search(name) else read_manifest(bundle_uri).directory)
    with disk_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        hold(root)
    try:
        if is_staged(root):
            return _open_copy(root)
        with _locked(folder / f".{root.name}.lock", root.name):
            return _open_copy(root) if is_staged(root) else _make(bundle_uri, root, finish)
    except BaseException:
        let_go(root)
        raise


def is_staged(root: Path) -> bool:
    """Whether the folder is a complete copy."""
    return (root / layout.NODE_COMPLETE).is_file()


def _open_copy(root: Path) -> NodeCopy:
    path = root / layout.MANIFEST
    with disk_errors(str(path)):
        data = path.read_bytes()
        mark_used(root)
    return NodeCopy(root, parse_manifest(data, str(path)))


def _make(bundle_uri: str, root: Path, finish: Callable[[NodeCopy], None] | None) -> NodeCopy:
    manifest = read_manifest(bundle_uri)
    if manifest.directory != root.name:
        rule = f"the bundle's folder must be named by its content, {manifest.directory}"
        raise DatasetError(Problem(bundle_uri, rule, fix="copy it to a folder of that name"))
    with disk_errors(str(root)):
        _remove_leftovers(root)
        size_bytes = _unpacked_bytes(manifest)
        make_room(root.parent, root.name, size_bytes, _SPARE_BYTES)
        work = Path(tempfile.mkdtemp(prefix=f".{root.name}.work-", dir=root.parent))
        try:
            _fetch(bundle_uri, manifest, work, root)
            work.chmod(0o755)
            work.rename(root)
            copy = NodeCopy(root, manifest)
            if finish is not None:
                finish(copy)
            with written_whole(root / layout.NODE_COMPLETE) as mark:
                said = {"digest": manifest.digest, "source": bundle_uri, "size_bytes": size_bytes}
                mark.write(json.dumps(said).encode())
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            shutil.rmtree(root, ignore_errors=True)
            raise
    return copy


def _fetch(bundle_uri: str, manifest: Manifest, work: Path, root: Path) -> None:
    store = open_store(bundle_uri)
    size_mb = sum(shard.size_bytes for shard in manifest.shards) / 1e6
    logger.info("fetching %s, %.1f MB", bundle_uri, size_mb)
    with (root.parent / layout.NODE_DOWNLOADS).open("a", encoding="utf-8") as log:
        log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {bundle_uri} {size_mb:.1f} MB\n")
    files: dict[str, list[FileEntry]] = {shard.key: [] for shard in manifest.shards}
    for file in manifest.files:
        files[file.shard].append(file)

    def fetch(shard: ShardEntry) -> None:
        _fetch_shard(store, shard, files[shard.key], work)

    with ThreadPoolExecutor(min(_AT_ONCE, len(files))) as pool:
        for done in [pool.submit(fetch, shard) for shard in manifest.shards]:
            done.result()
    data = {"path": str(root)} | {split: f"images/{split}" for split in SPLITS}
    text = yaml.safe_dump(data | {"names": dict(enumerate(manifest.classes))}, sort_keys=False, allow_unicode=True)
    (work / layout.NODE_DATA_YAML).write_text(text, encoding="utf-8")
    (work / layout.MANIFEST).write_bytes(manifest.to_bytes())


def _fetch_shard(store: Store, shard: ShardEntry, files: Sequence[FileEntry], work: Path) -> None:
    where = f"{store.uri}/{shard.key}"
    try:
        store.stream(shard.key, lambda tar: unpack_stream(tar, shard.size_bytes, files, work, where))
    except DatasetError:
        store.stream(shard.key, lambda tar: verify_shard(tar, shard, where))
        raise  # the tar is what the manifest says, and still not what it should be


def _unpacked_bytes(manifest: Manifest) -> int:
    return sum(-(-file.size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES for file in manifest.files)


def _remove_leftovers(root: Path) -> None:
    """What a killed process left; the lock is held, so nobody is at work on it."""
    for path in (root, *root.parent.glob(f".{root.name}.work-*")):
        if path.exists():
            shutil.rmtree(path)


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    """Hold the node's lock on a bundle; the kernel releases it when the process dies."""
    with disk_errors(str(path)):
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting for another process on this node to stage %s", name)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
