from __future__ import annotations

import errno
import json
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from segsweep.dataset.bundles.manifest import read_manifest
from segsweep.dataset.preparing.bundle import PrepareOptions, prepare
from segsweep.errors import ConfigError, DatasetError, NoSpaceError
from segsweep.storage.local import LocalStore

MAKE = Callable[..., Path]
ROW = "0 0.1 0.1 0.1 0.9 0.9 0.9\n"
SMALL = PrepareOptions(imgsz=32)


def problems_of(source: Path, to: Path, options: PrepareOptions = SMALL) -> list[str]:
    with pytest.raises(DatasetError) as caught:
        prepare(source, str(to), options)
    assert not to.exists()
    return [str(problem) for problem in caught.value.problems]


def members(bundle: str) -> dict[str, bytes]:
    found = {}
    for path in sorted(Path(bundle, "shards").iterdir()):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


def test_a_bundle_holds_resized_images_and_labels_of_every_split(small_yolo: Path, tmp_path: Path):
    bundle = prepare(small_yolo, str(tmp_path / "bundles"), SMALL)
    files = members(bundle.uri)
    assert sorted(path for path in files if path.startswith("images/val")) == [
        f"images/val/val{i}.jpg" for i in range(3)
    ]
    picture = cv2.imdecode(np.frombuffer(files["images/train/train0.jpg"], np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (24, 32, 3)
    assert files["labels/train/train0.txt"].decode() == (
        "0 0.10000000 0.10000000 0.10000000 0.90000000 0.90000000 0.90000000\n"
        "1 0.50000000 0.10000000 0.90000000 0.10000000 0.90000000 0.50000000\n"
    )


def test_the_manifest_tells_counts_hashes_and_parameters(small_yolo: Path, tmp_path: Path):
    bundle = prepare(small_yolo, str(tmp_path / "bundles"), SMALL)
    manifest = read_manifest(bundle.uri)
    assert manifest == bundle.manifest
    assert bundle.uri == str(tmp_path / "bundles" / manifest.directory)
    assert manifest.name == "raw"
    assert manifest.classes == ("cat", "dog")
    assert {split: facts.images for split, facts in manifest.splits.items()} == {"train": 6, "val": 3, "test": 3}
    assert manifest.splits["train"].instances == {"cat": 6, "dog": 6}
    assert manifest.parameters == {
        "resize": "longest",
        "jpeg_quality": 95,
        "plain_jpegs": "kept as they are where the size fits, without metadata",
        "split": "given",
        "seed": None,
    }
    assert manifest.source.format == "yolo"
    assert {file.path: file.size_bytes for file in manifest.files} == {
        path: len(data) for path, data in members(bundle.uri).items()
    }
    assert manifest.files[0].source == "images/test/test0.jpg"


def test_the_same_input_gives_the_same_digest_from_another_place(small_yolo: Path, tmp_path: Path):
    first = prepare(small_yolo, str(tmp_path / "a"), SMALL)
    moved = small_yolo.rename(tmp_path / "moved")
    second = prepare(moved, str(tmp_path / "b"), SMALL)
    assert first.manifest.digest == second.manifest.digest
    assert second.manifest.name == "moved"


@pytest.mark.parametrize(
    "options", [PrepareOptions(imgsz=40), PrepareOptions(imgsz=32, ratios=(6, 3, 3)), PrepareOptions(imgsz=32, seed=1)]
)
def test_other_parameters_give_another_digest_unless_they_change_nothing(
    small_yolo: Path, tmp_path: Path, options: PrepareOptions
):
    first, second = (prepare(small_yolo, str(tmp_path / "a"), one).manifest.digest for one in (SMALL, options))
    only_seed = options == PrepareOptions(imgsz=32, seed=1)
    assert (first == second) is only_seed


def test_a_bundle_that_is_there_is_not_written_again(small_yolo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = prepare(small_yolo, str(tmp_path / "a"), SMALL)

    def refuse(*_: object) -> None:
        raise AssertionError("written again")

    monkeypatch.setattr(LocalStore, "upload", refuse)
    monkeypatch.setattr(LocalStore, "write", refuse)
    second = prepare(small_yolo, str(tmp_path / "a"), SMALL)
    assert (first.is_new, second.is_new) == (True, False)


def test_a_bundle_whose_manifest_is_damaged_is_written_again(small_yolo: Path, tmp_path: Path):
    first = prepare(small_yolo, str(tmp_path / "a"), SMALL)
    Path(first.uri, "manifest.json").write_text("{")
    assert prepare(small_yolo, str(tmp_path / "a"), SMALL).is_new
    assert read_manifest(first.uri) == first.manifest


def test_without_its_manifest_there_is_no_bundle_and_the_next_prepare_completes_it(
    small_yolo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "write", die)
        with pytest.raises(Killed):
            prepare(small_yolo, str(tmp_path / "a"), SMALL)
    (left,) = (tmp_path / "a").iterdir()
    with pytest.raises(DatasetError, match="no bundle is here"):
        read_manifest(str(left))
    bundle = prepare(small_yolo, str(tmp_path / "a"), SMALL)
    assert (bundle.uri, bundle.is_new) == (str(left), True)


def test_a_full_disk_is_told_and_leaves_nothing(small_yolo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("segsweep.dataset.preparing.converting.store", fail)
    with pytest.raises(NoSpaceError, match="no room to write"):
        prepare(small_yolo, str(tmp_path / "a"), SMALL)
    assert not (tmp_path / "a").exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_shards_are_cut_at_their_size(small_yolo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("segsweep.dataset.preparing.bundle._MEGABYTE", 1)
    bundle = prepare(small_yolo, str(tmp_path / "a"), SMALL)
    assert [shard.key for shard in bundle.manifest.shards][:4] == [
        "shards/test-00000.tar",
        "shards/test-00001.tar",
        "shards/test-00002.tar",
        "shards/train-00000.tar",
    ]


def test_progress_counts_every_image(small_yolo: Path, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    prepare(small_yolo, str(tmp_path / "a"), SMALL, lambda done, total: seen.append((done, total)))
    assert seen == [(12, 12)]


def test_given_splits_are_dealt_anew_when_one_is_missing_and_the_manifest_says_so(make_yolo: MAKE, tmp_path: Path):
    source = make_yolo({f"train/{i}": ROW for i in range(20)}, "train: images/train\nval: gone\nnames: [cat]")
    manifest = prepare(source, str(tmp_path / "a"), SMALL).manifest
    assert {split: facts.images for split, facts in manifest.splits.items()} == {"train": 14, "val": 3, "test": 3}
    assert [note.rule for note in manifest.notes] == [
        "data.yaml names a folder that is not there",
        "the dataset comes without val, test: all images split anew, 0.7,0.15,0.15",
    ]


def test_the_same_scene_in_two_given_splits_is_noted(make_yolo: MAKE, tmp_path: Path):
    names = ["train/a_jpg.rf.1", "val/a_jpg.rf.2", "test/b_jpg.rf.3"]
    source = make_yolo(
        dict.fromkeys(names, ROW), "train: images/train\nval: images/val\ntest: images/test\nnames: [cat]"
    )
    (note,) = prepare(source, str(tmp_path / "a"), SMALL).manifest.notes
    assert note.rule.startswith("the same scene lies in several of the given splits")
    assert note.examples == ("a",)


def test_every_fault_of_labels_classes_and_images_is_told_at_once(make_yolo: MAKE, tmp_path: Path):
    source = make_yolo({"train/a": "0 0.5 0.5 0.1 0.1\n", "val/b": ROW, "test/c": ROW})
    broken, gone = source / "images/val/b.jpg", source / "images/test/c.jpg"
    broken.write_bytes(broken.read_bytes()[:500])
    gone.write_text("no image")
    assert [found.partition(": ")[0] for found in problems_of(source, tmp_path / "a")] == [
        "labels/train/a.txt:1",
        "classes",
        str(gone),
        str(broken),
    ]


def test_every_unreadable_image_of_a_dataset_with_right_labels_is_told(small_yolo: Path, tmp_path: Path):
    for name in ("train/train1", "val/val2"):
        (small_yolo / f"images/{name}.jpg").write_text("no image")
    found = problems_of(small_yolo, tmp_path / "a")
    assert [problem.partition(": ")[0][-10:] for problem in found] == ["train1.jpg", "l/val2.jpg"]


def test_an_empty_class_is_told_with_what_to_do(make_yolo: MAKE, tmp_path: Path):
    source = make_yolo({f"train/{i}": ROW for i in range(5)})
    assert problems_of(source, tmp_path / "a") == [
        "classes: dog: the class is empty: no image shows an instance of it "
        "(annotate it, or remove it from the list of classes)"
    ]


def test_a_class_that_no_training_image_shows_is_told(make_yolo: MAKE, tmp_path: Path):
    source = make_yolo({"train/a": ROW, "val/b": "1" + ROW[1:], "test/c": ROW})
    (found,) = problems_of(source, tmp_path / "a")
    assert found.startswith("classes: dog: no training image shows an instance of the class")


def test_an_image_that_becomes_too_narrow_is_told(make_yolo: MAKE, make_image: MAKE, tmp_path: Path):
    source = make_yolo(dict.fromkeys(["train/a", "val/b", "test/c"], ROW + "1" + ROW[1:]))
    make_image(source / "images/train/a.jpg", 400, 20)
    (found,) = problems_of(source, tmp_path / "a")
    assert found.endswith(
        "a.jpg: 32x2 after resizing: the shorter side must keep 10 pixels, or training drops the image"
    )


def test_crowds_are_left_out_of_labels_and_noted(make_coco: MAKE, tmp_path: Path):
    polygon = [[4, 4, 12, 4, 12, 12]]
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} for i in range(6)]
    annotations = [{"image_id": i, "category_id": 1, "segmentation": polygon} for i in range(6)]
    annotations.append({"image_id": 0, "category_id": 1, "iscrowd": 1, "segmentation": [[20, 4, 30, 4, 30, 12]]})
    source = make_coco(annotations, images, [{"id": 1, "name": "cat"}])
    manifest = prepare(source, str(tmp_path / "a"), SMALL).manifest
    assert sum(facts.instances["cat"] for facts in manifest.splits.values()) == 6
    assert [(note.rule, note.examples) for note in manifest.notes] == [
        ("crowd regions left out: a label holds single objects", ("images/0.jpg",))
    ]


def test_all_wrong_options_are_told_at_once(small_yolo: Path, tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        prepare(small_yolo, str(tmp_path), PrepareOptions(imgsz=8, ratios=(1, 0, 1), name="a/b", shard_mb=0))
    assert [problem.where for problem in caught.value.problems] == ["--imgsz", "--split", "--name", "shard_mb"]


def test_names_with_spaces_quotes_and_other_scripts_become_safe_and_stay_in_the_manifest(
    make_yolo: MAKE, tmp_path: Path
):
    names = ["train/a b", "val/it's 猫", 'test/"q"', "train/" + "x" * 240]
    source = make_yolo(
        dict.fromkeys(names, ROW), "train: images/train\nval: images/val\ntest: images/test\nnames: [cat]"
    )
    manifest = prepare(source, str(tmp_path / "a"), SMALL).manifest
    assert all(file.path.isascii() and " " not in file.path for file in manifest.files)
    assert {file.source for file in manifest.files} == {f"images/{name}.jpg" for name in names}


def test_a_manifest_holds_no_date_and_no_path_of_this_machine_but_the_source(small_yolo: Path, tmp_path: Path):
    bundle = prepare(small_yolo, str(tmp_path / "a"), SMALL)
    data = json.loads(Path(bundle.uri, "manifest.json").read_text())
    assert data.pop("source")["uri"] == str(small_yolo)
    assert str(tmp_path) not in json.dumps(data)


@pytest.mark.data
@pytest.mark.slow(reason="prepares 201 photographs twice")
@pytest.mark.timeout(60)
def test_the_real_photographs_give_the_same_digest_twice_and_no_scene_lies_in_two_splits(
    feralcat: Path, tmp_path: Path
):
    first, second = (prepare(feralcat, str(tmp_path / name), PrepareOptions(imgsz=256)).manifest for name in ("a", "b"))
    assert first.digest == second.digest
    assert {split: facts.images for split, facts in first.splits.items()} == {"train": 141, "val": 30, "test": 30}
    assert sum(facts.instances["cat"] for facts in first.splits.values()) == 712
    groups: dict[str, set[str]] = {}
    for file in first.files:
        groups.setdefault(Path(file.source).name.partition("_")[0], set()).add(file.path.split("/")[1])
    assert all(len(splits) == 1 for splits in groups.values())
