"""Pictures small enough to decode in microseconds, and mutations of what their headers claim."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np

_PNG = b"\x89PNG\r\n\x1a\n"
_SIDES = (0, 1, 9, 40, 65535, 100_000, 2**31 - 1, 2**32 - 1)

Chunk = tuple[bytes, bytes]  # type and content


def encoded(suffix: str, width: int = 40, height: int = 30, seed: int = 0) -> bytes:
    """An image file of noise."""
    picture = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    done, data = cv2.imencode(suffix, picture)
    assert done
    return bytes(data.tobytes())


def png(chunks: list[Chunk]) -> bytes:
    """A PNG of these chunks, each with its right length and checksum."""
    return _PNG + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def png_claiming(width: int, height: int, rows: bytes = b"", colour: int = 2) -> bytes:
    """A PNG whose header claims a size, whatever it holds."""
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return png([(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")])


def jpeg_claiming(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header claims another size."""
    start = _frame(data)
    return data[: start + 5] + struct.pack(">HH", height, width) + data[start + 9 :]


def with_exif(data: bytes, orientation: int) -> bytes:
    """A JPEG that says it lies on its side."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\x00" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    return with_segment(data, 0xE1, b"Exif\x00\x00" + tiff)


def with_segment(data: bytes, marker: int, content: bytes) -> bytes:
    """A JPEG with one more segment after its start."""
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + data[2:]


def mutate_png(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Change the structure of a PNG; checksums are right more often than not."""
    chunks = _chunks(data)
    at = rng.randrange(len(chunks))
    kind, content = chunks[at]
    change = rng.choice(("header", "header", "header", "drop", "repeat", "swap", "kind", "content", "extra", "length"))
    if change == "header":
        fields = list(struct.unpack(">IIBBBBB", chunks[0][1]))
        spot = rng.randrange(7)
        fields[spot] = rng.choice(_SIDES) if spot < 2 else rng.randrange(256 if rng.random() < 0.3 else 17)
        chunks[0] = (b"IHDR", struct.pack(">IIBBBBB", *fields))
        change = f"header {fields}"
    elif change == "drop":
        del chunks[at]
    elif change == "repeat":
        chunks[at:at] = [chunks[at]] * rng.choice((1, 500))
    elif change == "swap":
        other = rng.randrange(len(chunks))
        chunks[at], chunks[other] = chunks[other], chunks[at]
    elif change == "kind":
        chunks[at] = (rng.choice((b"PLTE", b"IEND", b"IHDR", b"zzzz", b"CgBI", b"acTL", b"\x00" * 4)), content)
    elif change == "content":
        chunks[at] = (kind, rng.choice((b"", rng.randbytes(13), content[: len(content) // 2], content * 2)))
    elif change == "extra":
        name = rng.choice((b"iCCP", b"eXIf", b"tRNS", b"gAMA", b"tEXt", b"zTXt", b"acTL", b"fcTL", b"cICP", b"bKGD"))
        squeezed = zlib.compress(bytes(10**6))
        chunks.insert(1, (name, rng.choice((rng.randbytes(30), b"x\x00\x00" + squeezed, b"", b"\xff" * 4))))
        change = f"extra {name!r}"
    made = png(chunks)
    if change == "length":
        made = made[:8] + struct.pack(">I", rng.choice((0, 2**31 - 1, 2**32 - 1))) + made[12:]
    return made, change


def mutate_jpeg(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Change the segments of a JPEG."""
    change = rng.choice(tuple(_JPEG))
    return _JPEG[change](data, rng), change


def _claim(data: bytes, rng: random.Random) -> bytes:
    return jpeg_claiming(data, rng.choice((0, 1, 9, 41, 65535)), rng.choice((0, 1, 30, 65535)))


def _frame_bytes(data: bytes, rng: random.Random) -> bytes:
    at = _frame(data) + rng.choice((4, 9, 10, 11, 12, 13))  # precision, components, their sampling
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _frame_kind(data: bytes, rng: random.Random) -> bytes:
    at = _frame(data) + 1
    return data[:at] + bytes([rng.randrange(0xC0, 0x100)]) + data[at + 1 :]


def _turn(data: bytes, rng: random.Random) -> bytes:
    return with_exif(data, rng.choice((0, 2, 3, 5, 6, 8, 9, 65535)))


def _odd_exif(data: bytes, rng: random.Random) -> bytes:
    # A directory that is its own successor, values that lie beyond the end, noise.
    loop = b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, 0) + struct.pack("<I", 8)
    far = b"Exif\x00\x00II*\x00" + struct.pack("<IHHHII", 8, 1, 0x0112, 3, 2**31, 2**31)
    return with_segment(data, 0xE1, rng.choice((loop, far, b"Exif\x00\x00" + rng.randbytes(40), b"Exif")))


def _table(data: bytes, rng: random.Random) -> bytes:
    at = data.find(rng.choice((b"\xff\xdb", b"\xff\xc4", b"\xff\xda"))) + rng.randrange(2, 24)
    return data[:at] + rng.randbytes(rng.choice((1, 4))) + data[at + 4 :]


def _no_end(data: bytes, rng: random.Random) -> bytes:
    return data[:-2]


def _after_the_end(data: bytes, rng: random.Random) -> bytes:
    return data + rng.choice((b"\x00" * 1000, data, rng.randbytes(100), b"\xff\xda"))


def _two_starts(data: bytes, rng: random.Random) -> bytes:
    return data[:2] * rng.choice((2, 500)) + data[2:]


def _cut_scan(data: bytes, rng: random.Random) -> bytes:
    start = data.rfind(b"\xff\xda") + 20
    return data[: rng.randrange(start, len(data) - 2)] + b"\xff\xd9"


_SEGMENTS = (
    _claim, _frame_bytes, _frame_kind, _turn, _odd_exif, _table, _no_end, _after_the_end, _two_starts, _cut_scan,
)  # fmt: skip
_JPEG: dict[str, Callable[[bytes, random.Random], bytes]] = {change.__name__[1:]: change for change in _SEGMENTS}


def another_kind(rng: random.Random) -> tuple[bytes, str]:
    """A file of another kind than its name says."""
    suffix = rng.choice((".png", ".bmp", ".tif", ".webp", ".gif", "grey", "16-bit", "alpha", "huge", "text", "svg"))
    picture = np.random.default_rng(1).integers(0, 255, (30, 40, 4), dtype=np.uint8)
    if suffix == "text":
        return rng.choice(
            (b"<html>not found</html>", b"version https://git-lfs.github.com/spec/v1\n", b"GIF89a")
        ), suffix
    if suffix == "svg":
        return b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>', suffix
    if suffix == "huge":
        return encoded(".png", rng.choice((1, 3000)), rng.choice((1, 2000))), suffix
    of = {"grey": picture[..., 0], "16-bit": picture[..., 0].astype(np.uint16) * 257, "alpha": picture}
    done, data = cv2.imencode(".png" if suffix in of else suffix, of.get(suffix, picture[..., :3]))
    return (bytes(data.tobytes()) if done else b""), suffix


def _chunks(data: bytes) -> list[Chunk]:
    chunks, at = [], len(_PNG)
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def _frame(data: bytes) -> int:
    """Where the frame header of a baseline JPEG begins."""
    return data.index(b"\xff\xc0")
