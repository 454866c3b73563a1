"""TFLite operators that work element by element, combine tensors, or change shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onepass._errors import UnsupportedModelError
from onepass.outputs import Array
from onepass.source.frameworks.tflite._file import Operator
from onepass.source.frameworks.tflite._graph import FIRST, GraphInTheMaking

_NO_ACTIVATION, _RELU, _RELU_N1_TO_1, _RELU6, _TANH = range(5)  # of the schema's ActivationFunctionType
_UNARY = {
    "ABS": "Abs", "CEIL": "Ceil", "COS": "Cos", "EXP": "Exp", "FLOOR": "Floor", "HARD_SWISH": "HardSwish", "LOG": "Log",
    "LOGISTIC": "Sigmoid", "NEG": "Neg", "RELU": "Relu", "SIN": "Sin", "SQRT": "Sqrt", "TANH": "Tanh", "ELU": "Elu",
}  # fmt: skip
_LIMITS = {"RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
_BINARY = {
    "ADD": "Add", "DIV": "Div", "MAXIMUM": "Max", "MINIMUM": "Min", "MUL": "Mul", "POW": "Pow", "SUB": "Sub",
}  # fmt: skip
ELEMENTWISE = (*_UNARY, *_LIMITS, *_BINARY, "LEAKY_RELU")


def activated(graph: GraphInTheMaking, operator: Operator, made: str, *, first: bool) -> None:
    """Record an operator's result, after its fused activation."""
    kind = operator.options.FusedActivationFunction() if operator.options is not None else _NO_ACTIVATION
    if kind == _RELU:
        made = graph.add("Relu", [made])
    elif kind in (_RELU6, _RELU_N1_TO_1):
        made = _limited(graph, made, *_LIMITS["RELU6" if kind == _RELU6 else "RELU_N1_TO_1"])
    elif kind == _TANH:
        made = graph.add("Tanh", [made])
    elif kind != _NO_ACTIVATION:
        raise UnsupportedModelError(f"activation {kind}")
    graph.computed(operator.outputs[0], made, first=first)


def _limited(graph: GraphInTheMaking, name: str, least: float, most: float) -> str:
    return graph.add("Clip", [name, graph.weight(np.float32(least)), graph.weight(np.float32(most))])


def elementwise(graph: GraphInTheMaking, operator: Operator) -> None:
    """Elementwise operators: use channels first if one of the pictures has this layout already."""
    kind = operator.kind
    inputs, first = _together(graph, operator.inputs)
    if kind in _LIMITS:
        graph.computed(operator.outputs[0], _limited(graph, inputs[0], *_LIMITS[kind]), first=first)
    elif kind == "LEAKY_RELU":
        made = graph.add("LeakyRelu", inputs, alpha=operator.options.Alpha())
        graph.computed(operator.outputs[0], made, first=first)
    elif kind in _UNARY:
        graph.computed(operator.outputs[0], graph.add(_UNARY[kind], inputs), first=first)
    elif hasattr(operator.options, "FusedActivationFunction"):
        activated(graph, operator, graph.add(_BINARY[kind], inputs), first=first)
    else:
        graph.computed(operator.outputs[0], graph.add(_BINARY[kind], inputs), first=first)


def _together(graph: GraphInTheMaking, indices: Sequence[int]) -> tuple[list[str], bool]:
    """Return the names of tensors in a common layout, and whether it is channels first."""
    pictures = all(len(graph.shape(index)) == 4 or graph.constant(index) is not None for index in indices)
    first = pictures and any(graph.is_first(index) for index in indices)
    return [graph.read_first(index) if first else graph.read(index) for index in indices], first


def prelu(graph: GraphInTheMaking, operator: Operator) -> None:
    """PRELU, with constant slopes."""
    inputs, first = _together(graph, operator.inputs)
    graph.computed(operator.outputs[0], graph.add("PRelu", inputs), first=first)


