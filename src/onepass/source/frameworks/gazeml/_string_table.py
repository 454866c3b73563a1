"""Read LevelDB's sorted string tables (leveldb/doc/table_format.md), without compression.

A table consists of blocks of keys and values; each key omits the prefix that it shares with the previous one. Blocks
have CRC-32C checksums, which are verified.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from onepass._errors import UnsupportedModelError
from onepass.formats import read_varint

_FOOTER_BYTES, _MAGIC = 48, (0xDB4775248B80FB57).to_bytes(8, "little")


def read_table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a table; raises EOFError or ValueError if it is damaged."""
    if data[-len(_MAGIC) :] != _MAGIC:
        raise ValueError("the end marker is missing")
    footer = io.BytesIO(data[-_FOOTER_BYTES:])
    _handle(footer)  # the meta block, which is empty in checkpoints
    for _, handle in _block(data, *_handle(footer)):
        yield from _block(data, *_handle(io.BytesIO(handle)))


def _handle(stream: io.BytesIO) -> tuple[int, int]:
    return read_varint(stream), read_varint(stream)


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the pairs of one block; a compression byte and a checksum follow it."""
    content, crc = data[offset : offset + size + 1], data[offset + size + 1 : offset + size + 5]
    if len(crc) < 4:
        raise EOFError
    if masked_crc32c(content) != int.from_bytes(crc, "little"):
        raise ValueError("a block does not match its checksum")
    if content[-1] != 0:
        raise UnsupportedModelError("is compressed, unlike TensorFlow's own checkpoints")
    restart_count = int.from_bytes(content[-5:-1], "little")
    end = size - 4 * (restart_count + 1)
    stream = io.BytesIO(content)
    key = b""
    while stream.tell() < end:
        shared, rest, length = read_varint(stream), read_varint(stream), read_varint(stream)
        key = key[:shared] + take(stream, rest)
        yield key, take(stream, length)


def take(stream: io.BytesIO, count: int) -> bytes:
    """Read `count` bytes; raises EOFError if there are fewer."""
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


# ---- the checksum --------------------------------------------------------------------------------------------------


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901 - eight steps of one division
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of `data`, masked as in LevelDB."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
