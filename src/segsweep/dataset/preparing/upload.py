"""Uploading a bundle's shards: several at once, each packed when its turn comes, none that is there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from segsweep.dataset.bundles.manifest import ShardEntry
from segsweep.dataset.preparing.packing import ShardPlan, write_shard
from segsweep.errors import Problem, StorageError
from segsweep.storage.store import ObjectInfo, Store

_AT_ONCE = 4  # shards; each large one goes in parallel parts besides


def upload_shards(plans: Sequence[ShardPlan], store: Store, work: Path) -> tuple[ShardEntry, ...]:
    """Pack and upload every shard that is not at its place yet.

    What was uploaded is noted in the work folder, with the version that the store gave it: a later run of the same work
    takes an object of that version and size for what it sent.

    Args:
        plans: The shards.
        store: The bundle's place.
        work: Folder for tars and notes; a tar is gone when it is uploaded.

    Returns:
        In order of key.

    Raises:
        StorageError: The place cannot be written.
    """
    notes = work / f"uploaded-{hashlib.sha256(store.uri.encode()).hexdigest()[:12]}"
    notes.mkdir(exist_ok=True)

    def bring(plan: ShardPlan) -> ShardEntry:
        note = notes / plan.key.replace("/", "-")
        known = _read_note(note, _content(plan), _look(store, plan.key))
        if known is not None:
            return known
        tar = work / plan.key
        entry = write_shard(plan, tar)
        store.upload(tar, plan.key)
        tar.unlink()
        arrived = _look(store, plan.key)
        if arrived is None or arrived.size_bytes != entry.size_bytes:
            found = "nothing is" if arrived is None else f"{arrived.size_bytes} are"
            rule = f"{entry.size_bytes} bytes were uploaded, {found} there"
            raise StorageError(Problem(f"{store.uri}/{plan.key}", rule, fix="run the same command again"))
        _write_note(note, _content(plan), arrived, entry)
        return entry

    with ThreadPoolExecutor(min(_AT_ONCE, len(plans))) as pool:
        return tuple(sorted(pool.map(bring, plans), key=lambda entry: entry.key))


def _look(store: Store, key: str) -> ObjectInfo | None:
    return next((info for info in store.list(key) if info.key == key), None)


def _content(plan: ShardPlan) -> str:
    digest = hashlib.sha256()
    for file in plan.files:
        digest.update(f"{file.split}/{file.stem}\n".encode() + file.view.hashes)
    return digest.hexdigest()


def _read_note(note: Path, content: str, there: ObjectInfo | None) -> ShardEntry | None:
    """The shard that an earlier run uploaded, if it is still there."""
    try:
        said = json.loads(note.read_bytes())
        entry = ShardEntry(**said["entry"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none, or half of one
    is_ours = there is not None and said["content"] == content and said["there"] == [there.size_bytes, there.version]
    return entry if is_ours else None


def _write_note(note: Path, content: str, there: ObjectInfo, entry: ShardEntry) -> None:
    said = {"content": content, "there": [there.size_bytes, there.version], "entry": asdict(entry)}
    temporary = note.with_suffix(".tmp")
    temporary.write_text(json.dumps(said), encoding="utf-8")
    temporary.replace(note)
