"""A model for Triton's Python backend that casts each input to the data type of the output at the same position.

The export copies this file, which needs only NumPy.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

_USED = b"used_dltensor"  # a module constant, because a capsule does not copy its name
# A separate prototype: other code may set other types on the shared function of `ctypes.pythonapi`.
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_SetName", ctypes.pythonapi))


class Transfer:
    """Convert arrays to and from Triton's tensors.

    Triton up to 24.10 misreads NumPy 2 arrays, and silently passes empty ones on. There, numbers go through DLPack
    instead; strings have no alternative.

    Attributes:
        is_plain: Whether Triton's own conversion works here.
    """

    def __init__(self) -> None:
        """Find the working conversion with a test array."""
        numbers = np.arange(3)
        self.is_plain = np.array_equal(_by_dlpack("try", numbers).as_numpy(), numbers)

    def array(self, tensor: Any) -> np.ndarray[Any, Any]:
        """Return an incoming tensor as a read-only array."""
        array: np.ndarray[Any, Any] = tensor.as_numpy() if self.is_plain else np.from_dlpack(tensor)
        return array

    def tensor(self, name: str, array: np.ndarray[Any, Any]) -> Any:
        """Return an array as an outgoing tensor."""
        array = np.ascontiguousarray(array)
        # Empty arrays cannot be misread, and Triton's DLPack import rejects them as not contiguous.
        return pb.Tensor(name, array) if self.is_plain or not array.size else _by_dlpack(name, array)


def _by_dlpack(name: str, array: np.ndarray[Any, Any]) -> Any:
    capsule: Any = array.__dlpack__()
    tensor = pb.Tensor.from_dlpack(name, capsule)
    # The DLPack standard's name for a used capsule. Triton uses another name, for which NumPy logs an error.
    _rename(capsule, _USED)
    return tensor


class TritonPythonModel:
    """Cast by value; an integer out of the target type's range is an error."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the tensors from the configuration."""
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
                    words = f"{name!r} has values from {least} to {greatest}; the engine computes it as {dtype}, "
                    error = pb.TritonError(f"{words}{limits.min} … {limits.max}", pb.TritonError.INVALID_ARG)
                    return pb.InferenceResponse([], error)
            made.append(self._transfer.tensor(target, array.astype(dtype)))
        return pb.InferenceResponse(made)
