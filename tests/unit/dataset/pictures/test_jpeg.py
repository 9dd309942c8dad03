from __future__ import annotations

import cv2
import numpy as np
import pytest

from segsweep.dataset.pictures.jpeg import plain_jpeg
from segsweep.dataset.pictures.picture import Picture

NOISE: Picture = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)


def jpeg(picture: Picture = NOISE, *options: int) -> bytes:
    return bytes(cv2.imencode(".jpg", picture, list(options))[1].tobytes())


def with_segments(data: bytes, *segments: tuple[int, bytes]) -> bytes:
    """Segments after the start of a JPEG."""
    extra = b"".join(
        bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content for marker, content in segments
    )
    return data[:2] + extra + data[2:]


def test_a_plain_jpeg_stays_as_it_is():
    assert plain_jpeg(jpeg()) == jpeg()


def test_metadata_stay_behind_and_the_picture_is_the_same():
    place = b"Exif\0\0II*\0\x08\0\0\0\0\0 53.5511 N 9.9937 E"
    data = with_segments(jpeg(), (0xE1, place), (0xE2, b"ICC_PROFILE\0"), (0xFE, b"a comment"), (0xED, b"Photoshop"))
    assert plain_jpeg(data) == jpeg()


def test_what_adobe_says_of_the_colours_is_kept():
    data = with_segments(jpeg(), (0xEE, b"Adobe\0\x64\0\0\0\0\1"))
    assert plain_jpeg(data) == data


@pytest.mark.parametrize(
    "data",
    [
        jpeg(NOISE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        bytes(cv2.imencode(".jpg", NOISE[:, :, 0])[1].tobytes()),
        bytes(cv2.imencode(".png", NOISE)[1].tobytes()),
        jpeg()[:100],
        with_segments(jpeg(), (0xE1, b""))[:3],
        b"\xff\xd8\xff\xe0\0\0",
        b"",
    ],
    ids=["progressive", "grey", "png", "cut in its head", "cut after a marker", "a segment of no length", "empty"],
)
def test_what_some_decoder_might_read_otherwise_is_not_plain(data: bytes):
    assert plain_jpeg(data) is None


def test_restart_intervals_survive():
    data = jpeg(NOISE, cv2.IMWRITE_JPEG_RST_INTERVAL, 1)
    kept = plain_jpeg(data)
    assert kept is not None
    assert np.array_equal(
        cv2.imdecode(np.frombuffer(kept, np.uint8), 1), cv2.imdecode(np.frombuffer(data, np.uint8), 1)
    )
