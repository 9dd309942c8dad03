"""What a Roboflow export's README says."""

from __future__ import annotations

import pytest

from segsweep.dataset.inspection.provenance import Provenance, read_provenance

README = """\
The dataset includes 2400 images.

The following pre-processing was applied to each image:
* Auto-orientation of pixel data (with EXIF-orientation stripping)
* Resize to 640x640 (Stretch)

The following augmentation was applied to create 3 versions of each source image:
* Random exposure adjustment of between -25 and +25 percent
- Salt and pepper noise was applied to 5 percent of pixels

"""


@pytest.mark.parametrize("text", [README, README.replace("\n", "\r\n")], ids=["unix", "windows"])
def test_versions_steps_and_images_are_read(tmp_path, text):
    (tmp_path / "README.roboflow.txt").write_bytes(text.encode())
    assert read_provenance(tmp_path) == Provenance(
        file="README.roboflow.txt",
        images=2400,
        versions=3,
        preprocessing=(
            "Auto-orientation of pixel data (with EXIF-orientation stripping)",
            "Resize to 640x640 (Stretch)",
        ),
        augmentation=(
            "Random exposure adjustment of between -25 and +25 percent",
            "Salt and pepper noise was applied to 5 percent of pixels",
        ),
    )


def test_no_augmentation_is_none(tmp_path):
    (tmp_path / "README.roboflow.txt").write_text(
        "The dataset includes 7 images.\nNo image augmentation was applied.\n"
    )
    assert read_provenance(tmp_path) == Provenance("README.roboflow.txt", 7, None, (), ())


@pytest.mark.parametrize("data", [b"", b"\xff\x00" * 50, b"create 9999999999 versions of each source image"])
def test_a_readme_that_says_nothing_is_none(tmp_path, data):
    (tmp_path / "README.roboflow.txt").write_bytes(data)
    assert read_provenance(tmp_path) is None


def test_no_readme_is_none(tmp_path):
    assert read_provenance(tmp_path) is None
