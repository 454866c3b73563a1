"""All TFLite models, translated by tf2onnx, which needs TensorFlow."""

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
        ModelFormatError: The file is damaged.
        UnsupportedModelError: The network has a state, or inputs without a NumPy dtype.
        InputError: The requested signature does not exist.
    """

    def translate(file: TFLiteFile, opset: int) -> onnx.ModelProto:
        try:
            model = translated("tflite", str(source), opset=opset, extra="tensorflow,tflite")
        except ValueError as error:
            if "cannot reshape array" not in str(error):
                raise
            raise UnsupportedModelError(
                f"{source} has sparse weights, which tf2onnx does not support; convert a dense variant of the model"
            ) from error
        inputs, outputs = (
            {file.tensors[index].name: name for name, index in ends.items()} for ends in (file.inputs, file.outputs)
        )
        return with_edges(model, inputs=inputs, outputs=outputs)

    return TFLiteNetwork(source, read(source, request), translate)
