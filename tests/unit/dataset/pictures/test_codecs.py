"""Decoding: pictures or None, and not a word from the libraries."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from segsweep.dataset.pictures.codecs import decode

PICTURE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)


def _encoded(extension: str) -> bytes:
    return cv2.imencode(extension, PICTURE)[1].tobytes()


def test_a_picture_is_decoded() -> None:
    found = decode(_encoded(".png"), cv2.IMREAD_COLOR)
    assert found is not None
    assert np.array_equal(found, PICTURE)


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_a_broken_picture_is_none_or_incomplete_and_nothing_is_said(
    extension: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(_encoded(extension))
    data[len(data) // 2 : len(data) // 2 + 40] = b"\xff" * 40
    for cut in (len(data), len(data) // 2, 30, 0):
        decode(bytes(data[:cut]), cv2.IMREAD_COLOR)
    os.write(2, b"ours\n")
    assert capfd.readouterr().err == "ours\n"


def test_threads_that_decode_at_once_leave_stderr_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    data = _encoded(".png")
    with ThreadPoolExecutor(8) as pool:
        assert all(found is not None for found in pool.map(lambda _: decode(data, cv2.IMREAD_COLOR), range(400)))
    os.write(2, b"ours\n")
    assert capfd.readouterr().err == "ours\n"
