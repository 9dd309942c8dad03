"""Bundles as a hostile hand makes them: the manifest signed anew after it was changed, the shards to match."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import yaml

from fuzz import cage
from fuzz.arena import Arena, snapshot
from fuzz.tally import TALLY
from fuzz.trial import inconsistencies, vagueness
from segsweep.dataset.bundles.cache import let_go
from segsweep.dataset.bundles.manifest import parse_manifest
from segsweep.dataset.bundles.staging import NodeCopy, stage
from segsweep.errors import DatasetError

_SIGNATURE = re.compile(r"must be that of the content, ([0-9a-f]{64})")


def signed(data: bytes) -> bytes:
    """A manifest with the digest of its content, if it is whole enough to have one: whoever changes it can do that."""
    try:
        parse_manifest(data, "manifest")
    except DatasetError as exc:
        found = _SIGNATURE.search(str(exc))
        if found:
            return json.dumps(json.loads(data) | {"digest": found[1]}).encode()
    return data


def with_shard(manifest: dict[str, Any], key: str, tar: bytes) -> dict[str, Any]:
    """The manifest with another tar behind a key."""
    entry = {"key": key, "size_bytes": len(tar), "sha256": hashlib.sha256(tar).hexdigest()}
    return manifest | {"shards": [entry if shard["key"] == key else shard for shard in manifest["shards"]]}


def try_bundle(files: dict[str, bytes], name: str, arena: Arena, kind: str, said: str) -> list[str]:
    """Stage one bundle; its faults.

    Args:
        files: By their keys.
        name: Of the bundle's folder.
        arena: Where.
        kind: For the summary.
        said: For the summary.
    """
    folder = arena.new_case()
    bundle = folder / "bundles" / name
    for key, data in files.items():
        (bundle / key).parent.mkdir(parents=True, exist_ok=True)
        (bundle / key).write_bytes(data)
    return try_stage(bundle, folder, kind, said)


def try_stage(bundle: Path, folder: Path, kind: str, said: str) -> list[str]:
    """Stage the bundle at a place; its faults."""
    before = snapshot(bundle)
    cache = folder / "cache"
    there = set(cache.rglob("complete.json"))
    result = cage.run(lambda: stage(str(bundle), cache), folder)
    faults = list(result.faults)
    if snapshot(bundle) != before:
        faults.append("changes the bundle")
    strangers = {path.name for path in folder.iterdir()} - {"bundles", "cache", "tmp"}
    if strangers:
        faults.append(f"writes {strangers}")
    copies = [path.parent for path in set(cache.rglob("complete.json")) - there]
    if result.refusal is not None:
        faults += vagueness(result.refusal, ("manifest.json", ".tar", bundle.name), str(bundle.parent))
        faults += [f"leaves a copy marked complete: {copy}" for copy in copies]
    elif result.value is not None:
        faults += _wrong_with(result.value, copies, cache)
        let_go(result.value.root)
    TALLY.add(kind, said, "fault" if faults else "refused" if result.refusal else "unharmed", result.seconds)
    return faults


def _wrong_with(copy: NodeCopy, copies: list[Path], cache: Path) -> list[str]:
    if set(copies) - {copy.root} or copy.root.parent != cache / "bundles":
        return [f"puts the copy elsewhere: {copy.root}, {copies}"]
    faults = inconsistencies(copy)
    for file in copy.manifest.files:
        data = (copy.root / file.path).read_bytes()
        if (len(data), hashlib.sha256(data).hexdigest()) != (file.size_bytes, file.sha256):
            faults.append(f"accepts {file.path}, which is not what the manifest says")
    names = yaml.safe_load(copy.data_yaml.read_text())["names"]
    if names != dict(enumerate(copy.manifest.classes)) or len(set(names.values())) < len(names) or not names:
        faults.append(f"accepts classes that training cannot take: {names}")
    for split, facts in copy.manifest.splits.items():
        there = len(list((copy.root / "images" / split).glob("*.jpg")))
        if there != facts.images:
            faults.append(f"accepts a split {split} of {facts.images} images, {there} are there")
    return faults
