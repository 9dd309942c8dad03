from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from segsweep.dataset.picture import encode_jpeg, is_file, picture_size, read_picture
from segsweep.errors import DatasetError

# A TIFF header of one entry: orientation (0x0112), short, 1 value, 6 = turn by 90 degrees.
EXIF_TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


def turned_jpeg(path: Path) -> Path:
    """40x30 as it lies in the file, 30x40 upright."""
    done, data = cv2.imencode(".jpg", np.zeros((30, 40, 3), np.uint8))
    assert done
    segment = b"\xff\xe1" + (len(EXIF_TURNED) + 2).to_bytes(2, "big") + EXIF_TURNED
    path.write_bytes(data.tobytes()[:2] + segment + data.tobytes()[2:])
    return path


def test_the_size_is_width_and_height(tmp_path: Path, make_image: Callable[..., Path]):
    assert picture_size(make_image(tmp_path / "a.png", 40, 30)) == (40, 30)


def test_a_photograph_is_turned_upright(tmp_path: Path):
    assert picture_size(turned_jpeg(tmp_path / "a.jpg")) == (30, 40)


def test_a_photograph_annotated_as_it_lies_is_left_as_it_lies(tmp_path: Path):
    path = turned_jpeg(tmp_path / "a.jpg")
    assert read_picture(path, (40, 30)).shape == (30, 40, 3)
    assert read_picture(path, (30, 40)).shape == (40, 30, 3)


def test_another_size_than_the_annotations_state_is_refused(tmp_path: Path, make_image: Callable[..., Path]):
    with pytest.raises(DatasetError, match=r"a\.png: 40x30: the image must have the size .* 50x30"):
        read_picture(make_image(tmp_path / "a.png"), (50, 30))


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 4), (30, 40, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_grey_alpha_and_sixteen_bits_become_three_channels_of_eight(tmp_path: Path, shape: tuple[int, ...], kind: type):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full(shape, 100, kind))
    picture = read_picture(path)
    assert picture.shape == (30, 40, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.99])
def test_a_truncated_image_is_refused(tmp_path: Path, make_image: Callable[..., Path], suffix: str, kept: float):
    path = make_image(tmp_path / f"a{suffix}", 80, 60)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DatasetError, match=r"truncated"):
        read_picture(path)


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(tmp_path: Path, make_image: Callable[..., Path]):
    path = make_image(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    assert read_picture(path).shape == (30, 40, 3)


@pytest.mark.parametrize(
    ("data", "told"), [(b"", "an empty file"), (b"<html>no</html>", "15 bytes starting with b'<html>no'")]
)
def test_what_is_no_image_is_told(tmp_path: Path, data: bytes, told: str):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(DatasetError) as caught:
        read_picture(path)
    assert caught.value.problems[0].value == told


def test_an_image_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"a\.jpg: the image cannot be read: No such file or directory"):
        read_picture(tmp_path / "a.jpg")


def test_a_path_that_no_file_system_holds_is_no_file(tmp_path: Path):
    assert not is_file(tmp_path / ("x" * 5000))
    assert not is_file(tmp_path / "a\0b")


def test_the_same_picture_gives_the_same_bytes():
    picture = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    assert encode_jpeg(picture) == encode_jpeg(picture.copy())
    assert encode_jpeg(picture).endswith(b"\xff\xd9")
