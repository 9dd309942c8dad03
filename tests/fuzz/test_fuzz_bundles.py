"""Bundles and node copies that somebody changed: refused in words, or exactly what their manifest says."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from fuzz import seeds, tars
from fuzz.arena import Arena, Batch, batches
from fuzz.bundles import signed, try_bundle, try_stage, with_shard
from fuzz.mutations import mutate_bytes, mutate_text
from fuzz.seeds import Files
from fuzz.trees import mutate_json
from segsweep.dataset.bundles.cache import let_go
from segsweep.dataset.bundles.staging import stage
from segsweep.dataset.preparing.bundle import PrepareOptions, prepare

MANIFEST = "manifest.json"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of three images."""
    folder = tmp_path_factory.mktemp("sound")
    raw = seeds.write(seeds.yolo(), folder / "raw")
    bundle = Path(prepare(raw, str(folder / "bundles"), PrepareOptions(imgsz=32, name="sound", workers=1)).uri)
    # Where it was made is in no digest, and a place of its own in every run: the choices would be others.
    path = bundle / MANIFEST
    path.write_bytes(path.read_bytes().replace(str(raw).encode(), b"raw"))
    return bundle


def files_of(bundle: Path) -> Files:
    return {path.relative_to(bundle).as_posix(): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}


def name_of(manifest: bytes, rng: random.Random) -> str:
    """Where the bundle lies: at a name of no meaning, or at the one its manifest asks for if a folder can have it."""
    try:
        said = json.loads(manifest)
        name = f"{said['name']}-{said['digest'][:12]}"
    except (ValueError, KeyError, TypeError):
        name = "plain"
    usable = "/" not in name and name.isprintable() and len(name.encode()) < 200
    return name if usable and rng.random() < 0.5 else "plain"


def test_the_sound_bundle_is_accepted(sound: Path, arena: Arena):
    assert try_bundle(files_of(sound), sound.name, arena, "seeds", "bundle") == []
    assert try_bundle(files_of(sound), "plain", arena, "seeds", "bundle") == []


@pytest.mark.parametrize("batch", batches("manifests, tree", 8), ids=str)
def test_manifests_as_trees(batch: Batch, sound: Path, arena: Arena):
    files = files_of(sound)

    def case(rng: random.Random) -> tuple[str, list[str]]:
        data, said = mutate_json(files[MANIFEST], rng, str(arena.outside))
        if rng.random() < 0.8:
            data = signed(data)
        return said, try_bundle(files | {MANIFEST: data}, name_of(data, rng), arena, batch.kind, said)

    arena.run(batch, case)


@pytest.mark.parametrize("batch", batches("manifests, text", 2), ids=str)
def test_manifests_as_text(batch: Batch, sound: Path, arena: Arena):
    files = files_of(sound)

    def case(rng: random.Random) -> tuple[str, list[str]]:
        data, said = rng.choice((mutate_text, mutate_bytes))(files[MANIFEST], rng)
        return said, try_bundle(files | {MANIFEST: data}, name_of(data, rng), arena, batch.kind, said)

    arena.run(batch, case)


@pytest.mark.parametrize("batch", batches("shards of bundles", 4), ids=str)
def test_shards_that_the_manifest_was_made_to_match(batch: Batch, sound: Path, arena: Arena):
    files = files_of(sound)
    manifest = json.loads(files[MANIFEST])
    key = manifest["shards"][0]["key"]

    def case(rng: random.Random) -> tuple[str, list[str]]:
        if rng.random() < 0.5:
            tar, said = mutate_bytes(files[key], rng)
        else:
            tar, said = tars.mutate_tar(b"x" * 700, rng)
        data = files[MANIFEST]
        if rng.random() < 0.8:
            data = json.dumps(with_shard(manifest, key, tar)).encode()
        return said, try_bundle(files | {key: tar, MANIFEST: data}, sound.name, arena, batch.kind, said)

    arena.run(batch, case)


def changed(path: str, value: Any) -> Any:
    """A manifest with one value changed, `a.0.b` in words."""

    def change(manifest: dict[str, Any]) -> None:
        *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        node: Any = manifest
        for step in steps:
            node = node[step]
        node[last] = value(node[last]) if callable(value) else value

    return change


