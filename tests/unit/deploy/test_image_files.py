from __future__ import annotations

from pathlib import Path

import pytest

from segsweep.deploy.image_files import find_image_files, overlay_names
from segsweep.errors import ConfigError


@pytest.fixture
def shots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("shots/b.jpg", "shots/a.png", "shots/deep/a.jpg", "shots/notes.txt", "out/overlays/a.jpg", "x[1].jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return tmp_path


def found(*named: str) -> list[str]:
    return [str(path) for path in find_image_files(named, Path("out"))]


def test_a_folder_stands_for_the_images_below_it(shots):
    assert found("shots") == ["shots/a.png", "shots/b.jpg", "shots/deep/a.jpg"]


def test_a_pattern_stands_for_the_files_it_matches(shots):
    assert found("shots/*.jpg") == ["shots/b.jpg"]
    assert found("shots/**/*.jpg") == ["shots/b.jpg", "shots/deep/a.jpg"]


def test_a_name_that_exists_is_no_pattern(shots):
    assert found("x[1].jpg") == ["x[1].jpg"]


def test_a_file_that_is_named_twice_is_taken_once(shots):
    assert found("shots/b.jpg", "shots", "./shots/b.jpg") == ["shots/b.jpg", "shots/a.png", "shots/deep/a.jpg"]


def test_earlier_results_are_no_images_unless_they_are_named(shots):
    assert "out/overlays/a.jpg" not in found(".")
    assert found("out/overlays/a.jpg") == ["out/overlays/a.jpg"]


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (["https://example.org/cat.jpg"], "not a URL"),
        (["s3://bucket/cats"], "not a URL"),
        (["gone.jpg", "also-gone"], "gone.jpg.*\n.*also-gone"),
        (["shots/*.gif"], "must hold images"),
    ],
)
def test_what_leads_to_no_image_is_refused_and_all_of_it_told(shots, named, told):
    with pytest.raises(ConfigError, match=told):
        find_image_files(named, Path("out"))


def test_no_two_images_share_a_picture():
    images = [Path(name) for name in ("one/cat.jpg", "two/cat.png", "two/cat-2.jpg", "two/CAT.jpg")]
    assert overlay_names(images) == ("cat.jpg", "cat-2.jpg", "cat-2-2.jpg", "CAT-3.jpg")
