"""TensorFlow's checkpoint files, read without TensorFlow.

A checkpoint (a "tensor bundle") is an index, ``model-7.index``, and files of plain numbers, such as
``model-7.data-00000-of-00001``. The index is a sorted string table as LevelDB writes it (leveldb/doc/table_format.md):
blocks of names and values, the names without what they share with the one before. The values are protobuf messages
(tensorflow/core/protobuf/tensor_bundle.proto) with dtype, shape and place of each tensor. Blocks and tensors carry
CRC-32C sums, which are checked as they are read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from onepass._errors import ModelFormatError, ModelNotFoundError, UnsupportedModelError
from onepass.formats import read_varint

# TensorFlow's number (tensorflow.DataType) and NumPy's type, for tensors that are plain numbers.
_DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32), 2: np.dtype(np.float64), 3: np.dtype(np.int32), 4: np.dtype(np.uint8),
    5: np.dtype(np.int16), 6: np.dtype(np.int8), 9: np.dtype(np.int64), 10: np.dtype(np.bool_),
    14: np.dtype(ml_dtypes.bfloat16), 17: np.dtype(np.uint16), 19: np.dtype(np.float16),
    22: np.dtype(np.uint32), 23: np.dtype(np.uint64),
}  # fmt: skip
_FOOTER_BYTES, _MAGIC = 48, (0xDB4775248B80FB57).to_bytes(8, "little")


@dataclass(frozen=True)
class _Entry:
    """Where one tensor lies; `slices` says that it lies in pieces of its own instead."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    sliced: bool


class TensorBundle:
    """The tensors of one checkpoint, by name; each is read when it is asked for.

    Attributes:
        prefix: Path of the checkpoint without its endings, such as ``folder/model-7``.
        shapes: Shape of every tensor, by name, in the order of the index (which is alphabetical).
    """

    def __init__(self, prefix: Path) -> None:
        """Read the index.

        Raises:
            ModelNotFoundError: There is no index.
            ModelFormatError: The index is truncated or damaged.
            UnsupportedModelError: It is compressed, or was written on a big-endian machine.
        """
        self.prefix = prefix
        index = prefix.with_name(prefix.name + ".index")
        if not index.is_file():
            raise ModelNotFoundError(f"there is no checkpoint {prefix}: {index.name} is missing")
        try:
            pairs = dict(_table(index.read_bytes()))
            self._shard_count = _shard_count(pairs.pop(b"", b""))
            self._entries = {key.decode(): _entry(value) for key, value in pairs.items()}
        except (EOFError, ValueError) as error:
            why = str(error) or "it ends too early"
            raise ModelFormatError(
                f"{index} is no whole index of a TensorFlow checkpoint: {why}; copy it again"
            ) from error
        except UnsupportedModelError as error:
            raise UnsupportedModelError(f"{index} {error}") from None
        self.shapes = {name: entry.shape for name, entry in self._entries.items()}

    def read(self, name: str) -> npt.NDArray[Any]:
        """Return one tensor.

        Raises:
            KeyError: The checkpoint has no tensor of that name.
            ModelNotFoundError: The file that holds it is missing.
            ModelFormatError: That file is truncated or damaged.
            UnsupportedModelError: The tensor is partitioned, or holds no plain numbers.
        """
        entry = self._entries[name]
        if entry.dtype not in _DTYPES or entry.sliced:
            kind = "is partitioned" if entry.sliced else f"has TensorFlow's dtype {entry.dtype}"
            raise UnsupportedModelError(f"variable {name!r} of {self.prefix} {kind}; expected one tensor of numbers")
        dtype = _DTYPES[entry.dtype]
        path = self.prefix.with_name(f"{self.prefix.name}.data-{entry.shard:05d}-of-{self._shard_count:05d}")
        if not path.is_file():
            raise ModelNotFoundError(f"{path} is missing; it holds variable {name!r}")
        if path.stat().st_size < entry.offset + entry.size:
            raise ModelFormatError(
                f"{path} is truncated: {path.stat().st_size} bytes are there, and variable {name!r} ends at "
                f"{entry.offset + entry.size}. Copy it again"
            )
        with path.open("rb") as file:
            file.seek(entry.offset)
            data = file.read(entry.size)
        if _masked_crc32c(data) != entry.crc or math.prod(entry.shape) * dtype.itemsize != len(data):
            raise ModelFormatError(f"{path} is damaged: variable {name!r} does not match its checksum. Copy it again")
        return np.frombuffer(data, dtype.newbyteorder("<")).reshape(entry.shape).astype(dtype)


# ---- the sorted string table ---------------------------------------------------------------------------------------


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a table; raises EOFError or ValueError where it is not sound."""
    if data[-len(_MAGIC) :] != _MAGIC:
        raise ValueError("the mark at its end is missing")
    footer = io.BytesIO(data[-_FOOTER_BYTES:])
    _handle(footer)  # of the meta block, which checkpoints leave empty
    for _, handle in _block(data, *_handle(footer)):
        yield from _block(data, *_handle(io.BytesIO(handle)))


def _handle(stream: io.BytesIO) -> tuple[int, int]:
    return read_varint(stream), read_varint(stream)


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the pairs of one block, which is followed by a byte for its compression and its checksum."""
    content, crc = data[offset : offset + size + 1], data[offset + size + 1 : offset + size + 5]
    if len(crc) < 4:
        raise EOFError
    if _masked_crc32c(content) != int.from_bytes(crc, "little"):
        raise ValueError("a block does not match its checksum")
    if content[-1] != 0:
        raise UnsupportedModelError("is compressed, which TensorFlow's own checkpoints are not")
    restart_count = int.from_bytes(content[-5:-1], "little")
    end = size - 4 * (restart_count + 1)
    stream = io.BytesIO(content)
    key = b""
    while stream.tell() < end:
        shared, rest, length = read_varint(stream), read_varint(stream), read_varint(stream)
        key = key[:shared] + _take(stream, rest)
        yield key, _take(stream, length)


def _take(stream: io.BytesIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


# ---- its values, protobuf messages ---------------------------------------------------------------------------------


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field: an int, or bytes for a message or a string."""
    stream = io.BytesIO(message)
    while stream.tell() < len(message):
        key = read_varint(stream)
        number, wire = key >> 3, key & 7
        if wire == 0:
            yield number, read_varint(stream)
        elif wire == 2:
            yield number, _take(stream, read_varint(stream))
        elif wire in (1, 5):
            yield number, int.from_bytes(_take(stream, 8 if wire == 1 else 4), "little")
        else:
            raise ValueError(f"no field has the wire type {wire}")


def _shard_count(header: bytes) -> int:
    """Read ``BundleHeaderProto``."""
    fields = dict(_fields(header))
    if fields.get(2, 0) != 0:
        raise UnsupportedModelError("was written on a big-endian machine")
    if 1 not in fields:
        raise ValueError("it has no header")
    return int(fields[1])


def _entry(message: bytes) -> _Entry:
    """Read ``BundleEntryProto``."""
    fields = dict(_fields(message))
    sizes = (dict(_fields(dim)).get(1, 0) for number, dim in _fields(fields.get(2, b"")) if number == 2)
    shard, offset, size, crc = (fields.get(number, 0) for number in (3, 4, 5, 6))
    return _Entry(fields.get(1, 0), tuple(sizes), shard, offset, size, crc, sliced=7 in fields)


# ---- the checksum --------------------------------------------------------------------------------------------------


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901 - eight steps of one division
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def _masked_crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of `data`, turned and shifted as LevelDB stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
