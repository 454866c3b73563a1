"""A TFLite model, run by LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx

from onepass._errors import ModelFormatError, UnsupportedModelError
from onepass._optional import optional
from onepass.outputs import Array
from onepass.source.framework import Request
from onepass.source.frameworks.tflite._file import TFLiteFile

Translate = Callable[[TFLiteFile, int], onnx.ModelProto]
"""Translates a file to ONNX in an opset, with the file's names of inputs and outputs."""


class TFLiteNetwork:
    """A TFLite model; only running it requires LiteRT.

    Inputs and outputs have the signature's names and order or, without a signature, as in most models, the tensors'
    names.
    """

    def __init__(self, path: Path, file: TFLiteFile, translate: Translate) -> None:
        self.framework, self.version = _interpreter_here()
        self._path, self._file, self._translate = path, file, translate
        self.signature = file.signature
        self.examples: Mapping[str, Array] = {}

    def export(self, opset: int) -> onnx.ModelProto:
        """Translate the model."""
        return self._translate(self._file, opset)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model in LiteRT."""
        interpreter = self._interpreter
        for name, index in self._file.inputs.items():
            interpreter.resize_tensor_input(index, inputs[name].shape, strict=True)
        interpreter.allocate_tensors()
        for name, index in self._file.inputs.items():
            interpreter.set_tensor(index, inputs[name])
        interpreter.invoke()
        return {name: interpreter.get_tensor(index) for name, index in self._file.outputs.items()}

    @cached_property
    def _interpreter(self) -> Any:
        litert = optional("ai_edge_litert.interpreter", extra="tflite", purpose="Running TFLite models")
        try:
            interpreter = litert.Interpreter(model_path=str(self._path), num_threads=1)
            interpreter.allocate_tensors()
        except ValueError as error:
            raise ModelFormatError(
                f"LiteRT cannot read {self._path}: {error}; the file is damaged or truncated"
            ) from error
        except RuntimeError as error:
            raise UnsupportedModelError(f"LiteRT cannot run {self._path}: {error}") from error
        return interpreter


def _interpreter_here() -> tuple[str, str]:
    """Return name and version of LiteRT or, if it is not installed, of the schema package."""
    if find_spec("ai_edge_litert") is None:
        return "TFLite's schema", version("tflite")
    return "LiteRT", version("ai-edge-litert")


def read(path: Path, request: Request) -> TFLiteFile:
    """Read a file, and check that it can be converted.

    Raises:
        ModelFormatError: The file is damaged.
        InputError: The requested signature does not exist.
        UnsupportedModelError: The network keeps a state between calls.
    """
    file = TFLiteFile(path, signature=request.signature)
    if file.variables:
        raise UnsupportedModelError(
            f"{path} keeps a state between calls ({', '.join(file.variables)}), which ONNX does not support. Export "
            "the network with its state as an input, and its new state as an output"
        )
    return file
