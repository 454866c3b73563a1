"""A TFLite model as it is in its file, run by LiteRT."""

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
"""From a file and an opset to ONNX, with the file's names of inputs and outputs."""


class TFLiteNetwork:
    """A TFLite model; LiteRT is needed to run it, not to look at it.

    Inputs and outputs are named as the model's signature names them, in its order; where it has none, as most have not,
    as its tensors are named.
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
                f"LiteRT cannot read {self._path}: {error}; the file is damaged or cut short"
            ) from error
        except RuntimeError as error:
            raise UnsupportedModelError(f"LiteRT cannot run {self._path}: {error}") from error
        return interpreter


def _interpreter_here() -> tuple[str, str]:
    """Return name and version of what opens a model: LiteRT or, where that is not installed, the schema alone."""
    if find_spec("ai_edge_litert") is None:
        return "TFLite's schema", version("tflite")
    return "LiteRT", version("ai-edge-litert")


def read(path: Path, request: Request) -> TFLiteFile:
    """Read a file that can be converted.

    Raises:
        ModelFormatError: It is damaged.
        InputError: It has no signature of the name asked for.
        UnsupportedModelError: It keeps something from one call to the next.
    """
    file = TFLiteFile(path, signature=request.signature)
    if file.variables:
        raise UnsupportedModelError(
            f"{path} keeps a state from one call to the next ({', '.join(file.variables)}), which ONNX cannot. Export "
            "the network with its state as an input, and its new state as an output"
        )
    return file
