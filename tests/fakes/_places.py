"""Where the tensors of one pass lie, and what outlives the context that queued it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.fakes._core import dtype_of
from tests.fakes._memory import Span
from tests.fakes._onnx import Arrays, Shape
from tests.fakes._plan import TensorInfo


class Refusal(Exception):  # noqa: N818 - the reason of a False
    """Why a call returns False, in the words of the log."""


@dataclass
class Alive:
    """Whether a context still exists, and how often it was set up anew: for work that outlives either."""

    yes: bool = True
    changes: int = 0

    def __repr__(self) -> str:
        return "an execution context"


@dataclass(frozen=True)
class Placed:
    """A tensor at an address."""

    info: TensorInfo
    shape: Shape
    dtype: np.dtype[Any]
    address: int

    @property
    def span(self) -> Span:
        return Span(self.address, int(np.prod(self.shape, dtype=np.int64)) * dtype_of(self.info.dtype).itemsize)

    def read(self) -> np.ndarray[Any, Any]:
        """Return what lies there, in the type that the model has."""
        array = np.empty(self.shape, dtype_of(self.info.dtype))
        if array.nbytes:
            ctypes.memmove(array.ctypes.data, self.address, array.nbytes)
        return array.astype(self.dtype)

    def write(self, value: np.ndarray[Any, Any]) -> None:
        """Put a value there, in the type that the engine has."""
        array = np.ascontiguousarray(value, dtype_of(self.info.dtype))
        if array.nbytes:
            ctypes.memmove(self.address, array.ctypes.data, array.nbytes)


def feeds_of(inputs: list[Placed], values: Arrays) -> Arrays:
    """Return the inputs by the model's names: the host's as they were, the others as they are now."""
    return {one.info.source: values[one.info.source] if one.info.on_host else one.read() for one in inputs}
