"""Translate TFLite float networks to ONNX without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx

from onepass._errors import UnsupportedModelError
from onepass.source.frameworks.tflite import _pictures, _simple
from onepass.source.frameworks.tflite._file import Operator, TFLiteFile
from onepass.source.frameworks.tflite._graph import GraphInTheMaking

OPSETS = range(14, 18)
"""The opsets in which the written nodes have the same meaning."""

_OPERATORS: Mapping[str, Callable[[GraphInTheMaking, Operator], None]] = {
    "CONV_2D": _pictures.convolution,
    "DEPTHWISE_CONV_2D": _pictures.depthwise_convolution,
    "MAX_POOL_2D": _pictures.pooling,
    "AVERAGE_POOL_2D": _pictures.pooling,
    "RESIZE_BILINEAR": _pictures.resizing,
    "RESIZE_NEAREST_NEIGHBOR": _pictures.resizing,
    "DEPTH_TO_SPACE": _pictures.depth_to_space,
    **dict.fromkeys(_simple.ELEMENTWISE, _simple.elementwise),
    "PRELU": _simple.prelu,
    "PAD": _simple.padding,
    "CONCATENATION": _simple.concatenation,
    "RESHAPE": _simple.reshaping,
    "SQUEEZE": _simple.reshaping,
    "EXPAND_DIMS": _simple.reshaping,
    "DEQUANTIZE": _simple.dequantized,
    "FULLY_CONNECTED": _simple.fully_connected,
    "SOFTMAX": _simple.softmax,
    "MEAN": _simple.mean,
    "TRANSPOSE": _simple.transposition,
}
_CONSTANTS = {"FLOAT16", "INT32", "INT64"}


def translated(file: TFLiteFile, opset: int) -> onnx.ModelProto:
    """Return a float network as ONNX.

    Raises:
        UnsupportedModelError: An operator, or a variant of it, is not covered here.
    """
    if opset not in OPSETS:
        raise UnsupportedModelError(f"opset {opset} is not supported here; expected {OPSETS[0]} to {OPSETS[-1]}")
    graph = GraphInTheMaking(file)
    for operator in file.operators:
        if operator.kind not in _OPERATORS:
            raise UnsupportedModelError(f"operator {operator.kind} is not covered here")
        _check_numbers(file, operator)
        try:
            _OPERATORS[operator.kind](graph, operator)
        except (AttributeError, ArithmeticError, IndexError, TypeError, ValueError) as error:
            raise UnsupportedModelError(f"operator {operator.kind} does not follow the schema: {error}") from error
    return graph.model(opset)


def _check_numbers(file: TFLiteFile, operator: Operator) -> None:
    for index in (*operator.inputs, *operator.outputs):
        tensor = file.tensors[index] if index >= 0 else None
        if tensor is None or (tensor.is_plain and tensor.kind == "FLOAT32"):
            continue
        if not tensor.is_plain or tensor.data is None or tensor.kind not in _CONSTANTS:
            raise UnsupportedModelError(f"tensor {tensor.name!r} is {tensor.kind}, quantised, or sparse")
