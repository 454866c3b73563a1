"""The parts of the fake TensorRT that builders and runtimes share: loggers, shapes, memory, interfaces."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from tests.fakes._classes import make

# dtype of NumPy -> member of DataType; what TensorRT has no member for is an error of its parser.
_MEMBERS: dict[np.dtype[Any], str] = {
    np.dtype(np.float32): "FLOAT", np.dtype(np.float16): "HALF", np.dtype(np.int8): "INT8", np.dtype(np.int32): "INT32",
    np.dtype(np.int64): "INT64", np.dtype(np.bool_): "BOOL", np.dtype(np.uint8): "UINT8",
    np.dtype(ml_dtypes.bfloat16): "BF16", np.dtype(ml_dtypes.float8_e4m3fn): "FP8",
    np.dtype(ml_dtypes.float8_e8m0fnu): "E8M0",
}  # fmt: skip
_DTYPES = {name: dtype for dtype, name in _MEMBERS.items()}


def member_of(dtype: np.dtype[Any], members: Sequence[str]) -> str | None:
    """Return the member of DataType that carries an ONNX type at the edge of an engine, or None if none does.

    Before TensorRT 10 there is no INT64: such tensors are INT32.
    """
    name = _MEMBERS.get(dtype)
    if name == "INT64" and "INT64" not in members:
        return "INT32"
    return name if name in members else None


def dtype_of(member: str) -> np.dtype[Any]:
    """Return the NumPy dtype of a member of DataType."""
    return _DTYPES[member]


class _ILogger:
    def __init__(self) -> None:
        self._ready = True

    def log(self, severity: Any, msg: str) -> None:
        raise RuntimeError('Tried to call pure virtual function "nvinfer1::ILogger::log"')


class _Logger(_ILogger):
    def __init__(self, min_severity: Any = None) -> None:
        self._ready = True
        self._least = self._trt.Logger.WARNING if min_severity is None else min_severity  # type: ignore[attr-defined]

    @property
    def min_severity(self) -> Any:
        return self._least

    @min_severity.setter
    def min_severity(self, severity: Any) -> None:
        self._least = severity

    def log(self, severity: Any, msg: str) -> None:
        if int(severity) <= int(self._least):
            sys.stderr.write(f"[TRT] [{severity.name[0]}] {msg}\n")


class _Dims:
    MAX_DIMS = 8

    def __init__(self, shape: Sequence[int] | None = ()) -> None:
        self._ready = True
        self._sizes = None if shape is None else [operator.index(size) for size in shape]
        if self._sizes is not None and len(self._sizes) > self.MAX_DIMS:
            raise ValueError("Max number of dimensions is 8")

    def __len__(self) -> int:
        # The rank of what does not exist is -1, and Python says so in these words.
        if self._sizes is None:
            raise ValueError("__len__() should return >= 0")
        return len(self._sizes)

    def __getitem__(self, index: Any) -> Any:
        if self._sizes is None:
            raise IndexError("Out of bounds")
        return tuple(self._sizes[index]) if isinstance(index, slice) else self._sizes[index]

    def __iter__(self) -> Iterator[int]:
        return iter(self._sizes or ())

    def __repr__(self) -> str:
        return "()" if self._sizes is None else str(tuple(self._sizes))

    __hash__ = None  # type: ignore[assignment]


class _IHostMemory:
    """A buffer. Below Python 3.12 only a built-in type can be one, so `make_class` adds bytearray to its bases."""

    _trt: Any

    def _start(self, data: bytes) -> None:
        self.extend(data)  # type: ignore[attr-defined]

    @property
    def nbytes(self) -> int:
        return len(self)  # type: ignore[arg-type]

    @property
    def dtype(self) -> Any:
        return self._trt.DataType.INT8


CORE: dict[str, type] = {
    "ILogger": _ILogger, "Logger": _Logger, "Dims": _Dims, "IHostMemory": _IHostMemory,
}  # fmt: skip


def log(trt: Any, logger: Any, severity: str, text: str) -> None:
    """Give a line to a logger."""
    logger.log(getattr(trt.ILogger.Severity, severity), text)


def dims(trt: Any, shape: Sequence[int] | None) -> Any:
    """Return a shape as TensorRT gives it; None is that of a tensor that does not exist."""
    return trt.Dims(shape)


def host_memory(trt: Any, data: bytes) -> Any:
    """Return bytes as TensorRT gives them: a buffer."""
    return make(trt.IHostMemory, data)


def shape_argument(value: Any, what: str) -> tuple[int, ...]:
    """Return a shape that was handed in; only a tuple, a list or a Dims will do."""
    if not isinstance(value, (tuple, list)) and type(value).__name__ != "Dims":
        raise TypeError(f"{what}: incompatible function arguments; a shape is a tuple or a list, not {value!r}")
    return tuple(operator.index(size) for size in value)
