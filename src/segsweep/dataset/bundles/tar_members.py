"""The members of a shard's tar, read without trust: plain USTAR headers, and nothing that a shard never holds.

Python's `tarfile` understands every dialect there is, and believes what it reads: a size below zero sends it back to
the header it came from, for ever (CVE-2025-8194); a long name or an extended header is read into memory whatever size
it claims; a chain of them ends its stack. `ShardWriter` writes none of these, so a tar that holds one is no shard.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_BLOCK_BYTES = 512
_KINDS = {b"0": "file", b"\0": "file", b"1": "link", b"2": "link", b"3": "device", b"4": "device", b"5": "folder"}
_KINDS |= {b"6": "device"}
_EXTENSION = "extension"  # long names, extended and sparse headers: anything that is not in POSIX's first table


@dataclass(frozen=True)
class Member:
    """What a header announces.

    Attributes:
        name: As it stands there; bytes that are no UTF-8 are escaped.
        size_bytes: Of the content, which lies in the tar to its end.
        kind: `file`, `link`, `folder`, `device` or `extension`.
    """

    name: str
    size_bytes: int
    kind: str


def read_members(tar: BinaryIO, size_bytes: int | None = None) -> Iterator[Member]:
    """Walk through a tar; while a member is held, the tar stands at its content, which may be read or left.

    Args:
        tar: An uncompressed tar at its beginning; it is only ever sought forward.
        size_bytes: Its length; None for that of its file.

    Raises:
        ValueError: It is no tar, or ends before it should.
        OSError: As the operating system gives it.
    """
    if size_bytes is None:
        size_bytes = os.fstat(tar.fileno()).st_size
    start = 0
    while True:
        tar.seek(start)
        block = tar.read(_BLOCK_BYTES)
        if len(block) < _BLOCK_BYTES:
            raise ValueError(f"it ends at byte {start + len(block)} without the mark of its end")
        if not any(block):
            return
        member = _parse(block, start)
        start += _BLOCK_BYTES
        if member.size_bytes > size_bytes - start:
            raise ValueError(f"{member.name!r} claims {member.size_bytes} bytes, {size_bytes - start} are there")
        yield member
        start += -(-member.size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES


def _parse(block: bytes, at: int) -> Member:
    # POSIX.1-1988: the sum of all bytes of the header, those of the sum itself taken as blanks.
    if _octal(block[148:156], at) != sum(block) - sum(block[148:156]) + 8 * 32:
        raise ValueError(f"the header at byte {at} is damaged")
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0]
    path = (prefix + b"/" + name if prefix else name).decode("utf-8", "backslashreplace")
    kind = _KINDS.get(block[156:157], _EXTENSION)
    return Member(path.removesuffix("/") if kind == "folder" else path, _octal(block[124:136], at), kind)


def _octal(field: bytes, at: int) -> int:
    digits = field.rstrip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise ValueError(f"a number in the header at byte {at} is {field!r}")
    return int(digits, 8)
