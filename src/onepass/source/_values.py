"""What can be said of a graph's tensors without running it: those that are constants, and shapes."""

from __future__ import annotations

import onnx
from onnx import numpy_helper, shape_inference

from onepass.graph.nodes import all_names, free_name
from onepass.outputs import Array


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the constants of a graph by name: initializers, and results of Constant nodes."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def shapes(proto: onnx.ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes that ONNX can infer, with None for what is not a fixed size."""
    graph = shape_inference.infer_shapes(proto, data_prop=True).graph
    return {
        value.name: tuple(
            dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim
        )
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.HasField("shape")
    }


def read_other(graph: onnx.GraphProto, node: onnx.NodeProto, place: int, value: Array, *, mark: str) -> None:
    """Give a node another constant for one of its inputs; whoever else reads the former one still does."""
    name = free_name(all_names(graph), f"{node.input[place]}_{mark}")
    graph.initializer.append(numpy_helper.from_array(value, name))
    node.input[place] = name
