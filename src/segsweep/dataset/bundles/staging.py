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
from segsweep.dataset.bundles.damage import damaged, doubtful
from segsweep.dataset.bundles.manifest import (
    FileEntry,
    Manifest,
    ShardEntry,
    fetch_manifest,
    parse_manifest,
    read_manifest,
)
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
_MOST_TOLD = 5  # damaged files, by name
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
    """Return this node's copy of the bundle; make it if there is none yet, and whole if files of it are damaged.

    Any number of processes may call this at once: one fetches, the others wait for it. The copy is verified file by
    file, gets its final path by one rename, is finished, and only then marked complete; a copy without the mark is
    nobody's, and the next call replaces it. Where there is no room, copies that no process uses are evicted, the least
    recently used first; this process uses its copy until it ends. Files that were lost or written to since are noticed
    (see `damage`), and they alone are fetched again.

    Args:
        bundle_uri: The bundle itself, digest and all; see `resolve_bundle`.
        cache_dir: The node's cache folder; a local disk.
        finish: Called on the new copy, at its final path, before anybody else sees it, and on one that was mended.

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
        copy = _open_copy(root)
        if copy is not None:
            return copy
        with _locked(folder / f".{root.name}.lock", root.name):
            return _open_copy(root) or (_mend if is_staged(root) else _make)(bundle_uri, root, finish)
    except BaseException:
        let_go(root)
        raise


def is_staged(root: Path) -> bool:
    """Whether the folder is a complete copy."""
    return (root / layout.NODE_COMPLETE).is_file()


def _open_copy(root: Path) -> NodeCopy | None:
    """The copy if it is complete and nothing about it is doubtful."""
    if not is_staged(root):
        return None
    with disk_errors(str(root)):
        manifest = _own_manifest(root)
        if manifest is None or not _is_marked(root, manifest) or doubtful(root, manifest.files):
            return None
        mark_used(root)
    return NodeCopy(root, manifest)


def _own_manifest(root: Path) -> Manifest | None:
    """The copy's manifest, and beside it what training reads first; None where either is damaged."""
    try:
        manifest = parse_manifest((root / layout.MANIFEST).read_bytes(), str(root))
        is_whole = (root / layout.NODE_DATA_YAML).read_bytes() == _data_yaml(manifest, root)
    except (DatasetError, FileNotFoundError):
        return None
    return manifest if is_whole and manifest.directory == root.name else None


def _is_marked(root: Path, manifest: Manifest) -> bool:
    """Whether the mark says what it said when every file of this manifest had been verified."""
    try:
        said = json.loads((root / layout.NODE_COMPLETE).read_bytes())
    except (ValueError, RecursionError):
        return False
    wanted = {"digest": manifest.digest, "size_bytes": _unpacked_bytes(manifest)}
    return isinstance(said, dict) and {name: said.get(name) for name in wanted} == wanted


def _mend(bundle_uri: str, root: Path, finish: Callable[[NodeCopy], None] | None) -> NodeCopy:
    """Make a copy whole in which something is doubtful; other processes may be reading it."""
    with disk_errors(str(root)):
        manifest = _own_manifest(root)
        if manifest is None:
            logger.warning("the manifest of %s on this node is damaged: fetching it again", root.name)
            manifest, data = _named_manifest(bundle_uri, root)
            _write_facts(manifest, data, root, root)
        is_marked = _is_marked(root, manifest)
        if not is_marked:
            logger.warning("the mark of %s on this node is damaged: verifying all of its files", root.name)
        bad = damaged(root, doubtful(root, manifest.files) if is_marked else manifest.files)
        if bad:
            told = "; ".join(f"{file.path}: {what}" for file, what in [*bad.items()][:_MOST_TOLD])
            more = f" and {len(bad) - _MOST_TOLD} more" if len(bad) > _MOST_TOLD else ""
            counts = f"{len(bad)} of {len(manifest.files)}"
            logger.warning("%s files of %s on this node are damaged (%s%s)", counts, root.name, told, more)
            _fetch_again(bundle_uri, manifest, {file.path for file in bad}, root)
        copy = NodeCopy(root, manifest)
        if finish is not None:
            finish(copy)
        _mark(copy, bundle_uri)
    return copy


