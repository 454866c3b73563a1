"""Inputs and outputs of a session of ONNX Runtime: what they are, and their values where NumPy has no name for them."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from onepass._errors import UnsupportedModelError
from onepass._optional import import_onnxruntime
from onepass.formats import Format
from onepass.outputs import Array
from onepass.runtime._model import ModelHandle
from onepass.tensors import (
    STRING,
    Signature,
    TensorSpec,
    dim_from_onnx,
    dtype_from_onnx,
    has_dtype,
    no_dense_tensor,
    onnx_from_dtype,
)

# ONNX Runtime's Python binding has no NumPy form of these; their bits travel as unsigned integers.
_BITS: dict[int, np.dtype[Any]] = {1: np.dtype(np.uint8), 2: np.dtype(np.uint16)}
_REGISTERED = 2  # numpy.dtype.isbuiltin of a type that another package (ml_dtypes) registered
_TENSOR = "tensor"  # how ONNX Runtime begins the type of a dense one


def signature_of(session: Any, handle: ModelHandle) -> Signature:
    nodes = (*session.get_inputs(), *session.get_outputs())
    if any(not node.shape for node in nodes) and handle.format is Format.ONNX:
        # ONNX Runtime says [] of a scalar and of an unknown rank alike; the model itself knows.
        scalars = handle.graph().scalars
    else:
        scalars = frozenset(node.name for node in nodes)
    outputs = {node.name: node for node in session.get_outputs()}
    left_out = {name: _kind(node) for name, node in outputs.items() if _kind(node) != _TENSOR}
    if len(left_out) == len(outputs) > 0:
        name, kind = next(iter(left_out.items()))
        raise UnsupportedModelError(no_dense_tensor(name, kind))
    return Signature(
        tuple(_spec(node, scalars) for node in session.get_inputs()),
        tuple(_spec(node, scalars) for name, node in outputs.items() if name not in left_out),
        left_out,
    )


def _spec(node: Any, scalars: frozenset[str]) -> TensorSpec:
    if _kind(node) != _TENSOR:
        raise UnsupportedModelError(no_dense_tensor(node.name, _kind(node)))
    dtype = dtype_from_onnx(str(node.type).removeprefix("tensor(").removesuffix(")"), tensor=node.name)
    has_rank = node.shape or node.name in scalars
    return TensorSpec(node.name, dtype, tuple(map(dim_from_onnx, node.shape)) if has_rank else None)


def _kind(node: Any) -> str:
    """Say what an input or output is, in the words of `Signature.left_out`."""
    kind, _, inner = str(node.type).removesuffix(")").partition("(")
    if kind == _TENSOR and not has_dtype(inner):
        return f"tensor of {inner}"
    return {"seq": "sequence", "sparse_tensor": "sparse tensor"}.get(kind, kind)


def is_exotic(signature: Signature) -> bool:
    """Whether a tensor at the edge has a type that ONNX Runtime's binding does not turn into NumPy's.

    Raises:
        UnsupportedModelError: So it is, and an input holds strings; the binding takes either of them only.
    """
    exotic = [s for s in (*signature.inputs, *signature.outputs) if s.dtype.isbuiltin == _REGISTERED]
    texts = [spec.name for spec in signature.inputs if spec.dtype == STRING]
    if exotic and texts:
        raise UnsupportedModelError(
            f"the model takes strings ({', '.join(texts)}) beside {exotic[0].dtype} ({exotic[0].name}), and ONNX "
            "Runtime's Python package moves only one of the two; choose outputs that do without, "
            "OnnxGraph.load(...).select([...]), or cast to float32 in the model"
        )
    return bool(exotic)


def value_from_array(array: Array) -> Any:
    if array.dtype.isbuiltin != _REGISTERED:
        return import_onnxruntime().OrtValue.ortvalue_from_numpy(array)
    bits = array.view(_BITS[array.dtype.itemsize])
    return import_onnxruntime().OrtValue.ortvalue_from_numpy_with_onnx_type(bits, onnx_from_dtype(array.dtype))


def array_from_value(value: Any) -> Array:
    dtype = dtype_from_onnx(value.element_type(), tensor="output")
    if dtype == STRING:
        strings: Array = value.numpy()
        return strings
    shape = tuple(value.shape())
    array: Array = np.empty(shape, dtype)
    if array.nbytes:
        ctypes.memmove(array.ctypes.data, value.data_ptr(), array.nbytes)
    return array
