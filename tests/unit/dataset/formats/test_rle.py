from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from segsweep.core.geometry import Mask
from segsweep.dataset.formats.rle import decode_counts, decode_mask, encode_counts, encode_mask

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
    with pytest.raises(ValueError, match=told):
        decode_mask(counts, 2, 2)