def _fetch_again(bundle_uri: str, manifest: Manifest, paths: set[str], root: Path) -> None:
    work = Path(tempfile.mkdtemp(prefix=f".{root.name}.work-", dir=root.parent))
    try:
        _fetch(bundle_uri, manifest, work, paths)
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).replace(root / path)  # whoever reads meanwhile gets the old bytes or the new ones
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _make(bundle_uri: str, root: Path, finish: Callable[[NodeCopy], None] | None) -> NodeCopy:
    manifest, data = _named_manifest(bundle_uri, root)
    with disk_errors(str(root)):
        _remove_leftovers(root)
        make_room(root.parent, root.name, _unpacked_bytes(manifest), _SPARE_BYTES)
        work = Path(tempfile.mkdtemp(prefix=f".{root.name}.work-", dir=root.parent))
        try:
            _fetch(bundle_uri, manifest, work)
            _write_facts(manifest, data, work, root)
            work.chmod(0o755)
            work.rename(root)
            copy = NodeCopy(root, manifest)
            if finish is not None:
                finish(copy)
            _mark(copy, bundle_uri)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            shutil.rmtree(root, ignore_errors=True)
            raise
    return copy


def _named_manifest(bundle_uri: str, root: Path) -> tuple[Manifest, bytes]:
    manifest, data = fetch_manifest(bundle_uri)
    if manifest.directory != root.name:
        rule = f"the bundle's folder must be named by its content, {manifest.directory}"
        raise DatasetError(Problem(bundle_uri, rule, fix="copy it to a folder of that name"))
    return manifest, data


def _fetch(bundle_uri: str, manifest: Manifest, work: Path, only: set[str] | None = None) -> None:
    """Unpack the bundle's shards, or of them only some files; shards without any of those are not read."""
    store = open_store(bundle_uri)
    files: dict[str, list[FileEntry]] = {shard.key: [] for shard in manifest.shards}
    for file in manifest.files:
        files[file.shard].append(file)
    needed = {file.shard for file in manifest.files if only is None or file.path in only}
    shards = [shard for shard in manifest.shards if only is None or shard.key in needed]
    size_mb = sum(shard.size_bytes for shard in shards) / 1e6
    part = "" if only is None else f"{len(shards)} of {len(manifest.shards)} shards of "
    logger.info("fetching %s%s, %.1f MB", part, bundle_uri, size_mb)
    with (work.parent / layout.NODE_DOWNLOADS).open("a", encoding="utf-8") as log:
        log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {part}{bundle_uri} {size_mb:.1f} MB\n")

    def fetch(shard: ShardEntry) -> None:
        _fetch_shard(store, shard, files[shard.key], work, only)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done in [pool.submit(fetch, shard) for shard in shards]:
            done.result()


def _fetch_shard(
    store: Store, shard: ShardEntry, files: Sequence[FileEntry], work: Path, only: set[str] | None
) -> None:
    where = f"{store.uri}/{shard.key}"
    try:
        store.stream(shard.key, lambda tar: unpack_stream(tar, shard.size_bytes, files, work, where, only))
    except DatasetError:
        store.stream(shard.key, lambda tar: verify_shard(tar, shard, where))
        raise  # the tar is what the manifest says, and still not what it should be


def _write_facts(manifest: Manifest, data: bytes, folder: Path, root: Path) -> None:
    """Write what is beside the bundle's files into a folder that is, or will be, the copy."""
    for name, content in ((layout.NODE_DATA_YAML, _data_yaml(manifest, root)), (layout.MANIFEST, data)):
        with written_whole(folder / name) as file:
            file.write(content)


def _data_yaml(manifest: Manifest, root: Path) -> bytes:
    data = {"path": str(root)} | {split: f"images/{split}" for split in SPLITS}
    names = {"names": dict(enumerate(manifest.classes))}
    return yaml.safe_dump(data | names, sort_keys=False, allow_unicode=True).encode()


def _mark(copy: NodeCopy, bundle_uri: str) -> None:
    said = {"digest": copy.manifest.digest, "source": bundle_uri, "size_bytes": _unpacked_bytes(copy.manifest)}
    with written_whole(copy.root / layout.NODE_COMPLETE) as mark:
        mark.write(json.dumps(said).encode())


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
