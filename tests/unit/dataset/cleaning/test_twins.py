from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from segsweep.dataset.cleaning.twins import find_twins
from segsweep.dataset.pictures.duplicates import bits_apart, perceptual_hash
from segsweep.dataset.pictures.picture import Picture, read_picture
from segsweep.dataset.records import ImageRecord


def scene(seed: int) -> Picture:
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (320, 240), interpolation=cv2.INTER_CUBIC))


def write(folder: Path, name: str, picture: Picture, quality: int = 95) -> ImageRecord:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return ImageRecord(path, name, name, (), name.partition("/")[0])


def hashes(images: list[ImageRecord]) -> dict[str, int]:
    return {record.name: perceptual_hash(read_picture(record.path)) for record in images}


@pytest.mark.parametrize("with_hashes", [True, False])
def test_equal_files_stay_in_the_split_that_is_judged(tmp_path: Path, with_hashes: bool):
    names = ["train/a.jpg", "val/b.jpg", "test/c.jpg", "train/d.jpg", "val/e.jpg"]
    images = [write(tmp_path, name, scene(seed)) for name, seed in zip(names, (0, 0, 0, 1, 1), strict=True)]
    found = dict(find_twins(images, hashes(images) if with_hashes else {}))
    assert found == {
        "train/a.jpg": "the same picture as test/c.jpg in test",
        "val/b.jpg": "the same picture as test/c.jpg in test",
        "train/d.jpg": "the same picture as val/e.jpg in val",
    }


@pytest.mark.parametrize("saved_anew", ["another quality", "another size", "another format"])
def test_a_picture_saved_anew_is_found_by_its_hash(tmp_path: Path, saved_anew: str):
    picture = scene(2)
    other = cv2.resize(picture, (480, 360)) if saved_anew == "another size" else picture
    name = "test/b.png" if saved_anew == "another format" else "test/b.jpg"
    images = [write(tmp_path, "train/a.jpg", picture), write(tmp_path, name, np.asarray(other), 70)]
    assert [copy for copy, _ in find_twins(images, hashes(images))] == ["train/a.jpg"]
    assert list(find_twins(images, {})) == []


def test_the_next_frame_of_a_film_is_no_copy(tmp_path: Path):
    first, second = scene(3), scene(3)
    second[100:112, 100:112] = 255 - second[100:112, 100:112]
    assert bits_apart(perceptual_hash(first), perceptual_hash(second)) <= 2
    images = [write(tmp_path, "train/a.jpg", first), write(tmp_path, "test/b.jpg", second)]
    assert list(find_twins(images, hashes(images))) == []


def test_copies_in_one_split_are_left_alone(tmp_path: Path):
    images = [write(tmp_path, "train/a.jpg", scene(4)), write(tmp_path, "train/b.jpg", scene(4))]
    assert list(find_twins(images, hashes(images))) == []


def test_a_file_that_is_gone_or_broken_is_left_to_those_who_tell_it(tmp_path: Path):
    images = [write(tmp_path, "train/a.jpg", scene(5)), write(tmp_path, "test/b.jpg", scene(5))]
    known = hashes(images)
    images[0].path.unlink()
    assert list(find_twins(images, known)) == []
    images[0].path.write_bytes(b"no image")
    assert list(find_twins(images, known)) == []
