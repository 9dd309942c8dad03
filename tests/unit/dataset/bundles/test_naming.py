from __future__ import annotations

from pathlib import Path

import pytest

from segsweep.dataset.bundles.naming import resolve_bundle
from segsweep.errors import DatasetError


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").write_text("{}")


def test_a_bundle_may_be_named_with_or_without_its_digest(tmp_path: Path):
    put(tmp_path, "pets-0123456789ab", "pets-two-0123456789ab")
    expected = str(tmp_path / "pets-0123456789ab")
    assert resolve_bundle(str(tmp_path / "pets")) == expected
    assert resolve_bundle(f"{tmp_path}/pets/") == expected
    assert resolve_bundle(expected) == expected


def test_several_of_one_name_are_listed(tmp_path: Path):
    put(tmp_path, "pets-0123456789ab", "pets-ba9876543210")
    with pytest.raises(
        DatasetError, match=r"several bundles .*: pets-0123456789ab, pets-ba9876543210.*with its digest"
    ):
        resolve_bundle(str(tmp_path / "pets"))


@pytest.mark.parametrize("name", ["cats", "pet", "pets-0123", "p.ts"])
def test_none_of_a_name_says_how_to_write_one(tmp_path: Path, name: str):
    put(tmp_path, "pets-0123456789ab")
    with pytest.raises(DatasetError, match=f"{name}: no bundle is here .write one with `segsweep prepare"):
        resolve_bundle(str(tmp_path / name))


def test_a_bundle_without_its_manifest_does_not_count(tmp_path: Path):
    put(tmp_path, "pets-0123456789ab")
    (tmp_path / "pets-ba9876543210" / "shards").mkdir(parents=True)
    assert resolve_bundle(str(tmp_path / "pets")) == str(tmp_path / "pets-0123456789ab")


def test_a_bucket_or_root_alone_is_no_bundle():
    with pytest.raises(DatasetError, match="must name a bundle"):
        resolve_bundle("/")
