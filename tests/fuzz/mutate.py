"""Bytes spoiled in the ways that files are spoiled: cut, flipped, repeated, and with numbers that are too great."""

from __future__ import annotations

import random

INTERESTING = (
    0,
    1,
    2,
    3,
    7,
    99,
    127,
    128,
    255,
    4096,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**62,
    2**63 - 1,
    -1,
    -2,
    -(2**63),
)
"""Numbers at the edges of what readers hold them in."""

TEXTS = (
    "", " ", "x", "y", "out", "../x", "/etc/passwd", "a/b", "..", "\0", "a\nb", "\x1b[2J\x1b]0;t\x07", "\x9b31m",
    "\u202egnp.exe", "\u200b", "é", "名前", "🙂", "[bold]x[/bold]", "[/]", "=1+1", "%s%n", "{0}", "<script>",
    "A" * 5000, "9" * 5000, "nan",
    "-0", "None", "ai.onnx", "com.microsoft", "N", "con", "a.b:0",
)  # fmt: skip
"""Texts that are dangerous somewhere: paths, control characters, markup, formats, lengths."""


def spoiled(rng: random.Random, data: bytes) -> bytes:
    """Return bytes with one to six spoilings."""
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        rng.choice((_flip, _flip, _set, _cut, _drop, _repeat, _number, _insert))(rng, spoilt)
    return bytes(spoilt)


def _place(rng: random.Random, data: bytearray) -> int:
    return rng.randrange(len(data)) if data else 0


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, data)] ^= 1 << rng.randrange(8)


def _set(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, data)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _cut(rng: random.Random, data: bytearray) -> None:
    if rng.random() < 0.3:
        del data[_place(rng, data) :]


def _drop(rng: random.Random, data: bytearray) -> None:
    start = _place(rng, data)
    del data[start : start + rng.choice((1, 2, 4, 8, 64))]


def _repeat(rng: random.Random, data: bytearray) -> None:
    start = _place(rng, data)
    piece = data[start : start + rng.choice((1, 4, 16, 64, 256))]
    data[start:start] = piece * rng.choice((1, 2, 20))


def _number(rng: random.Random, data: bytearray) -> None:
    start, width = _place(rng, data), rng.choice((1, 2, 4, 8))
    number = rng.choice(INTERESTING) % (1 << 8 * width)
    data[start : start + width] = number.to_bytes(width, rng.choice(("little", "big")))


def _insert(rng: random.Random, data: bytearray) -> None:
    start = _place(rng, data)
    data[start:start] = rng.randbytes(rng.choice((1, 2, 8, 32)))
