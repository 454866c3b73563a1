"""Convolutions that say the size of their kernel: ONNX lets them leave it to the weights, some readers want it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx
from onnx import helper

from onepass.graph.model import OnnxGraph
from onepass.graph.nodes import producers

_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
# What weights may go through on their way, with their shape unchanged.
_PASSED = frozenset({"DequantizeLinear", "QuantizeLinear", "Cast", "Identity"})


def with_kernel_shapes(graph: OnnxGraph) -> OnnxGraph:
    """Return a graph in which each convolution whose weights are known has its ``kernel_shape``.

    TensorRT 8.5 reads none without it whose weights are quantised. Where none is missing, the graph itself comes back.
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
    """Return the tensor that another is, but for its type."""
    while name in makers and makers[name].op_type in _PASSED:
        name = makers[name].input[0]
    return name
