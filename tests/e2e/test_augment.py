"""`segsweep prepare --augment`: copies of train and of nothing else, or nothing at all."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from segsweep.dataset.records import SPLITS
from shell import Shell

pytestmark = [pytest.mark.slow(reason="whole commands")]

IMAGES, COPIES = 24, 2
AUGMENT: dict[str, Any] = {
    "offline": {
        "copies": COPIES,
        "transforms": [{"HorizontalFlip": {"p": 0.5}}, {"Rotate": {"limit": 15, "p": 1.0}}],
    },
    "online": [{"GaussNoise": {"p": 0.2}}],
}


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with a small rendered dataset, and the file that says how it is augmented."""
    shell = Shell(tmp_path_factory.mktemp("user"))
    shell.run("sample", "raw", "--format", "yolo", "--images", IMAGES, "--imgsz", 64)
    (shell.cwd / "augment.yaml").write_text(yaml.safe_dump(AUGMENT))
    return shell


def prepared(shell: Shell, to: str, *options: object) -> Path:
    uri: str = shell.facts("prepare", "raw", "--to", to, "--name", "demo", "--imgsz", 64, *options)["uri"]
    return Path(uri)


@pytest.fixture(scope="module")
def plain(user: Shell) -> Path:
    return prepared(user, "plain")


@pytest.fixture(scope="module")
def augmented(user: Shell) -> Path:
    return prepared(user, "augmented", "--augment", "augment.yaml")


def manifest_of(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / "manifest.json").read_bytes())
    return found


def hashes_of(bundle: Path, split: str) -> dict[str, str]:
    """Path -> sha256 of a split's images and labels, as the manifest has them."""
    return {file["path"]: file["sha256"] for file in manifest_of(bundle)["files"] if f"/{split}/" in file["path"]}


def test_train_has_its_images_as_they_were_and_as_many_copies_of_each_as_were_asked_for(plain: Path, augmented: Path):
    before, after = hashes_of(plain, "train"), hashes_of(augmented, "train")
    assert before
    assert before.items() <= after.items()
    expected = {
        f"{folder}/train/{Path(path).stem}-copy{number}.{ending}"
        for path in before
        for folder, ending in (("images", "jpg"), ("labels", "txt"))
        for number in range(1, COPIES + 1)
    }
    assert after.keys() - before.keys() == expected
    pictures = [digest for path, digest in after.items() if path.startswith("images/")]
    assert len(set(pictures)) == len(pictures) == (1 + COPIES) * len(before) / 2


@pytest.mark.parametrize("split", ["val", "test"])
def test_val_and_test_are_the_same_bytes(plain: Path, augmented: Path, split: str):
    assert hashes_of(plain, split)
    assert hashes_of(plain, split) == hashes_of(augmented, split)
    first, second = (
        {Path(shard["key"]).name: shard["sha256"] for shard in manifest_of(bundle)["shards"] if split in shard["key"]}
        for bundle in (plain, augmented)
    )
    assert first
    assert first == second


def test_the_shards_hold_what_the_manifest_says(augmented: Path):
    found = {}
    for shard in sorted((augmented / "shards").iterdir()):
        with tarfile.open(shard) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[member.name] = hashlib.sha256(file.read()).hexdigest()
    assert found == {path: digest for split in SPLITS for path, digest in hashes_of(augmented, split).items()}


def test_the_manifest_counts_copies_and_says_what_made_them(plain: Path, augmented: Path):
    before, after = manifest_of(plain), manifest_of(augmented)
    images = before["splits"]["train"]["images"]
    assert sum(facts["images"] for facts in before["splits"].values()) == IMAGES
    assert {split: facts["copies"] for split, facts in before["splits"].items()} == dict.fromkeys(SPLITS, 0)
    assert {split: facts["copies"] for split, facts in after["splits"].items()} == {
        "train": COPIES * images,
        "val": 0,
        "test": 0,
    }
    assert after["splits"]["train"]["images"] == (1 + COPIES) * images
    assert [after["splits"][split] for split in ("val", "test")] == [before["splits"][s] for s in ("val", "test")]
    assert after["parameters"]["augment"] == AUGMENT["offline"]
    assert "augment" not in before["parameters"]
    assert before["digest"] != after["digest"]
    assert before["fidelity"] == after["fidelity"]  # measured on the images, not on copies
    assert "original, then copies 1 to 2" in (augmented / "index.html").read_text()


