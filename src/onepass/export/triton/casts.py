"""A model of Triton's Python backend that casts: each input to the data type of the output in its place.

Triton gets a copy of this file, which needs NumPy alone.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

_USED = b"used_dltensor"  # kept here, since a capsule does not copy its name
# A function of our own: others declare other types of the one that `ctypes.pythonapi` has.
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_SetName", ctypes.pythonapi))


class Transfer:
    """Arrays to and from Triton.

    Triton up to 24.10 misreads the arrays of NumPy 2, and hands on empty ones without a word. Numbers have another way
    there (DLPack), texts have none.

    Attributes:
        is_plain: Whether the ordinary way is right here.
    """

    def __init__(self) -> None:
        """Find out which way is right, by an array that Triton makes."""
        numbers = np.arange(3)
        self.is_plain = np.array_equal(_by_dlpack("try", numbers).as_numpy(), numbers)

    def array(self, tensor: Any) -> np.ndarray[Any, Any]:
        """Return a tensor that came in as an array, which is not to be written to."""
        array: np.ndarray[Any, Any] = tensor.as_numpy() if self.is_plain else np.from_dlpack(tensor)
        return array

    def tensor(self, name: str, array: np.ndarray[Any, Any]) -> Any:
        """Return an array as a tensor that goes out."""
        array = np.ascontiguousarray(array)
        # Of nothing, there is nothing to misread; by DLPack, Triton calls it not contiguous.
        return pb.Tensor(name, array) if self.is_plain or not array.size else _by_dlpack(name, array)


def _by_dlpack(name: str, array: np.ndarray[Any, Any]) -> Any:
    capsule: Any = array.__dlpack__()
    tensor = pb.Tensor.from_dlpack(name, capsule)
    # The standard's word for a used capsule. Triton has its own, which NumPy takes for a fault, and writes that down.
    _rename(capsule, _USED)
    return tensor


class TritonPythonModel:
    """Casts by value; a whole number that the other type does not hold is an error."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read which tensors there are."""
        config = json.loads(args["model_config"])
        self._transfer = Transfer()
        self._casts = [
            (given["name"], made["name"], np.dtype(pb.triton_string_to_numpy(made["data_type"])))
            for given, made in zip(config["input"], config["output"], strict=True)
        ]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        made = []
        for name, target, dtype in self._casts:
            array = self._transfer.array(pb.get_input_tensor_by_name(request, name))
            if array.dtype.kind in "iu" and dtype.kind in "iu" and array.size:
                limits, least, greatest = np.iinfo(dtype), array.min(), array.max()
                if least < limits.min or greatest > limits.max:
                    words = f"{name!r} has numbers from {least} to {greatest}; the engine holds {dtype} there, "
                    error = pb.TritonError(f"{words}{limits.min} … {limits.max}", pb.TritonError.INVALID_ARG)
                    return pb.InferenceResponse([], error)
            made.append(self._transfer.tensor(target, array.astype(dtype)))
        return pb.InferenceResponse(made)