HOSTILE = {
    "a name that climbs": changed("name", "../../outside/x"),
    "an absolute name": changed("name", "/tmp/x"),
    "an empty name": changed("name", ""),
    "a name of 5,000 letters": changed("name", "x" * 5000),
    "a name with a NUL": changed("name", "a\0b"),
    "a name that no terminal shows": changed("name", "\x1b[31m"),
    "no shards": changed("shards", []),
    "no files": changed("files", []),
    "no classes": changed("classes", []),
    "the same class twice": changed("classes", lambda classes: [classes[0]] * 2),
    "half a letter as a class": changed("classes.0", "\ud800"),
    "a class of two lines": changed("classes.0", "a\nb"),
    "an image size of 0": changed("imgsz", 0),
    "an image size of 10^30": changed("imgsz", 10**30),
    "a shard of less than nothing": changed("shards.0.size_bytes", -1),
    "a shard of 10^30 bytes": changed("shards.0.size_bytes", 10**30),
    "a shard of 1 TB": changed("shards.0.size_bytes", 10**12),
    "a file of 1 TB": changed("files.0.size_bytes", 10**12),
    "a file of 10^30 bytes": changed("files.0.size_bytes", 10**30),
    "a file of less than nothing": changed("files.0.size_bytes", -1),
    "a shard that climbs": changed("shards.0.key", "../../outside/secret"),
    "the manifest as a shard": changed("shards.0.key", MANIFEST),
    "the same shard twice": changed("shards", lambda shards: [*shards, shards[0]]),
    "a thousand shards": changed("shards", lambda one: one + [one[0] | {"key": f"shards/{i}.tar"} for i in range(999)]),
    "the same file twice": changed("files", lambda files: [*files, files[0]]),
    "a file that climbs": changed("files.0.path", "images/train/../../../x.jpg"),
    "a file that is a folder": changed("files.0.path", "images/train/.jpg"),
    "a file with the name of a folder": changed("files.0.path", "images/train/...jpg"),
    "a file of another split": changed("files.0.path", "images/val/x.jpg"),
    "a split of nothing": changed("splits.val.images", 0),
    "a split of 10^9 images": changed("splits.val.images", 10**9),
    "another split": changed("splits", lambda splits: splits | {"../x": splits["val"]}),
    "numbers that are none": changed("parameters.split", float("nan")),
    "parameters nested deep": changed("parameters.deep", json.loads("[" * 300 + "]" * 300)),
    "a source that climbs": changed("files.0.source", "../../x"),
    "a source of two halves": changed("files.0.source", "\ud800"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("place", ["plain", "named by its content"])
def test_a_hostile_manifest(what: str, place: str, sound: Path, arena: Arena):
    files = files_of(sound)
    manifest = json.loads(files[MANIFEST])
    HOSTILE[what](manifest)
    data = signed(json.dumps(manifest).encode())
    said = json.loads(data)
    name = {"plain": "plain", "named by its content": f"sound-{said['digest'][:12]}"}[place]
    assert try_bundle(files | {MANIFEST: data}, name, arena, "hostile manifests", what) == []


@pytest.mark.parametrize("name", [MANIFEST, "shards/train-00000.tar"])
@pytest.mark.parametrize("size_bytes", [10**12, 20 * 10**9])
def test_a_sparse_file_in_a_bundle_is_not_read(name: str, size_bytes: int, sound: Path, arena: Arena):
    folder = arena.new_case()
    bundle = seeds.write(files_of(sound), folder / "bundles" / sound.name)
    with (bundle / name).open("r+b") as file:
        file.truncate(size_bytes)
    assert try_stage(bundle, folder, "hostile manifests", f"{name} of {size_bytes} bytes") == []
    assert not list((folder / "cache").rglob("complete.json"))


NODE_FILES = (MANIFEST, "complete.json", "data.yaml", "labels/train/train0.txt", "images/train/train0.jpg")


@pytest.mark.parametrize("batch", batches("node copies", 2), ids=str)
def test_files_of_a_node_copy(batch: Batch, sound: Path, arena: Arena):
    """Whatever happened to a copy, staging ends in words, and staging another bundle is not disturbed."""
    files = files_of(sound)

    def case(rng: random.Random) -> tuple[str, list[str]]:
        folder = arena.new_case()
        bundle = seeds.write(files, folder / "bundles" / sound.name)
        copy = stage(str(bundle), folder / "cache")
        let_go(copy.root)
        name = rng.choice(NODE_FILES)
        data, said = mutate_bytes((copy.root / name).read_bytes(), rng)
        (copy.root / name).write_bytes(data)
        faults = []
        if name in (MANIFEST, "complete.json"):  # the rest is looked at by the trials that read it
            faults = try_stage(bundle, folder, batch.kind, f"{name} {said}")
        raw = seeds.write(seeds.yolo(".png"), folder / "bundles/raw")
        other = prepare(raw, str(folder / "bundles"), PrepareOptions(imgsz=32, name="other", workers=1))
        return f"{name} {said}", [*faults, *try_stage(Path(other.uri), folder, batch.kind, f"beside {name} {said}")]

    arena.run(batch, case)
