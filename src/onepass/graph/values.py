"""What can be said of a model's tensors without running it: those that are constants, and their types and shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, shape_inference

from onepass.graph.arrays import tensor_of
from onepass.graph.casts import is_standard
from onepass.graph.nodes import all_names, free_name
from onepass.graph.sound import explained
from onepass.outputs import Array

# The forms of a Constant that hold plain numbers, beside `value`, a tensor.
_NUMBERS: dict[str, Any] = {
    "value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64,
}  # fmt: skip


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the constants of a graph by name: its weights, and what its Constant nodes hold.

    A weight that is listed among the inputs too is one of them, as in `OnnxGraph.signature`. Sparse ones and texts
    are left out.
    """
    found = {tensor.name: tensor for tensor in graph.initializer if tensor.name}
    for node in graph.node:
        tensor = _constant_tensor(node) if is_standard(node, "Constant") and node.output[0] else None
        if tensor is not None:
            found[node.output[0]] = tensor
    return found


def _constant_tensor(node: onnx.NodeProto) -> onnx.TensorProto | None:
    for attribute in node.attribute:
        if attribute.name == "value":
            tensor: onnx.TensorProto = attribute.t
            return tensor
        if attribute.name in _NUMBERS:
            values = np.asarray(attribute_value(attribute), _NUMBERS[attribute.name])
            return tensor_of(values, node.output[0])
    return None


def attribute_value(attribute: onnx.AttributeProto) -> Any:
    """Return what an attribute of a node holds: a number, bytes, a list of these, a tensor, a graph …."""
    return helper.get_attribute_value(attribute)


def inferred(model: onnx.ModelProto, *, by_value: bool = False) -> dict[str, onnx.ValueInfoProto]:
    """Return what ONNX knows or can infer of the tensors of the main graph, by name; weights are not among them.

    Args:
        model: Stays as it is.
        by_value: Whether to compute shapes that depend on values too, such as that of a Reshape behind a Shape.
    """
    with explained("types and shapes of its tensors cannot be inferred"):
        graph = shape_inference.infer_shapes(model, data_prop=by_value).graph
    return {value.name: value for value in (*graph.value_info, *graph.input, *graph.output) if value.name}


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Return ONNX's number of the element type of every tensor of the main graph, weights included.

    It is 0 where there is none: for sequences, and where ONNX cannot infer it.
    """
    types = {name: int(value.type.tensor_type.elem_type) for name, value in inferred(model).items()}
    return types | {name: tensor.data_type for name, tensor in constants(model.graph).items()}


def shapes(model: onnx.ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes that ONNX can infer, with None for what is not a fixed size; no entry where it cannot."""
    return {
        name: tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim)
        for name, value in inferred(model, by_value=True).items()
        if value.type.tensor_type.HasField("shape")
    }


def read_other(graph: onnx.GraphProto, node: onnx.NodeProto, place: int, value: Array, *, mark: str) -> None:
    """Give a node another constant for one of its inputs; whoever else reads the former one still does.

    Args:
        graph: The graph that the node is in; changed in place.
        node: The node.
        place: Which of its inputs.
        value: The constant's values.
        mark: What its name has behind the former one's.
    """
    name = free_name(all_names(graph), f"{node.input[place]}_{mark}")
    graph.initializer.append(tensor_of(value, name))
    node.input[place] = name
