"""COCO's run-length masks: column by column, runs of 0 and 1 in turn, starting with 0.

The compressed text is five bits a character with sign and continuation, from the fourth run on as the difference to
the run before the last (cocoapi, common/maskApi.c, `rleToString` and `rleFrString`). Decoded here rather than by
pycocotools, which reads beyond its buffers when the text or the size is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segsweep.core.geometry import Mask
from segsweep.core.outline import Changes

_WRONG = re.compile(r"[^0-o]")
_MOST_CHARACTERS = 8  # of one run, five bits each: more than any image has pixels, and sums stay below 64 bits
_LONGEST = 1 << (5 * _MOST_CHARACTERS)


Counts = Sequence[int] | npt.NDArray[np.int64]


def decode_counts(text: str) -> list[int]:
    """Runs from compressed text.

    Raises:
        ValueError: The text ends inside a run or holds other characters.
    """
    found: list[int] = parse_counts(text).tolist()
    return found


def parse_counts(text: str) -> npt.NDArray[np.int64]:
    """As `decode_counts`, as an array."""
    if wrong := _WRONG.search(text):
        raise ValueError(f"{wrong[0]!r} is no character of a compressed mask")
    bits = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    if not bits.size:
        return bits
    last = np.flatnonzero(bits < 32)
    if not last.size or last[-1] != bits.size - 1:
        raise ValueError("it ends inside a run")
    first = np.concatenate([[0], last[:-1] + 1])
    length = last - first + 1
    if length.max() > _MOST_CHARACTERS:
        raise ValueError(f"a run of {length.max()} characters is none of a compressed mask")
    shift = 5 * (np.arange(bits.size) - np.repeat(first, length))
    values = np.add.reduceat((bits & 31) << shift, first)
    values -= np.where(bits[last] & 16, np.left_shift(1, 5 * length), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def encode_counts(counts: Sequence[int]) -> str:
    """Compressed text from runs."""
    values = np.array(counts, np.int64)
    values[3:] -= values[1:-2].copy()
    # Five bits a character until nothing but copies of the sign is left, and the sign is the last bit written.
    shifts = 5 * np.arange(_MOST_CHARACTERS + 1)
    shifted = values[:, None] >> shifts
    bits = shifted & 31
    rest = shifted >> 5
    more = np.where(bits & 16, rest != -1, rest != 0)
    written = np.concatenate([np.ones((len(values), 1), np.bool_), more[:, :-1]], axis=1)
    written = np.logical_and.accumulate(written, axis=1)
    text: bytes = (bits + 32 * more + 48)[written].astype(np.uint8).tobytes()
    return text.decode("ascii")


def decode_changes(counts: Counts, height: int, width: int) -> Changes:
    """Where the mask changes along its columns, for `trace_columns`: no pixel is ever set.

    Raises:
        ValueError: The runs are negative or do not fill the image exactly.
    """
    begin, end = _set_runs(counts, height, width)
    if not begin.size:
        return begin
    column = begin // height
    pieces = (end - 1) // height - column + 1
    if pieces.max() > 1:  # runs that go on in the next column are cut at its top
        piece = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        column = np.repeat(column, pieces) + piece
        begin, end = (np.repeat(at, pieces) for at in (begin, end))
    top = np.maximum(begin - column * height, 0)
    bottom = np.minimum(end - column * height, height)
    changes = np.empty(2 * len(top), np.int64)
    above = column * (height + 1)
    changes[0::2], changes[1::2] = top + above, bottom + above
    return changes


def decode_mask(counts: Counts, height: int, width: int) -> Mask:
    """Mask from runs, (height, width).

    Raises:
        ValueError: The runs are negative or do not fill the image exactly.
    """
    begin, end = _set_runs(counts, height, width)
    flat = np.zeros(height * width, np.bool_)
    for first, last in zip(begin.tolist(), end.tolist(), strict=True):
        flat[first:last] = True
    return flat.reshape(width, height).T


def encode_mask(mask: Mask) -> list[int]:
    """Runs of a mask, (height, width)."""
    height, width = mask.shape
    return encode_window(mask, (0, 0), height, width)


def encode_window(mask: Mask, at: tuple[int, int], height: int, width: int) -> list[int]:
    """Runs of an image in which nothing is set outside a window.

    Args:
        mask: The window, a boolean mask.
        at: The window's left column and top row in the image.
        height: Of the image, pixels.
        width: As `height`.
    """
    left, top = at
    rows = mask.shape[0]
    columns = np.zeros((mask.shape[1], rows + 2), np.bool_)
    columns[:, 1:-1] = mask.T
    column, row = np.divmod(np.flatnonzero(columns[:, 1:] != columns[:, :-1]), rows + 1)
    changes = (column + left) * height + row + top
    if rows == height:  # a run that reaches the bottom and one that begins at the next top are one run
        changes, times = np.unique(changes, return_counts=True)
        changes = changes[times == 1]
    counts: list[int] = np.diff(changes, prepend=0, append=height * width).tolist()
    return counts if counts[-1] else counts[:-1]


def _set_runs(counts: Counts, height: int, width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each run of set pixels begins and ends, counted down the columns; none is empty, no two meet."""
    if not isinstance(counts, np.ndarray):
        if any(abs(count) > _LONGEST for count in (min(counts, default=0), max(counts, default=0))):
            raise ValueError("a run is longer than any image")
        counts = np.array(counts, np.int64)
    covered = int(counts.sum())
    if covered != height * width:
        raise ValueError(f"the runs cover {covered} pixels, the image has {height * width}")
    if counts.min() < 0:
        raise ValueError("a run is negative")
    changes = np.cumsum(counts)[: len(counts) - len(counts) % 2]
    if not counts[1:].all():  # runs on both sides of an empty one are one run
        changes, times = np.unique(changes, return_counts=True)
        changes = changes[times % 2 == 1]
    return changes[0::2], changes[1::2]