def padding(graph: GraphInTheMaking, operator: Operator) -> None:
    """PAD: zeros before and after each axis."""
    around = _needed(graph, operator.inputs[1])
    (name,), first = _together(graph, operator.inputs[:1])
    around = around[list(FIRST)] if first else around
    made = graph.add("Pad", [name, graph.weight(around.T.reshape(-1).astype(np.int64))])
    graph.computed(operator.outputs[0], made, first=first)


def concatenation(graph: GraphInTheMaking, operator: Operator) -> None:
    """CONCATENATION: along one axis."""
    inputs, first = _together(graph, operator.inputs)
    axis = operator.options.Axis() % len(graph.shape(operator.inputs[0]))
    made = graph.add("Concat", inputs, axis=FIRST.index(axis) if first else axis)
    activated(graph, operator, made, first=first)


def reshaping(graph: GraphInTheMaking, operator: Operator) -> None:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the same elements in the output's shape."""
    shape = [-1 if size is None else size for size in graph.shape(operator.outputs[0])]
    if shape.count(-1) > 1 or 0 in shape:
        raise UnsupportedModelError("a shape with several sizes that may change")
    made = graph.add("Reshape", [graph.read_flat(operator.inputs[0]), graph.weight(np.array(shape, np.int64))])
    graph.computed(operator.outputs[0], made)


def dequantized(graph: GraphInTheMaking, operator: Operator) -> None:
    """DEQUANTIZE of constants stored in half precision to save space."""
    values = _needed(graph, operator.inputs[0])
    if graph.tensors[operator.inputs[0]].kind != "FLOAT16":
        raise UnsupportedModelError("numbers that are quantised")
    graph.set_constant(operator.outputs[0], values.astype(np.float32))


def fully_connected(graph: GraphInTheMaking, operator: Operator) -> None:
    """FULLY_CONNECTED: weights are [outputs, inputs]; all axes but the last count items."""
    weights = _needed(graph, operator.inputs[1])
    shape = graph.shape(operator.outputs[0])
    flat = graph.weight(np.array([-1, weights.shape[1]], np.int64))
    inputs = [graph.add("Reshape", [graph.read_flat(operator.inputs[0]), flat]), graph.weight(weights)]
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        inputs.append(graph.read(operator.inputs[2]))
    made = graph.add("Gemm", inputs, transB=1)
    if len(shape) != 2:
        if shape.count(None) > 1:
            raise UnsupportedModelError("a shape with several sizes that may change")
        sizes = np.array([-1 if size is None else size for size in shape], np.int64)
        made = graph.add("Reshape", [made, graph.weight(sizes)])
    activated(graph, operator, made, first=False)


def softmax(graph: GraphInTheMaking, operator: Operator) -> None:
    """SOFTMAX along the last axis."""
    if operator.options.Beta() != 1:
        raise UnsupportedModelError("a softmax with a beta")
    graph.computed(operator.outputs[0], graph.add("Softmax", [graph.read(operator.inputs[0])], axis=-1))


def mean(graph: GraphInTheMaking, operator: Operator) -> None:
    """MEAN over some axes."""
    rank, keeps = len(graph.shape(operator.inputs[0])), operator.options.KeepDims()
    axes = sorted({int(axis) % rank for axis in _needed(graph, operator.inputs[1]).reshape(-1)})
    first = graph.is_first(operator.inputs[0]) and (keeps or axes == [1, 2])
    name = graph.read_first(operator.inputs[0]) if first else graph.read(operator.inputs[0])
    axes = [FIRST.index(axis) for axis in axes] if first else axes
    made = graph.add("ReduceMean", [name], axes=axes, keepdims=int(keeps))
    graph.computed(operator.outputs[0], made, first=first and keeps)


def transposition(graph: GraphInTheMaking, operator: Operator) -> None:
    """TRANSPOSE."""
    axes = _needed(graph, operator.inputs[1])
    graph.computed(operator.outputs[0], graph.add("Transpose", [graph.read(operator.inputs[0])], perm=axes.tolist()))


def _needed(graph: GraphInTheMaking, index: int) -> Array:
    values = graph.constant(index)
    if values is None:
        raise UnsupportedModelError(f"tensor {graph.tensors[index].name!r}, which is to be a constant, is computed")
    return values
