"""Variants of a model to compare it with: in half precision, and broken on purpose."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onepass import OnnxGraph


def half_copy(graph: OnnxGraph) -> OnnxGraph:
    """Return a copy that computes in float16 throughout, between inputs and outputs that stay as they are."""
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    body = proto.graph
    del body.value_info[:]
    # The sizes and scales of a Resize are float32 in every precision.
    kept = {name for node in body.node if node.op_type == "Resize" for name in node.input[1:]}
    for tensor in body.initializer:
        if tensor.name not in kept:
            _halve(tensor)
    inputs = [value.name for value in body.input if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    outputs = [value.name for value in body.output if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    for node in body.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR and not kept & set(node.output):
                _halve(attribute.t)
            elif attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
                attribute.i = onnx.TensorProto.FLOAT16
        node.input[:] = [f"{name}/half" if name in inputs + outputs else name for name in node.input]
        node.output[:] = [f"{name}/half" if name in outputs else name for name in node.output]
    before = [helper.make_node("Cast", [name], [f"{name}/half"], to=onnx.TensorProto.FLOAT16) for name in inputs]
    after = [helper.make_node("Cast", [f"{name}/half"], [name], to=onnx.TensorProto.FLOAT) for name in outputs]
    nodes = [*before, *body.node, *after]
    del body.node[:]
    body.node.extend(nodes)
    return OnnxGraph(proto)


def _halve(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == onnx.TensorProto.FLOAT:
        with np.errstate(over="ignore"):
            array = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def broken_copy(graph: OnnxGraph, weight: str, *, factor: float = 1.5) -> OnnxGraph:
    """Return a copy in which one weight is multiplied by a factor."""
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    tensor = next(each for each in proto.graph.initializer if each.name == weight)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), weight))
    return OnnxGraph(proto)
