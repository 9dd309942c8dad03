from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from segsweep.core.geometry import Mask, fill
from segsweep.core.outline import trace_columns
from segsweep.dataset.formats.rle import (
    decode_changes,
    decode_counts,
    decode_mask,
    encode_counts,
    encode_mask,
    encode_window,
)

masks = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(lambda shape: arrays(np.bool_, shape))


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(masks)
def test_text_and_runs_are_those_of_pycocotools(mask: Mask):
    theirs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    counts = encode_mask(mask)
    assert encode_counts(counts) == theirs
    assert decode_counts(theirs) == counts
    assert np.array_equal(decode_mask(counts, *mask.shape), mask)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(masks)
def test_runs_are_outlined_without_a_mask(mask: Mask):
    height, width = mask.shape
    parts = trace_columns(decode_changes(encode_mask(mask), height, width), height)
    assert np.array_equal(fill(parts, height, width), mask)


@pytest.mark.slow(reason="many examples")
@pytest.mark.timeout(20)
@settings(deadline=None)
@given(masks, st.tuples(*[st.integers(0, 3)] * 4))
def test_a_window_has_the_runs_of_the_image_around_it(mask: Mask, around: tuple[int, int, int, int]):
    left, top, right, bottom = around
    image = np.pad(mask, ((top, bottom), (left, right)))
    assert encode_window(mask, (left, top), *image.shape) == encode_mask(image)


@pytest.mark.parametrize("counts", [[1, 2, 0, 3, 2], [1, 5, 2], [1, 0, 0, 5, 2], [1, 2, 0, 0, 0, 3, 2]])
def test_runs_with_nothing_between_them_are_one(counts: list[int]):
    assert np.array_equal(decode_changes(counts, 4, 2), decode_changes([1, 5, 2], 4, 2))
    assert np.array_equal(decode_mask(counts, 4, 2), decode_mask([1, 5, 2], 4, 2))


def test_runs_go_down_the_columns_and_start_with_what_is_not_set():
    assert encode_mask(np.array([[True, False], [True, False]])) == [0, 2, 2]
    assert encode_mask(np.array([[False, True], [False, True]])) == [2, 2]


def test_long_runs_survive():
    counts = [0, 10_000_000, 3, 9_999_999, 70_000]
    assert decode_counts(encode_counts(counts)) == counts


@pytest.mark.parametrize("text", ["\x00", "0o", "é", "o" * 100])
def test_text_that_is_no_mask_is_refused(text: str):
    with pytest.raises(ValueError, match=r"is no character|ends inside a run"):
        decode_counts(text)


@pytest.mark.parametrize(
    ("counts", "told"),
    [([3], "cover 3 pixels, the image has 4"), ([2, 3], "cover 5 pixels"), ([5, -1], "negative"), ([], "cover 0")],
)
def test_runs_that_do_not_fill_the_image_are_refused(counts: list[int], told: str):
    for decode in (decode_mask, decode_changes):
        with pytest.raises(ValueError, match=told):
            decode(counts, 2, 2)


@pytest.mark.parametrize("counts", [[2**64, 4 - 2**64], [-(2**63), 4, 2**63], [2**62, 2**62, 2**62, 2**62 + 4]])
def test_runs_beyond_64_bits_do_not_wrap_around(counts: list[int]):
    with pytest.raises(ValueError, match="longer than any image"):
        decode_changes(counts, 2, 2)


def test_text_of_runs_beyond_any_image_is_refused():
    with pytest.raises(ValueError, match="characters"):
        decode_counts("o" * 8 + "0")
