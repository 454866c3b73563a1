"""Inputs and outputs of an ONNX Runtime session: their specs, and values with dtypes that NumPy does not have."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onepass._errors import UnsupportedModelError
from onepass._optional import import_onnxruntime
from onepass.formats import Format
from onepass.outputs import Array
from onepass.runtime._model import ModelHandle
from onepass.runtime.onnxruntime._ending import RunOptions, Runs, is_of_runtime
from onepass.tensors import (
    STRING,
    Dim,
    Signature,
    TensorSpec,
    dim_from_onnx,
    dtype_from_onnx,
    dtype_name,
    has_dtype,
    no_dense_tensor,
    onnx_from_dtype,
)

# Dtypes that ONNX Runtime's Python binding cannot convert to NumPy; their bits are passed as unsigned integers.
_BITS: dict[int, np.dtype[Any]] = {1: np.dtype(np.uint8), 2: np.dtype(np.uint16)}
_REGISTERED = 2  # numpy.dtype.isbuiltin of types that another package (ml_dtypes) registered
_TENSOR = "tensor"  # start of ONNX Runtime's type name of dense tensors


def signature_of(session: Any, handle: ModelHandle) -> Signature:
    nodes = (*session.get_inputs(), *session.get_outputs())
    shapes: dict[str, tuple[Dim, ...] | None] = {node.name: () for node in nodes}
    if any(not node.shape for node in nodes) and handle.format is Format.ONNX:
        # ONNX Runtime reports [] for scalars, for unknown ranks, and for tensors wrongly declared as scalars.
        signature = handle.graph().signature
        shapes = {spec.name: spec.shape for spec in (*signature.outputs, *signature.inputs)}
    outputs = {node.name: node for node in session.get_outputs()}
    left_out = {name: _kind(node) for name, node in outputs.items() if _kind(node) != _TENSOR}
    if len(left_out) == len(outputs) > 0:
        name, kind = next(iter(left_out.items()))
        raise UnsupportedModelError(no_dense_tensor(name, kind))
    return Signature(
        tuple(_spec(node, shapes) for node in session.get_inputs()),
        tuple(_spec(node, shapes) for name, node in outputs.items() if name not in left_out),
        left_out,
    )


def _spec(node: Any, shapes: Mapping[str, tuple[Dim, ...] | None]) -> TensorSpec:
    if _kind(node) != _TENSOR:
        raise UnsupportedModelError(no_dense_tensor(node.name, _kind(node)))
    dtype = dtype_from_onnx(str(node.type).removeprefix("tensor(").removesuffix(")"), tensor=node.name)
    shape = tuple(map(dim_from_onnx, node.shape))
    return TensorSpec(node.name, dtype, shape or shapes.get(node.name))


def _kind(node: Any) -> str:
    """Return the kind of an input or output, as in `Signature.left_out`."""
    kind, _, inner = str(node.type).removesuffix(")").partition("(")
    if kind == _TENSOR and not has_dtype(inner):
        return f"tensor of {inner}"
    return {"seq": "sequence", "sparse_tensor": "sparse tensor"}.get(kind, kind)


class HostRun:
    """Runs sessions of one model, or of parts of it, with host arrays."""

    def __init__(self, signature: Signature, runs: Runs) -> None:
        """Prepare for the model's dtypes.

        Args:
            signature: Signature of the complete model.
            runs: Stops runs, and knows the reason.
        """
        self._runs = runs
        # Outputs with dtypes that ONNX Runtime's binding does not convert to NumPy.
        self._rare = {spec.name: spec.dtype for spec in signature.outputs if spec.dtype.isbuiltin == _REGISTERED}
        self._is_exotic = bool(self._rare) or any(spec.dtype.isbuiltin == _REGISTERED for spec in signature.inputs)

    def __call__(
        self, session: Any, feeds: Mapping[str, Array], names: Sequence[str], options: RunOptions
    ) -> list[Array]:
        """Compute the outputs `names`.

        Raises:
            BackendError: ONNX Runtime failed, or the run was stopped.
            UnsupportedModelError: An output such as bfloat16 is requested in a call with string inputs: ONNX Runtime's
                Python package cannot create OrtValues from strings, nor arrays of bfloat16.
        """
        # Outputs that are inputs are not requested: older versions of ONNX Runtime return the memory of the input
        # itself, and the CUDA provider copies it back from the GPU without waiting for it.
        computed = [name for name in names if name not in feeds]
        try:
            run = self._run_exotic if self._is_exotic else _run_plain
            values = run(session, feeds, computed, options) if computed else []
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            if not is_of_runtime(error):
                raise
            raise self._runs.failure(options, f"ONNX Runtime failed on {shapes_text(feeds)}: {error}") from error
        results = dict(zip(computed, values, strict=True))
        return [results[name] if name in results else feeds[name].copy() for name in names]

    def _run_exotic(
        self, session: Any, feeds: Mapping[str, Array], names: Sequence[str], options: RunOptions
    ) -> list[Array]:
        """Run with OrtValues, which have ONNX's element types, for dtypes that NumPy does not have."""
        values = {name: value_from_array(array) for name, array in feeds.items()}
        texts = [name for name, array in feeds.items() if array.dtype == STRING]
        if not texts:
            return [_array_from_value(value) for value in session.run_with_ort_values(list(names), values, options)]
        for name in names:
            if name in self._rare:
                raise UnsupportedModelError(
                    f"output {name!r} is {self._rare[name]} and is requested in a call with strings ({texts[0]!r}); "
                    f"ONNX Runtime's Python package supports only one of the two in a call. Request other outputs, "
                    f"outputs=[...], or cast {name!r} to float32 in the model"
                )
        return list(session.run(list(names), values, options))


def _run_plain(session: Any, feeds: Mapping[str, Array], names: Sequence[str], options: RunOptions) -> list[Array]:
    results: list[Array] = session.run(names, feeds, options)
    return results


def shapes_text(feeds: Mapping[str, Any]) -> str:
    """List the inputs of a run with dtypes and shapes, for messages."""
    return (
        ", ".join(f"{name} {dtype_name(array.dtype)}{list(array.shape)}" for name, array in feeds.items())
        or "no inputs"
    )


def element_type(dtype: np.dtype[Any]) -> Any:
    """Return a dtype for ONNX Runtime's binding: the NumPy dtype itself, or ONNX's type number."""
    return onnx_from_dtype(dtype) if dtype.isbuiltin == _REGISTERED else dtype


def value_from_array(array: Array) -> Any:
    """Return an OrtValue for an array; string arrays are returned unchanged."""
    if array.dtype == STRING:
        return array
    if array.dtype.isbuiltin != _REGISTERED:
        return import_onnxruntime().OrtValue.ortvalue_from_numpy(array)
    bits = array.view(_BITS[array.dtype.itemsize])
    return import_onnxruntime().OrtValue.ortvalue_from_numpy_with_onnx_type(bits, onnx_from_dtype(array.dtype))


def _array_from_value(value: Any) -> Array:
    dtype = dtype_from_onnx(value.element_type(), tensor="output")
    if dtype == STRING:
        strings: Array = value.numpy()
        return strings
    shape = tuple(value.shape())
    array: Array = np.empty(shape, dtype)
    if array.nbytes:
        ctypes.memmove(array.ctypes.data, value.data_ptr(), array.nbytes)
    return array