def test_the_same_file_and_seed_make_the_same_bundle_with_any_number_of_workers(user: Shell, augmented: Path):
    facts = user.facts(
        "prepare", "raw", "--to", "augmented", "--name", "demo", "--imgsz", 64, "--augment", "augment.yaml",
        "--workers", 1,
    )  # fmt: skip
    assert (Path(facts["uri"]), facts["is_new"]) == (augmented, False)


def test_another_seed_makes_other_copies(user: Shell, augmented: Path):
    given = ["--augment", "augment.yaml", "--split", "0.7,0.15,0.15"]
    found = (hashes_of(prepared(user, "seeds", *given, "--seed", seed), "train") for seed in (0, 1))
    copies = [{digest for path, digest in one.items() if "-copy" in path and path.endswith(".jpg")} for one in found]
    assert copies[0]
    assert not copies[0] & copies[1]


def test_a_file_of_online_transforms_alone_changes_no_bundle(user: Shell, plain: Path):
    (user.cwd / "online.yaml").write_text(yaml.safe_dump({"online": AUGMENT["online"]}))
    assert prepared(user, "plain", "--augment", "online.yaml") == plain


@pytest.mark.parametrize(
    ("transform", "says"),
    [
        ({"HorizontalFlop": {"p": 0.5}}, "HorizontalFlop: albumentations .* has no such transform"),
        ({"Rotate": {"limit": "far"}}, "Rotate.limit = 'far'"),
        ({"Rotate": {"angle": 15}}, "Rotate.angle"),
        ({"Normalize": {}}, "Normalize: is not offered"),
    ],
    ids=["no transform", "no value", "no parameter", "not offered"],
)
def test_a_transform_that_is_wrong_is_told_by_its_name_and_nothing_is_written(
    user: Shell, transform: dict[str, Any], says: str
):
    offline = {"copies": 1, "transforms": [*AUGMENT["offline"]["transforms"], transform]}
    (user.cwd / "wrong.yaml").write_text(yaml.safe_dump({"offline": offline}))
    before = sorted(user.cwd.rglob("*"))
    scratch = user.cwd.parent / f"scratch-{user.cwd.name}"
    scratch.mkdir(exist_ok=True)
    done = user.with_env(TMPDIR=str(scratch)).run(
        "prepare", "raw", "--to", "never", "--augment", "wrong.yaml", "--imgsz", 64, code=2
    )
    assert done.stdout == ""
    assert re.search(rf"wrong\.yaml: offline\.transforms\[2\]\.{says}", done.stderr)
    assert sorted(user.cwd.rglob("*")) == before
    assert not list(scratch.rglob("segsweep*"))  # nothing was begun


def test_a_transform_that_fits_no_image_is_told_of_each_and_no_bundle_is_written(user: Shell, plain: Path):
    offline = {"copies": 1, "transforms": [{"RandomCrop": {"height": 100, "width": 100}}]}
    (user.cwd / "crop.yaml").write_text(yaml.safe_dump({"offline": offline}))
    done = user.run("prepare", "raw", "--to", "never", "--augment", "crop.yaml", "--imgsz", 64, code=3)
    told = re.findall(r"(\S+): the transforms cannot be applied to", done.stderr)
    assert sorted(told) == sorted(
        {file["source"] for file in manifest_of(plain)["files"] if file["path"].startswith("images/train/")}
    )
    assert not (user.cwd / "never").exists()
