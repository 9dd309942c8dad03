"""A JPEG file as it is, without what is no picture: for images that need no change and would lose by another encoding.

ITU-T T.81, annex B: a file is a row of segments, each a marker, a length and content, up to the first scan. Metadata
of cameras (EXIF, with the place and a preview in it) are segments of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

_START, _SCAN, _BASELINE = 0xD8, 0xDA, 0xC0
_TABLES = frozenset({0xC4, 0xDB, 0xDD})  # Huffman, quantisation, restart interval
_KINDS = frozenset({0xE0, 0xEE})  # JFIF, and Adobe's word on what the components mean


def plain_jpeg(data: bytes) -> bytes | None:
    """The same picture, bit for bit, without cameras' metadata, previews, profiles and comments.

    Args:
        data: An image file; if it is a JPEG with an orientation, that gets lost.

    Returns:
        None if it is no JPEG that every decoder reads alike: baseline, 8 bits, three components.
    """
    kept, end, is_plain = [data[:2]], 2, False
    for marker, start, stop in _segments(data):
        if marker == _BASELINE and stop - start >= 10:
            is_plain = data[start + 4] == 8 and data[start + 9] == 3
        if marker == _BASELINE or marker in _TABLES or marker in _KINDS:
            kept.append(data[start:stop])
        end = stop
    return b"".join([*kept, data[end:]]) if is_plain else None


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment before the first scan."""
    if data[:2] != bytes([0xFF, _START]):
        return
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        stop = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _SCAN or stop < at + 4 or stop > len(data):
            return
        yield marker, at, stop
        at = stop
