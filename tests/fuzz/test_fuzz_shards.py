"""Tars that lie about what they hold: none is unpacked, none hangs, none takes memory for what it only claims."""

from __future__ import annotations

import gzip
import hashlib
import random
from pathlib import Path

import pytest

from fuzz import cage, tars
from fuzz.arena import Arena, Batch, batches
from fuzz.mutations import mutate_bytes
from fuzz.pictures import encoded
from fuzz.tally import TALLY
from segsweep.dataset.bundles.manifest import FileEntry
from segsweep.dataset.bundles.shard import unpack_shard

DATA = encoded(".jpg")
SHARD = "shards/train-00000.tar"
SOUND = tars.tar(
    (tars.Header(size=tars.octal(len(DATA))), DATA), (tars.Header(b"labels/train/a.txt", tars.octal(0)), b"")
)


def entry(path: str, data: bytes) -> FileEntry:
    return FileEntry(path, len(data), hashlib.sha256(data).hexdigest(), SHARD, "a.jpg")


FILES = [entry("images/train/a.jpg", DATA), entry("labels/train/a.txt", b"")]


def unpack(data: bytes, arena: Arena, kind: str, said: str) -> list[str]:
    """Unpack one tar; its faults."""
    folder = arena.new_case()
    (folder / "shard.tar").write_bytes(data)
    out = folder / "deep/out"
    result = cage.run(lambda: unpack_shard(folder / "shard.tar", FILES, out, SHARD), folder)
    faults = list(result.faults)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    expected = {"shard.tar", *(f"deep/out/{file.path}" for file in FILES)}
    if there - expected:
        faults.append(f"writes {there - expected}")
    if any(path.is_symlink() for path in folder.rglob("*")):
        faults.append("makes a link")
    if result.refusal is not None and SHARD not in str(result.refusal):
        faults.append(f"is refused without a word of {SHARD}: {result.refusal}")
    if result.refusal is None and (there != expected or (out / FILES[0].path).read_bytes() != DATA):
        faults.append("is accepted, and is not what the manifest says")
    outcome = "fault" if faults else "refused" if result.refusal is not None else "unharmed"
    TALLY.add(kind, said, outcome, result.seconds)
    return faults


def test_a_sound_tar_is_unpacked(arena: Arena):
    assert unpack(SOUND, arena, "seeds", "tar") == []
    assert (arena.root / "case/deep/out/images/train/a.jpg").read_bytes() == DATA


@pytest.mark.parametrize("batch", batches("tar headers", 6), ids=str)
def test_tar_headers(batch: Batch, arena: Arena):
    def case(rng: random.Random) -> tuple[str, list[str]]:
        data, said = tars.mutate_tar(DATA, rng)
        return said, unpack(data, arena, batch.kind, said)

    arena.run(batch, case)


@pytest.mark.parametrize("batch", batches("tar bytes", 2), ids=str)
def test_tar_bytes(batch: Batch, arena: Arena):
    def case(rng: random.Random) -> tuple[str, list[str]]:
        data, said = mutate_bytes(SOUND, rng)
        return said, unpack(data, arena, batch.kind, said)

    arena.run(batch, case)


HOSTILE = {
    "claims 1 TB": tars.tar((tars.Header(size=tars.binary(10**12)), DATA)),
    "claims less than nothing": tars.tar((tars.Header(size=tars.binary(-512)), b""), (tars.Header(), DATA)),
    "a long name of 1 TB": tars.tar((tars.Header(b"././@LongLink", tars.binary(10**12), b"L"), DATA)),
    "an extended header of 8 GB": tars.tar((tars.Header(b"x", tars.octal(8**11 - 1), b"x"), DATA)),
    "3,000 long names in a row": tars.tar(*[(tars.Header(b"././@LongLink", tars.octal(4), b"L"), b"abc\0")] * 3000),
    "a gzip of 100 MB": gzip.compress(bytes(10**8)),
    "a gzip of a tar": gzip.compress(SOUND),
    "nothing but ends": bytes(10**7),
    "an absolute path": tars.tar((tars.Header(b"/tmp/out", tars.octal(1)), b"x")),
    "a path that climbs": tars.tar((tars.Header(b"images/train/../../../../out", tars.octal(1)), b"x")),
    "a link, then a file through it": tars.tar(
        (tars.Header(b"images", tars.octal(0), b"2", b"/tmp"), b""), (tars.Header(size=tars.octal(len(DATA))), DATA)
    ),
    "a hard link": tars.tar((tars.Header(size=tars.octal(0), kind=b"1", link=b"/etc/passwd"), b"")),
    "a device": tars.tar((tars.Header(size=tars.octal(0), kind=b"3"), b"")),
    "a pipe": tars.tar((tars.Header(size=tars.octal(0), kind=b"6"), b"")),
    "a folder in place of a file": tars.tar((tars.Header(size=tars.octal(0), kind=b"5"), b"")),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_tar_is_refused(what: str, arena: Arena):
    assert unpack(HOSTILE[what], arena, "tar bombs", what) == []
    assert not (arena.root / "case/deep").exists()


def test_a_sparse_tar_of_1_tb_is_refused_in_no_time(arena: Arena):
    folder = arena.new_case()
    path: Path = folder / "shard.tar"
    path.write_bytes(tars.Header(size=tars.binary(10**12)).block())
    with path.open("r+b") as file:
        file.truncate(10**12)
    result = cage.run(lambda: unpack_shard(path, FILES, folder / "out", SHARD), folder)
    TALLY.add("tar bombs", "sparse", "fault" if result.faults else "refused", result.seconds)
    assert result.faults == ()
    assert result.refusal is not None


def test_choices_are_the_same_in_every_run():
    assert tars.mutate_tar(DATA, random.Random("x")) == tars.mutate_tar(DATA, random.Random("x"))
