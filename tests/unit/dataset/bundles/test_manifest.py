from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from segsweep.dataset.bundles.manifest import (
    FileEntry,
    Manifest,
    ShardEntry,
    Small,
    SmallObject,
    Source,
    SplitFacts,
    content_digest,
    parse_manifest,
    read_manifest,
)
from segsweep.dataset.fidelity import Fidelity, WorstObject
from segsweep.dataset.records import SPLITS, Note
from segsweep.errors import DatasetError

FILES = tuple(
    FileEntry(f"{kind}/{split}/a.{suffix}", 3, "0" * 64, f"shards/{split}-00000.tar", "a.png")
    for kind, suffix in (("images", "jpg"), ("labels", "txt"))
    for split in SPLITS
)
PARAMETERS = {"split": [0.7, 0.15, 0.15], "seed": 0}


def hashes(files: Iterable[FileEntry]) -> list[tuple[str, str]]:
    return [(file.path, file.sha256) for file in files]


def manifest() -> Manifest:
    return Manifest(
        schema=2,
        name="pets",
        digest=content_digest(("cat",), 64, PARAMETERS, hashes(FILES)),
        classes=("cat",),
        imgsz=64,
        parameters=PARAMETERS,
        source=Source("raw/pets", "yolo"),
        splits={split: SplitFacts(1, 0, {"cat": 1}) for split in SPLITS},
        shards=tuple(ShardEntry(f"shards/{split}-00000.tar", 10240, "1" * 64) for split in sorted(SPLITS)),
        files=FILES,
        notes=(Note("duplicate rows removed", 1, ("a.txt:3",)),),
        fidelity=Fidelity(3, 0, 0.995, 0.99, (WorstObject(0.99, "a.png", 0, "cat"),)),
        small=Small(16.0, 1, (SmallObject("a.png", 0, "cat", 12.5),)),
        cleaning={"grey images made colour": 2},
    )


def problems_of(change: dict[str, Any], drop: str = "") -> list[str]:
    data = json.loads(manifest().to_bytes()) | change
    data.pop(drop, None)
    with pytest.raises(DatasetError) as caught:
        parse_manifest(json.dumps(data).encode(), "m")
    return [str(problem) for problem in caught.value.problems]


def test_a_manifest_reads_back_as_it_was():
    assert parse_manifest(manifest().to_bytes(), "m") == manifest()
    assert manifest().to_bytes() == manifest().to_bytes()


def test_the_directory_is_the_name_and_twelve_digits_of_the_digest():
    assert manifest().directory == f"pets-{manifest().digest[:12]}"


def test_the_digest_changes_with_everything_training_sees_and_with_no_order():
    base = manifest().digest
    assert content_digest(("cat",), 64, PARAMETERS, hashes(FILES[::-1])) == base
    others = [
        content_digest(("dog",), 64, PARAMETERS, hashes(FILES)),
        content_digest(("cat",), 96, PARAMETERS, hashes(FILES)),
        content_digest(("cat",), 64, PARAMETERS | {"seed": 1}, hashes(FILES)),
        content_digest(("cat",), 64, PARAMETERS, hashes(FILES[1:])),
        content_digest(("cat",), 64, PARAMETERS, [(FILES[0].path, "2" * 64), *hashes(FILES[1:])]),
    ]
    assert len({base, *others}) == 6


@pytest.mark.parametrize("field", ["name", "digest", "classes", "splits", "shards", "files", "notes", "fidelity"])
def test_a_missing_field_is_named(field: str):
    assert problems_of({}, drop=field) == [f"m: {field}: the field is missing (prepare the dataset anew)"]


def test_a_missing_split_is_an_error():
    splits = {"train": {"images": 1, "background": 0, "instances": {}}}
    assert [found.partition(":")[2].strip() for found in problems_of({"splits": splits})] == [
        "splits.val: every split must hold images (prepare the dataset anew)",
        "splits.test: every split must hold images (prepare the dataset anew)",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x.jpg",
        "images/train/../../x.jpg",
        "images/train/a/b.jpg",
        "images/train/a.jpg/../../../../x",
        "images/extra/a.jpg",
    ],
)
def test_a_path_that_leaves_the_copy_is_refused(path: str):
    files = [{"path": path, "size_bytes": 1, "sha256": "0", "shard": "shards/train-00000.tar", "source": ""}]
    assert f"m: files = {path}: a path must be images/<split>/<stem>.jpg" in problems_of({"files": files})[0]


def test_a_manifest_that_was_changed_is_told_by_its_digest():
    (found,) = problems_of({"classes": ["dog"]})
    assert found.startswith(f"m: digest = {manifest().digest}: must be that of the content, ")


@pytest.mark.parametrize("field", ["imgsz", "classes", "files", "source"])
def test_a_field_of_another_type_is_named(field: str):
    assert problems_of({field: "x"})[0].startswith(f"m: {field} = 'x': ")


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_told(data: bytes):
    with pytest.raises(DatasetError, match="m: must be JSON"):
        parse_manifest(data, "m")


@pytest.mark.parametrize("schema", [None, 0, 1, "2"])
def test_another_schema_is_told(schema: Any):
    assert problems_of({"schema": schema}) == [
        f"m: schema = {schema!r}: this version reads schema 2 (prepare the dataset anew)"
    ]


def test_a_place_without_a_manifest_is_no_bundle(tmp_path: Any):
    with pytest.raises(DatasetError, match=r"no bundle is here: it has no manifest\.json"):
        read_manifest(str(tmp_path / "pets-000000000000"))
