"""COCO's run-length masks: column by column, runs of 0 and 1 in turn, starting with 0.

The compressed text is five bits a character with sign and continuation, from the fourth run on as the difference to
the run before the last (cocoapi, common/maskApi.c, `rleToString` and `rleFrString`). Decoded here rather than by
pycocotools, which reads beyond its buffers when the text or the size is wrong.
"""

from __future__ import annotations

import numpy as np

from segsweep.core.geometry import Mask


def decode_counts(text: str) -> list[int]:
    """Runs from compressed text.

    Raises:
        ValueError: The text ends inside a run or holds other characters.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError(f"{character!r} is no character of a compressed mask")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("it ends inside a run")
    return counts


def encode_counts(counts: list[int]) -> str:
    """Compressed text from runs."""
    text = []
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        while True:
            bits = value & 31
            value >>= 5
            more = value != -1 if bits & 16 else value != 0
            text.append(chr(bits + 32 * more + 48))
            if not more:
                break
    return "".join(text)


def decode_mask(counts: list[int], height: int, width: int) -> Mask:
    """Mask from runs, (height, width).

    Raises:
        ValueError: The runs are negative or do not fill the image exactly.
    """
    if any(count < 0 for count in counts):
        raise ValueError("a run is negative")
    if sum(counts) != height * width:
        raise ValueError(f"the runs cover {sum(counts)} pixels, the image has {height * width}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T


def encode_mask(mask: Mask) -> list[int]:
    """Runs of a mask, (height, width)."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *counts] if flat.size and flat[0] else counts
