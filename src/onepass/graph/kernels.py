"""Add missing kernel sizes to convolutions: optional in ONNX, but required by some readers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx
from onnx import helper

from onepass.graph.model import OnnxGraph
from onepass.graph.nodes import producers

_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
# Operators that weights may pass through without a change of shape.
_PASSED = frozenset({"DequantizeLinear", "QuantizeLinear", "Cast", "Identity"})


def with_kernel_shapes(graph: OnnxGraph) -> OnnxGraph:
    """Return a graph in which each convolution with known weights has a ``kernel_shape``.

    TensorRT 8.5 requires it for quantised weights. If none is missing, the graph itself is returned.
    """
    missing = dict(_missing(graph.proto.graph))
    if not missing:
        return graph
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    for index, shape in missing.items():
        proto.graph.node[index].attribute.append(helper.make_attribute("kernel_shape", shape))
    return OnnxGraph(proto, folder=graph.folder)


def _missing(graph: onnx.GraphProto) -> Iterator[tuple[int, list[int]]]:
    shapes = {weight.name: list(weight.dims) for weight in graph.initializer}
    makers = producers(graph.node)
    for index, node in enumerate(graph.node):
        if node.op_type in _CONVOLUTIONS and not any(each.name == "kernel_shape" for each in node.attribute):
            shape = shapes.get(_origin(node.input[1], makers), [])
            if len(shape) > 2:
                yield index, shape[2:]


def _origin(name: str, makers: Mapping[str, onnx.NodeProto]) -> str:
    """Return the tensor that another one was converted from."""
    while name in makers and makers[name].op_type in _PASSED:
        name = makers[name].input[0]
    return name
