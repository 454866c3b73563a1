"""Read TensorFlow checkpoint files without TensorFlow.

A checkpoint (a "tensor bundle") consists of an index, ``model-7.index``, and files of plain numbers, such as
``model-7.data-00000-of-00001``. The index is a sorted string table (`_string_table`). Its values are protobuf messages
(tensorflow/core/protobuf/tensor_bundle.proto) with dtype, shape and position of each tensor. Tensors have CRC-32C
checksums, which are verified.
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
from onepass.source.frameworks.gazeml._string_table import masked_crc32c, read_table, take

# Maps tensorflow.DataType numbers to NumPy dtypes, for numeric tensors.
_DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32), 2: np.dtype(np.float64), 3: np.dtype(np.int32), 4: np.dtype(np.uint8),
    5: np.dtype(np.int16), 6: np.dtype(np.int8), 9: np.dtype(np.int64), 10: np.dtype(np.bool_),
    14: np.dtype(ml_dtypes.bfloat16), 17: np.dtype(np.uint16), 19: np.dtype(np.float16),
    22: np.dtype(np.uint32), 23: np.dtype(np.uint64),
}  # fmt: skip


@dataclass(frozen=True)
class _Entry:
    """The position of a tensor; `sliced` means that it is stored in several pieces instead."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    sliced: bool


class TensorBundle:
    """The tensors of one checkpoint by name; each is read on request.

    Attributes:
        prefix: Path of the checkpoint without suffixes, such as ``folder/model-7``.
        shapes: Shape of every tensor, by name, in the order of the index (which is alphabetical).
    """

    def __init__(self, prefix: Path) -> None:
        """Read the index.

        Raises:
            ModelNotFoundError: The index does not exist.
            ModelFormatError: The index is truncated or damaged.
            UnsupportedModelError: The index is compressed, or was written on a big-endian machine.
        """
        self.prefix = prefix
        index = prefix.with_name(prefix.name + ".index")
        if not index.is_file():
            raise ModelNotFoundError(f"checkpoint {prefix} not found: {index.name} is missing")
        try:
            pairs = dict(read_table(index.read_bytes()))
            self._shard_count = _shard_count(pairs.pop(b"", b""))
            self._entries = {key.decode(): _entry(value) for key, value in pairs.items()}
        except (EOFError, ValueError) as error:
            why = str(error) or "it ends too early"
            raise ModelFormatError(
                f"{index} is not a complete index of a TensorFlow checkpoint: {why}; copy it again"
            ) from error
        except UnsupportedModelError as error:
            raise UnsupportedModelError(f"{index} {error}") from None
        self.shapes = {name: entry.shape for name, entry in self._entries.items()}

    def read(self, name: str) -> npt.NDArray[Any]:
        """Return one tensor.

        Raises:
            KeyError: The checkpoint has no tensor of this name.
            ModelNotFoundError: The tensor's file is missing.
            ModelFormatError: The tensor's file is truncated or damaged.
            UnsupportedModelError: The tensor is partitioned or not numeric.
        """
        entry = self._entries[name]
        if entry.dtype not in _DTYPES or entry.sliced:
            kind = "is partitioned" if entry.sliced else f"has TensorFlow's dtype {entry.dtype}"
            raise UnsupportedModelError(f"variable {name!r} of {self.prefix} {kind}; expected a single numeric tensor")
        dtype = _DTYPES[entry.dtype]
        path = self.prefix.with_name(f"{self.prefix.name}.data-{entry.shard:05d}-of-{self._shard_count:05d}")
        if not path.is_file():
            raise ModelNotFoundError(f"{path}, with the variable {name!r}, is missing")
        if path.stat().st_size < entry.offset + entry.size:
            raise ModelFormatError(
                f"{path} is truncated: it has {path.stat().st_size} bytes, but variable {name!r} ends at "
                f"{entry.offset + entry.size}. Copy it again"
            )
        with path.open("rb") as file:
            file.seek(entry.offset)
            data = file.read(entry.size)
        if masked_crc32c(data) != entry.crc or math.prod(entry.shape) * dtype.itemsize != len(data):
            raise ModelFormatError(f"{path} is damaged: variable {name!r} does not match its checksum. Copy it again")
        return np.frombuffer(data, dtype.newbyteorder("<")).reshape(entry.shape).astype(dtype)


# ---- the index's values, protobuf messages -------------------------------------------------------------------------


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field: an int, or bytes for a message or a string."""
    stream = io.BytesIO(message)
    while stream.tell() < len(message):
        key = read_varint(stream)
        number, wire = key >> 3, key & 7
        if wire == 0:
            yield number, read_varint(stream)
        elif wire == 2:
            yield number, take(stream, read_varint(stream))
        elif wire in (1, 5):
            yield number, int.from_bytes(take(stream, 8 if wire == 1 else 4), "little")
        else:
            raise ValueError(f"unknown wire type {wire}")


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
