from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

from segsweep.dataset.batch import Stored
from segsweep.dataset.packing import Placed, plan_shards, write_shard


def groups(folder: Path) -> list[tuple[Placed, Placed]]:
    """Three images with their labels, all in one batch."""
    batch, found, content = folder / "x.batch", [], b""
    for name in "abc":
        pair = []
        for path, data in ((f"images/train/{name}.jpg", name.encode() * 9000), (f"labels/train/{name}.txt", b"0\n")):
            stored = Stored(str(batch), len(content), len(data), hashlib.sha256(data).hexdigest())
            content += data
            pair.append(Placed(path, stored, f"{name}.png"))
        found.append((pair[0], pair[1]))
    batch.write_bytes(content)
    return found


def test_files_come_out_of_a_shard_as_they_went_in(tmp_path: Path):
    (plan,) = plan_shards("train", groups(tmp_path), 10**6)
    shard = write_shard(plan, tmp_path / plan.key)
    data = (tmp_path / plan.key).read_bytes()
    assert (shard.key, shard.size_bytes, shard.sha256) == (plan.key, len(data), hashlib.sha256(data).hexdigest())
    with tarfile.open(tmp_path / plan.key) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert list(files) == [
        f"{kind}/train/{name}" for x in "abc" for kind, name in (("images", f"{x}.jpg"), ("labels", f"{x}.txt"))
    ]
    assert files["images/train/b.jpg"] == b"b" * 9000
    assert {entry.path: entry.sha256 for entry in plan.entries()} == {
        path: hashlib.sha256(content).hexdigest() for path, content in files.items()
    }


def test_a_shard_is_the_bytes_that_tarfile_writes(tmp_path: Path):
    (plan,) = plan_shards("train", groups(tmp_path), 10**6)
    write_shard(plan, tmp_path / plan.key)
    expected = io.BytesIO()
    with tarfile.open(mode="w", fileobj=expected, format=tarfile.USTAR_FORMAT) as tar:
        for file in plan.files:
            member = tarfile.TarInfo(file.path)
            member.size = file.stored.size_bytes
            stored = file.stored
            tar.addfile(member, io.BytesIO(Path(stored.batch).read_bytes()[stored.offset :][: stored.size_bytes]))
    assert (tmp_path / plan.key).read_bytes() == expected.getvalue()
    with tarfile.open(tmp_path / plan.key) as tar:
        assert {(member.mtime, member.uid, member.gid, member.uname) for member in tar} == {(0, 0, 0, "")}


def test_a_full_tar_is_followed_by_the_next_and_an_image_stays_with_its_label(tmp_path: Path):
    plans = list(plan_shards("train", groups(tmp_path), 10_000))
    assert [plan.key for plan in plans] == [f"shards/train-0000{i}.tar" for i in range(3)]
    assert [[file.path for file in plan.files] for plan in plans] == [
        [f"images/train/{name}.jpg", f"labels/train/{name}.txt"] for name in "abc"
    ]


def test_a_split_without_files_has_no_shard():
    assert list(plan_shards("val", [], 10)) == []
