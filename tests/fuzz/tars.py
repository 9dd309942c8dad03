"""Tars as a hostile hand makes them, header by header."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

BLOCK = 512


@dataclass(frozen=True)
class Header:
    """Fields of one header; numbers as the bytes that stand there.

    Attributes:
        name: Up to 100 bytes.
        size: 12 bytes: octal digits, or a binary number whose first byte is 0x80, or 0xff if it is negative.
        kind: `0` a file, `1` and `2` links, `3` `4` `6` devices, `5` a folder, `L` `K` `x` `g` `S` extensions.
        link: Where a link leads.
        magic: 8 bytes.
        prefix: Up to 155 bytes, before the name.
        checksum: 8 bytes; None for the right ones.
    """

    name: bytes = b"images/train/a.jpg"
    size: bytes = b"00000000001\0"
    kind: bytes = b"0"
    link: bytes = b""
    magic: bytes = b"ustar\x0000"
    prefix: bytes = b""
    checksum: bytes | None = None

    def block(self) -> bytes:
        """The header's 512 bytes."""
        head = self.name.ljust(100, b"\0")[:100] + b"0000644\0" + b"0000000\0" * 2 + self.size.ljust(12, b"\0")[:12]
        tail = self.kind + self.link.ljust(100, b"\0")[:100] + self.magic + bytes(80) + self.prefix.ljust(155, b"\0")
        head += b"00000000000\0"
        total = sum(head) + 8 * 32 + sum(tail)
        return (head + (self.checksum or b"%06o\0 " % total) + tail).ljust(BLOCK, b"\0")[:BLOCK]


def octal(size: int) -> bytes:
    """A size as tars write it up to 8 GB."""
    return b"%011o\0" % size


def binary(size: int) -> bytes:
    """A size as GNU tar writes larger ones, and negative ones."""
    return bytes([0x80 if size >= 0 else 0xFF]) + size.to_bytes(11, "big", signed=size < 0)


def tar(*members: tuple[Header, bytes]) -> bytes:
    """A tar of these members, contents padded, ended as it must."""
    return b"".join(header.block() + data + bytes(-len(data) % BLOCK) for header, data in members) + bytes(2 * BLOCK)


_NAMES = (
    b"/etc/passwd", b"../out", b"images/train/../../../out", b"images/train/b.jpg", b"", b".", b"..", b"images",
    b"images/train/a.jpg/", b"./images/train/a.jpg", b"images//train/a.jpg", b"images/train/a.jpg\n", b"\xff\xfe",
    b"IMAGES/train/a.jpg", b"images/train/" + b"a" * 90, b"C:\\a.jpg", b"manifest.json", b"shard.tar", b"complete.json",
)  # fmt: skip
_SIZES = (
    octal(0), octal(2), octal(8**11 - 1), binary(10**12), binary(2**63), binary(2**87), binary(-1), binary(-512),
    binary(-1024), b"-0000000001\0", b"zzz", b"", b" 1 ", b"1_0", b"0x1", b"\xff" * 12, b"\x80" * 12, b"00000000001 ",
)  # fmt: skip
_KINDS = (
    b"1",
    b"2",
    b"3",
    b"4",
    b"5",
    b"6",
    b"7",
    b"L",
    b"K",
    b"x",
    b"g",
    b"X",
    b"S",
    b"D",
    b"M",
    b"V",
    b"N",
    b"Z",
    b"\0",
)
_EXTENSIONS = (
    b"20 path=../../out\n\n", b"11 size=-1\n", b"99999999999 path=x\n", b"30 GNU.sparse.map=1,2,3,x\n\n\n\n",
    b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n", b"0 x=y\n", b"no length", b"19 hdrcharset=nope\n", b"\xff" * 60,
    b"24 GNU.sparse.size=1e99\n", b"../../../out\0", b"/etc/passwd\0",
)  # fmt: skip


def mutate_tar(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """A hostile tar, for a reader that expects `images/train/a.jpg` with `data` and `labels/train/a.txt` with none."""
    sound = Header(size=octal(len(data)))
    change = rng.choice(("name", "size", "kind", "extension", "chain", "repeat", "checksum", "bytes", "prefix"))
    image, label = (sound, data), (Header(b"labels/train/a.txt", octal(0)), b"")
    if change == "name":
        image = (replace(sound, name=rng.choice(_NAMES)), data)
    elif change == "prefix":
        image = (replace(sound, name=b"a.jpg", prefix=rng.choice((b"images/train", b"..", b"/", b"\xff"))), data)
    elif change == "size":
        image = (replace(sound, size=rng.choice(_SIZES)), rng.choice((data, b"")))
    elif change == "kind":
        link = rng.choice((b"/etc/passwd", b"../../out", b"images/train/a.jpg", b""))
        image = (replace(sound, kind=rng.choice(_KINDS), link=link), rng.choice((data, b"")))
    elif change == "checksum":
        image = (replace(sound, checksum=rng.choice((b"0" * 8, b"zzzzzzzz", b"        ", b"\xff" * 8))), data)
    parts = [image, label]
    if change == "repeat":
        parts = rng.choice(([image, image, label], [label], [image], [], [label, image], [image, label] * 300))
    elif change in ("extension", "chain"):
        text = rng.choice(_EXTENSIONS)
        size = rng.choice((octal(len(text)), octal(len(text)), binary(10**12), binary(-512)))
        extension = (Header(b"././@LongLink", size, rng.choice((b"L", b"K", b"x", b"g", b"S"))), text)
        parts = [extension] * (1 if change == "extension" else 2000) + parts
    made = tar(*parts)
    if change == "bytes":
        at = rng.randrange(len(made))
        made = rng.choice((made[:at], made[:at] + rng.randbytes(9) + made[at + 9 :], made[:at] + made[at + 1 :]))
    return made, change
