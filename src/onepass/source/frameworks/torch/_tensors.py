"""Convert between PyTorch tensors and NumPy arrays with the same values and dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from onepass._errors import UnsupportedModelError
from onepass.outputs import Array
from onepass.tensors import DTYPES


def tensor_from_array(value: Any) -> Any:
    """Return a NumPy array or number as a new tensor, or a tensor as a copy on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    array = np.array(value, order="C")
    if array.dtype.kind != "V":  # bfloat16 and float8 are not NumPy's own
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(f"u{array.itemsize}")).view(getattr(torch, array.dtype.name))


def array_from_tensor(tensor: torch.Tensor) -> Array:
    """Return a tensor's values as a NumPy array of the same dtype."""
    dtype = dtype_of(tensor)
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if dtype.kind != "V":
        return np.array(tensor.numpy())
    return np.array(tensor.view(getattr(torch, f"uint{8 * dtype.itemsize}")).numpy()).view(dtype)


def dtype_of(tensor: torch.Tensor, *, name: str = "?", what: str = "tensor") -> np.dtype[Any]:
    """Return the NumPy dtype of a tensor.

    Raises:
        UnsupportedModelError: ONNX or NumPy does not support the dtype; the message names the tensor by `what` and
            `name`.
    """
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_complex():
        advice = (
            "accept real and imaginary parts, [..., 2], and start with torch.view_as_complex(…)"
            if what == "input"
            else "return torch.view_as_real(…), with real and imaginary parts in the last axis"
        )
        raise UnsupportedModelError(
            f"{what} {name!r} is {kind}, and ONNX has no operators for complex numbers; {advice}"
        )
    if tensor.is_quantized:
        raise UnsupportedModelError(
            f"{what} {name!r} is {kind}, a quantised PyTorch dtype with its own scale, which ONNX does not support; "
            "use dequantize() or int_repr()"
        )
    if kind not in DTYPES or tensor.layout is not torch.strided:
        raise UnsupportedModelError(
            f"{what} {name!r}: expected a dense tensor of {', '.join(DTYPES)}; got {kind}, {tensor.layout}"
        )
    return DTYPES[kind]
