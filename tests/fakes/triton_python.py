"""What Triton's Python backend offers to models: the module ``triton_python_backend_utils``, as far as ours take it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

_TYPES = {"TYPE_INT32": np.int32, "TYPE_INT64": np.int64, "TYPE_FP32": np.float32, "TYPE_UINT8": np.uint8}


class Tensor:
    """A tensor; one that Triton makes itself is misread where `misreads` says so, as Triton up to 24.10 does."""

    misreads = False

    def __init__(self, name: str, array: Any) -> None:
        if Tensor.misreads and array.size:
            raise AssertionError(f"{name} would be empty")
        self._name, self._array, self._made_here = name, array, False

    @classmethod
    def from_dlpack(cls, name: str, capsule: Any) -> Tensor:
        """Take an array over from a capsule, which nobody else may take again."""
        tensor = cls.__new__(cls)
        tensor._name, tensor._array, tensor._made_here = name, np.from_dlpack(_Holder(capsule)), True
        return tensor

    def name(self) -> str:
        """Return its name."""
        return self._name

    def as_numpy(self) -> Any:
        """Return its array."""
        return np.zeros_like(self._array) if Tensor.misreads and self._made_here else self._array

    def __dlpack__(self, **_: Any) -> Any:
        return self._array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


class _Holder:
    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


class TritonError:
    """What a response says instead of tensors."""

    INVALID_ARG, INTERNAL = 1, 2

    def __init__(self, message: str, code: int) -> None:
        self.message, self.code = message, code


class TritonModelException(Exception):  # noqa: N818 - Triton's name
    """A model that cannot be opened."""


class InferenceResponse:
    """The answer to a request."""

    def __init__(self, output_tensors: Iterable[Tensor], error: TritonError | None = None) -> None:
        self.arrays = {tensor.name(): tensor._array for tensor in output_tensors}
        self.error = error


class Request:
    """A request, made by a test."""

    def __init__(self, outputs: Sequence[str], **arrays: Any) -> None:
        self._outputs, self.arrays = outputs, arrays

    def inputs(self) -> list[Tensor]:
        """Return the tensors that came in."""
        return [_given(name, array) for name, array in self.arrays.items()]

    def requested_output_names(self) -> set[str]:
        """Return what is wanted, in no order."""
        return set(self._outputs)


def _given(name: str, array: Any) -> Tensor:
    tensor = Tensor.__new__(Tensor)
    tensor._name, tensor._array, tensor._made_here = name, array, True
    return tensor


def make() -> ModuleType:
    """Return the module."""
    module = ModuleType("triton_python_backend_utils")
    found: dict[str, Any] = {
        "Tensor": Tensor,
        "TritonError": TritonError,
        "TritonModelException": TritonModelException,
        "InferenceResponse": InferenceResponse,
        "triton_string_to_numpy": _TYPES.__getitem__,
        "get_input_tensor_by_name": lambda request, name: _given(name, request.arrays[name]),
    }
    vars(module).update(found)
    return module
