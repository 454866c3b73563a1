"""Convert a model's tensors to arrays, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import external_data_helper, numpy_helper

from onepass._errors import UnsupportedModelError
from onepass.graph.sound import explained
from onepass.outputs import Array
from onepass.tensors import dtype_from_onnx, onnx_from_dtype


def loaded(tensor: onnx.TensorProto, folder: Path | None) -> onnx.TensorProto:
    """Return a copy of a tensor with its data inside; external data is read from `folder`."""
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    if external_data_helper.uses_external_data(copy) and folder is not None:
        external_data_helper.load_external_data_for_tensor(copy, str(folder))
        copy.data_location = onnx.TensorProto.DEFAULT
        del copy.external_data[:]
    return copy


def array_of(tensor: onnx.TensorProto, folder: Path | None = None) -> Array:
    """Return a tensor's values in its own dtype, including bfloat16 and float8 (float32 in onnx before 1.19).

    Args:
        tensor: A weight, or the value of a constant.
        folder: Folder of its external data, if there is any.
    """
    with explained(f"the data of tensor {tensor.name!r} does not fit its shape and type"):
        array: Array = numpy_helper.to_array(loaded(tensor, folder))
    try:
        return array.astype(dtype_from_onnx(tensor.data_type, tensor=tensor.name), copy=False)
    except UnsupportedModelError:
        return array  # strings, and integers with fewer than eight bits


def tensor_of(values: np.ndarray[Any, Any], name: str) -> onnx.TensorProto:
    """Return a tensor with the values of an array; its dtype must be in `onepass.tensors.DTYPES`."""
    little = values if sys.byteorder == "little" else values.byteswap()  # ONNX is little-endian
    return onnx.TensorProto(
        name=name, data_type=onnx_from_dtype(values.dtype), dims=values.shape, raw_data=little.tobytes()
    )
