"""TFLite models of every kind, translated by tf2onnx, which needs TensorFlow."""

from __future__ import annotations

from pathlib import Path

import onnx

from onepass._errors import UnsupportedModelError
from onepass.source._edges import with_edges
from onepass.source.framework import Request
from onepass.source.frameworks.tensorflow import translated
from onepass.source.frameworks.tflite._file import TFLiteFile
from onepass.source.frameworks.tflite._litert import TFLiteNetwork, read


def open_(source: Path, request: Request) -> TFLiteNetwork:
    """Open a TFLite file.

    Raises:
        ModelFormatError: It is damaged.
        UnsupportedModelError: It has inputs that NumPy has no dtype for, or a state.
        InputError: It has no signature of the name asked for.
    """

    def translate(file: TFLiteFile, opset: int) -> onnx.ModelProto:
        try:
            model = translated("tflite", str(source), opset=opset, extra="tensorflow,tflite")
        except ValueError as error:
            if "cannot reshape array" not in str(error):
                raise
            raise UnsupportedModelError(
                f"{source} has sparse weights, which tf2onnx does not unpack; convert a dense variant of it"
            ) from error
        inputs, outputs = (
            {file.tensors[index].name: name for name, index in ends.items()} for ends in (file.inputs, file.outputs)
        )
        return with_edges(model, inputs=inputs, outputs=outputs)

    return TFLiteNetwork(source, read(source, request), translate)
