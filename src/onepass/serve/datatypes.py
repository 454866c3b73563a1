"""The protocol's datatypes, and the binary encoding of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from onepass._errors import InputError, UnsupportedModelError
from onepass.outputs import Array
from onepass.tensors import STRING, TensorSpec, dtype_name

Buffer: TypeAlias = bytes | memoryview

_DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"{kind.upper()}{bits}": np.dtype(f"{kind}{bits}") for kind in ("uint", "int") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "BYTES": STRING,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

_LENGTH_BYTES = 4  # before each string, little-endian
_MOST_DIMS = 64
_MOST_VALUES = 2**48


def datatype_of(spec: TensorSpec) -> str:
    """Return the protocol's datatype for a tensor.

    Raises:
        UnsupportedModelError: The protocol has no datatype for it.
    """
    if spec.dtype not in _NAMES:
        known = ", ".join(_DTYPES)
        raise UnsupportedModelError(
            f"tensor {spec.name!r}: the protocol does not support {dtype_name(spec.dtype)}; it supports {known}. "
            "Cast the tensor inside the model"
        )
    return _NAMES[spec.dtype]


def datatype_name(dtype: np.dtype[Any]) -> str:
    """Return the protocol's datatype for a supported dtype."""
    return _NAMES[dtype]


def dtype_of(datatype: object, *, tensor: str) -> np.dtype[Any]:
    """Return the dtype for a protocol datatype.

    Raises:
        InputError: The protocol has no such datatype.
    """
    if not isinstance(datatype, str) or datatype not in _DTYPES:
        raise InputError(f"input {tensor!r}: unknown datatype {datatype!r}; expected one of {', '.join(_DTYPES)}")
    return _DTYPES[datatype]


def checked_shape(shape: object, *, tensor: str) -> tuple[int, ...]:
    """Return a shape if it is valid.

    Raises:
        InputError: The shape is invalid.
    """
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, (str, bytes)) else None
    if sizes is None or len(sizes) > _MOST_DIMS or not all(type(size) is int and size >= 0 for size in sizes):
        raise InputError(f"input {tensor!r}: the shape must be a list of at most {_MOST_DIMS} whole numbers ≥ 0")
    if math.prod(size or 1 for size in sizes) > _MOST_VALUES:  # NumPy rejects large sizes even next to a size of 0
        raise InputError(f"input {tensor!r}: shape {list(sizes)[:8]} is too large for any memory")
    return sizes


def array_from_bytes(data: Buffer, dtype: np.dtype[Any], shape: tuple[int, ...], *, tensor: str) -> Array:
    """Return the array that bytes hold: little-endian, row by row; of a string its length in four bytes and itself.

    Numbers are not copied: they lie where the bytes do, which may be at an odd address.

    Raises:
        InputError: There are more bytes than the shape needs, or fewer; or a string is cut off, or is no UTF-8.
    """
    if dtype == STRING:
        return _strings_from_bytes(data, shape, tensor)
    needed = math.prod(shape) * dtype.itemsize
    if len(data) != needed:
        raise InputError(
            f"input {tensor!r}: {_NAMES[dtype]} of shape {list(shape)} needs {needed:,} bytes, got {len(data):,}"
        )
    array: Array = np.frombuffer(data, dtype.newbyteorder("<") if dtype.itemsize > 1 and dtype.kind != "V" else dtype)
    array = array.astype(dtype, copy=False).reshape(shape)
    if dtype.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
        raise InputError(f"input {tensor!r}: expected one byte, 0 or 1, per BOOL value; got a greater byte")
    return array


def bytes_from_array(array: Array) -> Buffer:
    """Return an array as bytes, as `array_from_bytes` reads them; contiguous numeric arrays are not copied."""
    if array.dtype == STRING:
        encoded = [text.encode() for text in array.flat]
        return b"".join(part for text in encoded for part in (len(text).to_bytes(_LENGTH_BYTES, "little"), text))
    if array.dtype.byteorder == ">" or not array.flags.c_contiguous:
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return array.reshape(-1).view(np.uint8).data


def _strings_from_bytes(data: Buffer, shape: tuple[int, ...], tensor: str) -> Array:
    count, texts, at = math.prod(shape), list[str](), 0
    cut_off = InputError(f"input {tensor!r}: the data ends before the {count:,} strings that shape {list(shape)} needs")
    if count * _LENGTH_BYTES > len(data):
        raise cut_off
    for _ in range(count):
        begin = at + _LENGTH_BYTES
        length = int.from_bytes(data[at:begin], "little")
        at = begin + length
        if at > len(data):
            raise cut_off
        texts.append(text_of(bytes(data[begin:at]), tensor=tensor))
    if at != len(data):
        raise InputError(f"input {tensor!r}: {len(data) - at:,} extra bytes follow the {count:,} strings of its shape")
    return strings(texts, shape)


def text_of(data: bytes, *, tensor: str) -> str:
    """Return a string of a BYTES tensor; ONNX strings are UTF-8.

    Raises:
        InputError: The bytes are not valid UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"input {tensor!r}: {data[:40]!r} is not valid UTF-8; the model's strings are UTF-8"
        ) from error


def strings(texts: Sequence[str], shape: tuple[int, ...]) -> Array:
    """Return an array of strings; their number must match the shape."""
    array = np.empty(len(texts), STRING)
    array[:] = texts
    return array.reshape(shape)
