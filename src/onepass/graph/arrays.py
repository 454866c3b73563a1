"""Tensors of a model as arrays, and back."""

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
    """Return a copy of a tensor with its numbers in it, read from its file in `folder` if it has one."""
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    if external_data_helper.uses_external_data(copy) and folder is not None:
        external_data_helper.load_external_data_for_tensor(copy, str(folder))
        copy.data_location = onnx.TensorProto.DEFAULT
        del copy.external_data[:]
    return copy


def array_of(tensor: onnx.TensorProto, folder: Path | None = None) -> Array:
    """Return the values of a tensor, in its own type: bfloat16 and float8 too, which onnx before 1.19 gives as float32.

    Args:
        tensor: A weight, or the value of a constant.
        folder: Where its file lies, if it is external.
    """
    with explained(f"tensor {tensor.name!r} does not hold the numbers that its shape and type say"):
        array: Array = numpy_helper.to_array(loaded(tensor, folder))
    try:
        return array.astype(dtype_from_onnx(tensor.data_type, tensor=tensor.name), copy=False)
    except UnsupportedModelError:
        return array  # texts, and whole numbers below eight bits


def tensor_of(values: np.ndarray[Any, Any], name: str) -> onnx.TensorProto:
    """Return a tensor that holds an array of one of `onepass.tensors.DTYPES`."""
    little = values if sys.byteorder == "little" else values.byteswap()  # as ONNX has its bytes
    return onnx.TensorProto(
        name=name, data_type=onnx_from_dtype(values.dtype), dims=values.shape, raw_data=little.tobytes()
    )
