"""PyTorch's tensors and NumPy's arrays, of the same values and dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from onepass._errors import UnsupportedModelError
from onepass.outputs import Array
from onepass.tensors import DTYPES


def tensor_from_array(value: Any) -> Any:
    """Return an array, or a number of NumPy's, as a tensor of its own; a tensor becomes a copy on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    array = np.array(value, order="C")
    if array.dtype.kind != "V":  # bfloat16 and float8 are none of NumPy's own
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(f"u{array.itemsize}")).view(getattr(torch, array.dtype.name))


def array_from_tensor(tensor: torch.Tensor) -> Array:
    """Return a tensor's values in NumPy's array of the same dtype."""
    dtype = dtype_of(tensor)
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if dtype.kind != "V":
        return np.array(tensor.numpy())
    return np.array(tensor.view(getattr(torch, f"uint{8 * dtype.itemsize}")).numpy()).view(dtype)


def dtype_of(tensor: torch.Tensor, *, name: str = "?", what: str = "tensor") -> np.dtype[Any]:
    """Return NumPy's dtype for a tensor.

    Raises:
        UnsupportedModelError: ONNX or NumPy has none for it; the message calls the tensor as `what` and `name` say.
    """
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_complex():
        advice = (
            "take it as real and imaginary parts, [..., 2], and begin with torch.view_as_complex(…)"
            if what == "input"
            else "return torch.view_as_real(…), with real and imaginary parts in the last axis"
        )
        raise UnsupportedModelError(f"{what} {name!r} is {kind}. ONNX has no operators for complex numbers; {advice}")
    if tensor.is_quantized:
        raise UnsupportedModelError(
            f"{what} {name!r} is {kind}, numbers that PyTorch keeps with a scale of their own, which ONNX has not; use "
            "its dequantize(), or its int_repr()"
        )
    if kind not in DTYPES or tensor.layout is not torch.strided:
        raise UnsupportedModelError(
            f"{what} {name!r} is {kind}, {tensor.layout}; expected a dense one of {', '.join(DTYPES)}"
        )
    return DTYPES[kind]
