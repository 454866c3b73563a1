"""Inputs and outputs of a session of ONNX Runtime: what they are, and their values where NumPy has no name for them."""

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

# ONNX Runtime's Python binding has no NumPy form of these; their bits travel as unsigned integers.
_BITS: dict[int, np.dtype[Any]] = {1: np.dtype(np.uint8), 2: np.dtype(np.uint16)}
_REGISTERED = 2  # numpy.dtype.isbuiltin of a type that another package (ml_dtypes) registered
_TENSOR = "tensor"  # how ONNX Runtime begins the type of a dense one


def signature_of(session: Any, handle: ModelHandle) -> Signature:
    nodes = (*session.get_inputs(), *session.get_outputs())
    shapes: dict[str, tuple[Dim, ...] | None] = {node.name: () for node in nodes}
    if any(not node.shape for node in nodes) and handle.format is Format.ONNX:
        # ONNX Runtime says [] of a scalar, of an unknown rank and of what is wrongly declared a scalar alike.
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
    """Say what an input or output is, in the words of `Signature.left_out`."""
    kind, _, inner = str(node.type).removesuffix(")").partition("(")
    if kind == _TENSOR and not has_dtype(inner):
        return f"tensor of {inner}"
    return {"seq": "sequence", "sparse_tensor": "sparse tensor"}.get(kind, kind)


class HostRun:
    """Runs sessions of one model, or of parts of it, with arrays on the host."""

    def __init__(self, signature: Signature, runs: Runs) -> None:
        """Look at what goes in and comes out.

        Args:
            signature: Of the whole model.
            runs: What ends runs, and knows why.
        """
        self._runs = runs
        # Of types that ONNX Runtime's binding does not turn into NumPy's.
        self._rare = {spec.name: spec.dtype for spec in signature.outputs if spec.dtype.isbuiltin == _REGISTERED}
        self._is_exotic = bool(self._rare) or any(spec.dtype.isbuiltin == _REGISTERED for spec in signature.inputs)

    def __call__(
        self, session: Any, feeds: Mapping[str, Array], names: Sequence[str], options: RunOptions
    ) -> list[Array]:
        """Compute the outputs called `names`.

        Raises:
            BackendError: ONNX Runtime failed, or the run was ended.
            UnsupportedModelError: An output of a rare type is asked for where strings are given: ONNX Runtime's Python
                package makes no value of strings, and no array of bfloat16.
        """
        # An output that is an input is not asked for: older versions of ONNX Runtime return that input's very memory,
        # and the CUDA provider fetches it back from the GPU without waiting until it is there.
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
        """Run with values that carry ONNX's own element types, for those that NumPy has no name for."""
        values = {name: value_from_array(array) for name, array in feeds.items()}
        texts = [name for name, array in feeds.items() if array.dtype == STRING]
        if not texts:
            return [_array_from_value(value) for value in session.run_with_ort_values(list(names), values, options)]
        for name in names:
            if name in self._rare:
                raise UnsupportedModelError(
                    f"output {name!r} is {self._rare[name]} and is asked for in a call that takes strings "
                    f"({texts[0]!r}); ONNX Runtime's Python package moves only one of the two. Choose other outputs, "
                    f"outputs=[...], or cast {name!r} to float32 in the model"
                )
        return list(session.run(list(names), values, options))


def _run_plain(session: Any, feeds: Mapping[str, Array], names: Sequence[str], options: RunOptions) -> list[Array]:
    results: list[Array] = session.run(names, feeds, options)
    return results


def shapes_text(feeds: Mapping[str, Any]) -> str:
    """Name the inputs of a run with their dtypes and shapes, for messages."""
    return (
        ", ".join(f"{name} {dtype_name(array.dtype)}{list(array.shape)}" for name, array in feeds.items())
        or "no inputs"
    )


def element_type(dtype: np.dtype[Any]) -> Any:
    """Return what ONNX Runtime's binding calls a dtype: NumPy's own, or the number of ONNX's."""
    return onnx_from_dtype(dtype) if dtype.isbuiltin == _REGISTERED else dtype


def value_from_array(array: Array) -> Any:
    """Return a value of ONNX Runtime's for an array; of strings it makes none."""
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
