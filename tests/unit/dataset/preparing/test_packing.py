from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

from segsweep.dataset.preparing.batch import StoredView
from segsweep.dataset.preparing.packing import Placed, plan_shards, write_shard


def images(folder: Path) -> list[Placed]:
    """Three images with their labels, all in one batch."""
    batch, found, content = folder / "x.batch", [], b""
    for name in "abc":
        image, labels = name.encode() * 9000, b"0\n"
        hashes = hashlib.sha256(image).digest() + hashlib.sha256(labels).digest()
        view = StoredView("", str(batch), len(content), len(image), len(labels), hashes, ())
        content += image + labels
        found.append(Placed("train", name, view, f"{name}.png"))
    batch.write_bytes(content)
    return found


def test_files_come_out_of_a_shard_as_they_went_in(tmp_path: Path):
    (plan,) = plan_shards("train", images(tmp_path), 10**6)
    shard = write_shard(plan, tmp_path / plan.key)
    data = (tmp_path / plan.key).read_bytes()
    assert (shard.key, shard.size_bytes, shard.sha256) == (plan.key, len(data), hashlib.sha256(data).hexdigest())
    with tarfile.open(tmp_path / plan.key) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert list(files) == [
        f"{kind}/train/{name}" for x in "abc" for kind, name in (("images", f"{x}.jpg"), ("labels", f"{x}.txt"))
    ]
    assert files["images/train/b.jpg"] == b"b" * 9000
    entries = [entry for placed in plan.files for entry in (placed.image(plan.key), placed.labels(plan.key))]
    assert {entry.path: entry.sha256 for entry in entries} == {
        path: hashlib.sha256(content).hexdigest() for path, content in files.items()
    }


def test_a_shard_is_the_bytes_that_tarfile_writes(tmp_path: Path):
    (plan,) = plan_shards("train", images(tmp_path), 10**6)
    write_shard(plan, tmp_path / plan.key)
    expected = io.BytesIO()
    with tarfile.open(mode="w", fileobj=expected, format=tarfile.USTAR_FORMAT) as tar:
        for x in "abc":
            for path, content in ((f"images/train/{x}.jpg", x.encode() * 9000), (f"labels/train/{x}.txt", b"0\n")):
                member = tarfile.TarInfo(path)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    assert (tmp_path / plan.key).read_bytes() == expected.getvalue()
    with tarfile.open(tmp_path / plan.key) as tar:
        assert {(member.mtime, member.uid, member.gid, member.uname) for member in tar} == {(0, 0, 0, "")}


def test_a_full_tar_is_followed_by_the_next_and_an_image_stays_with_its_label(tmp_path: Path):
    plans = list(plan_shards("train", images(tmp_path), 10_000))
    assert [plan.key for plan in plans] == [f"shards/train-0000{i}.tar" for i in range(3)]
    assert [[placed.stem for placed in plan.files] for plan in plans] == [["a"], ["b"], ["c"]]


def test_a_split_without_files_has_no_shard():
    assert list(plan_shards("val", [], 10)) == []
