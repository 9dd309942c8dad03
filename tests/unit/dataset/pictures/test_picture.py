from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from segsweep.dataset.pictures import picture as pictures
from segsweep.dataset.pictures.picture import Picture, encode_jpeg, is_file, picture_size, read_picture, read_upright
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


def smooth(width: int, height: int) -> Picture:
    small = np.random.default_rng(0).integers(30, 220, (3, 4, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def as_pillow_sees_it(path: Path) -> Picture:
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[..., ::-1]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright_and_told(tmp_path: Path, kind: str, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{kind.lower()}"
    Image.fromarray(smooth(40, 30)[..., ::-1].copy()).save(path, kind, exif=exif)
    decoded = read_upright(path)
    assert np.abs(decoded.picture.astype(int) - as_pillow_sees_it(path)).mean() < 1
    assert decoded.size == picture_size(path) == ((30, 40) if orientation >= 5 else (40, 30))
    assert decoded.rules == ((pictures.TURNED,) if orientation > 1 else ())


@pytest.mark.parametrize(
    ("mode", "kind", "rules"),
    [
        ("L", "JPEG", (pictures.FROM_GREY,)),
        ("L", "PNG", (pictures.FROM_GREY,)),
        ("CMYK", "JPEG", (pictures.FROM_CMYK,)),
        ("CMYK", "TIFF", (pictures.FROM_CMYK,)),
        ("P", "PNG", (pictures.FROM_PALETTE,)),
        ("P", "GIF", (pictures.FROM_PALETTE,)),
        ("RGBA", "PNG", (pictures.NO_ALPHA,)),
        ("LA", "PNG", (pictures.FROM_GREY, pictures.NO_ALPHA)),
        ("RGB", "JPEG", ()),
    ],
)
def test_every_colour_mode_becomes_colour_and_is_told(tmp_path: Path, mode: str, kind: str, rules: tuple[str, ...]):
    path = tmp_path / "a.jpg"  # whatever it is called
    Image.fromarray(smooth(40, 30)[..., ::-1].copy()).convert(mode).save(path, kind)
    decoded = read_upright(path)
    assert decoded.rules == rules
    assert np.abs(decoded.picture.astype(int) - as_pillow_sees_it(path)).mean() < 1.5


def test_a_cmyk_jpeg_without_the_mark_of_its_maker_is_no_negative(tmp_path: Path):
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(40, 30)[..., ::-1].copy()).convert("CMYK").save(path, quality=95)
    data = path.read_bytes()
    start = data.index(b"\xff\xee")
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    path.write_bytes(data[:start] + data[start + 2 + length :])
    assert np.abs(read_picture(path).astype(int) - smooth(40, 30)).mean() < 3


def test_transparency_is_dropped_and_what_lies_under_it_kept(tmp_path: Path):
    picture = np.dstack([smooth(40, 30), np.zeros((30, 40), np.uint8)])
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    assert np.array_equal(read_picture(tmp_path / "a.png"), smooth(40, 30))


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_divided_by_257_so_that_white_stays_white(tmp_path: Path, suffix: str, channels: int):
    deep = np.random.default_rng(0).integers(0, 65536, (30, 40, channels), dtype=np.uint16)
    deep[0, 0] = 65535
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), deep)
    decoded = read_upright(path)
    expected = np.round(np.broadcast_to(deep[..., :3], (30, 40, 3)) / 257)
    assert np.array_equal(decoded.picture, expected)
    assert pictures.FROM_16_BIT in decoded.rules
    assert decoded.picture[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        (None, (800, 600)),
        ((401, 100), (800, 600)),
        ((400, 300), (400, 300)),
        ((300, 301), (800, 600)),
        ((200, 150), (200, 150)),
        ((100, 75), (100, 75)),
        ((1, 1), (100, 75)),
    ],
)
def test_a_jpeg_is_decoded_as_small_as_it_may_be(
    tmp_path: Path, least: tuple[int, int] | None, expected: tuple[int, int]
):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), smooth(800, 600))
    decoded = read_upright(path, (800, 600), least)
    assert decoded.picture.shape == (expected[1], expected[0], 3)
    assert decoded.size == (800, 600)
    shrunk = cv2.resize(smooth(800, 600), expected, interpolation=cv2.INTER_AREA)
    assert np.abs(decoded.picture.astype(int) - shrunk).mean() < 1.5


@pytest.mark.parametrize("least", [(15, 20), (8, 10)])
def test_a_turned_jpeg_is_measured_as_it_will_stand(tmp_path: Path, least: tuple[int, int]):
    path = turned_jpeg(tmp_path / "a.jpg")  # 30x40 upright
    picture = read_picture(path, least=least)
    assert picture.shape[1] >= least[0]
    assert picture.shape[0] >= least[1]
    assert picture.shape[:2] in [(20, 15), (10, 8)]
    assert read_upright(path, (40, 30), (20, 15)).picture.shape == (15, 20, 3)
    assert read_upright(path, (40, 30), (20, 15)).rules == ()


def test_odd_sides_are_rounded_up_and_never_below_what_is_needed(tmp_path: Path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), smooth(81, 63))
    assert read_picture(path, least=(41, 32)).shape == (32, 41, 3)
    assert read_picture(path, least=(42, 32)).shape == (63, 81, 3)


def test_other_formats_are_decoded_whole(tmp_path: Path, make_image: Callable[..., Path]):
    assert read_picture(make_image(tmp_path / "a.png", 80, 60), least=(10, 10)).shape == (60, 80, 3)


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((30, 40, 3), np.uint8))
    data = bytearray(path.read_bytes())
    data[16:24] = (50_000).to_bytes(4, "big") * 2
    path.write_bytes(data)
    for read in (read_picture, picture_size):
        with pytest.raises(DatasetError, match=r"50000x50000: an image must have at most 256 x 2\^20 pixels"):
            read(path)


def test_a_file_of_gigabytes_is_refused_before_it_fills_the_memory(
    tmp_path: Path, make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pictures, "MAX_BYTES", 1000)
    with pytest.raises(DatasetError, match=r"a\.png: the image cannot be read: it has \d+ bytes, it may have 1000"):
        read_picture(make_image(tmp_path / "a.png"))


def test_the_size_is_told_without_decoding(tmp_path: Path, make_image: Callable[..., Path]):
    path = make_image(tmp_path / "a.jpg", 80, 60)
    path.write_bytes(path.read_bytes()[:-200])
    assert picture_size(path) == (80, 60)
    with pytest.raises(DatasetError, match="truncated"):
        read_picture(path)


@pytest.mark.parametrize("suffix", [".webp", ".tiff", ".bmp"])
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.99])
def test_other_formats_that_end_early_are_refused(tmp_path: Path, suffix: str, kept: float):
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(DatasetError, match=r"truncated|is not an image that can be decoded"):
        read_picture(path)


def test_bytes_after_the_end_of_a_png_do_no_harm(tmp_path: Path, make_image: Callable[..., Path]):
    path = make_image(tmp_path / "a.png")
    path.write_bytes(path.read_bytes() + bytes(1000))
    assert read_picture(path).shape == (30, 40, 3)


def test_an_image_without_a_header_of_ours_is_decoded_all_the_same(tmp_path: Path):
    path = tmp_path / "a.jpg"
    done, data = cv2.imencode(".jp2", smooth(200, 150))
    assert done
    path.write_bytes(data.tobytes())
    assert picture_size(path) == (200, 150)
    with pytest.raises(DatasetError, match="must have the size its annotations state, 50x30"):
        read_picture(path, (50, 30))
