"""TFLite models: translated by tf2onnx, run by LiteRT."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from onepass._errors import InputError, ModelFormatError, UnsupportedModelError
from onepass._optional import optional
from onepass.outputs import Array
from onepass.source._edges import with_edges
from onepass.source.framework import Request, example_shapes
from onepass.source.frameworks.tensorflow import translated
from onepass.tensors import Signature, TensorSpec, no_dense_tensor, no_such_name


class _TFLite:
    """A TFLite model in LiteRT's interpreter.

    Inputs and outputs are named as the model's signature names them, and where it has none (most have not) as its
    tensors are named.
    """

    framework = "LiteRT"

    def __init__(self, path: Path, request: Request) -> None:
        self.version = version("ai-edge-litert")
        self._path = path
        self._interpreter = _interpreter(path)
        names = _names(self._interpreter, path, request.signature)
        self._inputs, self._outputs = (
            {names.get(each["name"], each["name"]): each for each in details}
            for details in (self._interpreter.get_input_details(), self._interpreter.get_output_details())
        )
        self._allocated = {name: tuple(each["shape"]) for name, each in self._inputs.items()}
        self.signature = Signature(
            tuple(_spec(name, detail) for name, detail in self._inputs.items()),
            tuple(_spec(name, detail) for name, detail in self._outputs.items()),
        )
        self.shapes = example_shapes(self.signature)
        self.examples: Mapping[str, Array] = {}

    def export(self, opset: int) -> onnx.ModelProto:
        """Translate the model with tf2onnx."""
        try:
            model = translated("tflite", str(self._path), opset=opset, extra="tflite")
        except ValueError as error:
            if "cannot reshape array" not in str(error):
                raise
            raise UnsupportedModelError(
                f"{self._path} has sparse weights, which tf2onnx does not unpack; convert a dense variant of it"
            ) from error
        return with_edges(
            model,
            inputs={detail["name"]: name for name, detail in self._inputs.items()},
            outputs={detail["name"]: name for name, detail in self._outputs.items()},
        )

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model in LiteRT."""
        shapes = {name: inputs[name].shape for name in self._inputs}
        if shapes != self._allocated:
            for name, detail in self._inputs.items():
                self._interpreter.resize_tensor_input(detail["index"], shapes[name], strict=True)
            self._interpreter.allocate_tensors()
            self._allocated = shapes
        for name, detail in self._inputs.items():
            self._interpreter.set_tensor(detail["index"], inputs[name])
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(detail["index"]) for name, detail in self._outputs.items()}


def open_(source: Path, request: Request) -> _TFLite:
    """Open a TFLite file.

    Raises:
        ModelFormatError: It is damaged.
        UnsupportedModelError: It has operators of its own, or inputs that NumPy has no dtype for.
        InputError: It has no signature of the name asked for.
    """
    return _TFLite(source, request)


def _interpreter(path: Path) -> Any:
    litert = optional("ai_edge_litert.interpreter", extra="tflite", purpose="Running TFLite models")
    try:
        interpreter = litert.Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
    except ValueError as error:
        raise ModelFormatError(f"LiteRT cannot read {path}: {error}; the file is damaged or cut short") from error
    except RuntimeError as error:
        raise UnsupportedModelError(f"LiteRT cannot run {path}: {error}") from error
    return interpreter


def _names(interpreter: Any, path: Path, wanted: str | None) -> dict[str, str]:
    """Return which tensor has which name in the signature that is wanted; nothing if the model has no signatures."""
    known = interpreter.get_signature_list()
    if wanted is not None and wanted not in known:
        raise InputError(f"{path}: {no_such_name('signature', wanted, tuple(known))}")
    if not known:
        return {}
    runner = interpreter.get_signature_runner(wanted or next(iter(known)))
    details = {**runner.get_input_details(), **runner.get_output_details()}
    return {detail["name"]: name for name, detail in details.items()}


def _spec(name: str, detail: Mapping[str, Any]) -> TensorSpec:
    shape = tuple(None if size < 0 else int(size) for size in detail["shape_signature"])
    dtype = np.dtype(detail["dtype"])
    if dtype.kind not in "fiubc":
        raise UnsupportedModelError(no_dense_tensor(name, "string"))
    return TensorSpec(name, dtype, shape)
