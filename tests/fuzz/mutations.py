"""Mutations of bytes and of text: pure functions of the data and a seeded source of choices.

Each returns the mutated data; `mutate_bytes` and `mutate_text` apply one to three of them and say which.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Mutation = Callable[[bytes, random.Random], bytes]

# Numbers as text that a careless parser takes, or stumbles over.
ODD_TOKENS = (
    "nan", "NaN", "inf", "-inf", "1e400", "-1e400", "1e-400", "-0", "-1", "1.0101", "2", "1e9", "99999999999999999999",
    "9" * 5000, "0x10", "1_0", "1,5", "1.2.3", "+", "-", ".", "", "None", "null", "true", "~", "é", "\u0661", "\u2028",
    "\x00", "\ufeff0.5", "0.5\x0b0.5", "'", '"', "\\", "%s", "{0}", "$(id)", "a" * 3000,
)  # fmt: skip


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def cut_tail(data: bytes, rng: random.Random) -> bytes:
    return data[: max(0, len(data) - rng.randint(1, 16))]


def empty(data: bytes, rng: random.Random) -> bytes:
    return b""


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16)) if data else 0):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def flip_bits_of_the_head(data: bytes, rng: random.Random) -> bytes:
    return flip_bits(data[:64], rng) + data[64:]


def overwrite(data: bytes, rng: random.Random) -> bytes:
    start, word = _place(data, rng), rng.choice((b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\x80\x00"))
    return data[:start] + word + data[start + len(word) :]


def insert(data: bytes, rng: random.Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + rng.randbytes(rng.choice((1, 2, 7, 64, 1000))) + data[start:]


def remove(data: bytes, rng: random.Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + data[start + rng.choice((1, 2, 7, 64)) :]


def repeat(data: bytes, rng: random.Random) -> bytes:
    start, length = _place(data, rng), rng.choice((1, 8, 64))
    return data[:start] + data[start : start + length] * rng.choice((2, 3, 50)) + data[start + length :]


def zero(data: bytes, rng: random.Random) -> bytes:
    start, length = _place(data, rng), rng.choice((1, 16, 512))
    return data[:start] + bytes(len(data[start : start + length])) + data[start + length :]


def byte_order_mark(data: bytes, rng: random.Random) -> bytes:
    return rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf\xef\xbb\xbf")) + data


def noise(data: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice((1, 10, 1000)))


BYTES: tuple[Mutation, ...] = (
    truncate, cut_tail, empty, flip_bits, flip_bits_of_the_head, overwrite, insert, remove, repeat, zero,
    byte_order_mark, noise,
)  # fmt: skip


def carriage_returns(data: bytes, rng: random.Random) -> bytes:
    return data.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\x0b", b"\xe2\x80\xa8")))


def other_encoding(data: bytes, rng: random.Random) -> bytes:
    text = data.decode("utf-8", "replace") + "é"
    return text.encode(rng.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig")), "replace")


def repeat_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines) + 1)
    return b"".join([*lines[:at], *lines[max(0, at - 1) : at] * rng.choice((1, 2, 30)), *lines[at:]])


def remove_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines) + 1)
    return b"".join([*lines[:at], *lines[at + 1 :]])


def join_lines(data: bytes, rng: random.Random) -> bytes:
    return data.replace(b"\n", b" ", rng.choice((1, 2, -1)))


def shuffle_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(rng.sample(lines, len(lines)))


def odd_token(data: bytes, rng: random.Random) -> bytes:
    def change(tokens: list[bytes], at: int) -> None:
        tokens[at] = rng.choice(ODD_TOKENS).encode("utf-8", "surrogatepass")

    return _with_tokens(data, rng, change)


def remove_token(data: bytes, rng: random.Random) -> bytes:
    return _with_tokens(data, rng, lambda tokens, at: tokens.pop(at))


def repeat_token(data: bytes, rng: random.Random) -> bytes:
    def change(tokens: list[bytes], at: int) -> None:
        tokens[at:at] = [tokens[at]] * rng.choice((1, 2, 1001))

    return _with_tokens(data, rng, change)


def swap_tokens(data: bytes, rng: random.Random) -> bytes:
    def change(tokens: list[bytes], at: int) -> None:
        other = rng.randrange(len(tokens))
        tokens[at], tokens[other] = tokens[other], tokens[at]

    return _with_tokens(data, rng, change)


TEXT: tuple[Mutation, ...] = (
    carriage_returns, other_encoding, repeat_line, remove_line, join_lines, shuffle_lines, odd_token, odd_token,
    odd_token, remove_token, repeat_token, swap_tokens,
)  # fmt: skip


def mutate_bytes(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """One to three mutations of bytes; the data and the names of the mutations."""
    return _several(data, rng, BYTES)


def mutate_text(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """One to three mutations of text, one in four of them of its bytes."""
    return _several(data, rng, (*TEXT, *rng.sample(BYTES, len(TEXT) // 3)))


def _several(data: bytes, rng: random.Random, among: Sequence[Mutation]) -> tuple[bytes, str]:
    chosen = rng.choices(among, k=rng.choice((1, 1, 1, 2, 3)))
    for mutation in chosen:
        data = mutation(data, rng)
    return data, "+".join(mutation.__name__ for mutation in chosen)


def _place(data: bytes, rng: random.Random) -> int:
    return rng.randrange(len(data) + 1)


def _with_tokens(data: bytes, rng: random.Random, change: Callable[[list[bytes], int], object]) -> bytes:
    lines = data.split(b"\n")
    full = [i for i, line in enumerate(lines) if line.split()]
    if not full:
        return data
    at = rng.choice(full)
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    tokens = lines[at].split()
    change(tokens, rng.randrange(len(tokens)))
    lines[at] = indent + b" ".join(tokens)
    return b"\n".join(lines)
