"""Static information about a model's tensors: constants, types and shapes."""

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

# Attributes of Constant for plain numbers, besides `value`, which is a tensor.
_NUMBERS: dict[str, Any] = {
    "value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64,
}  # fmt: skip


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the constants of a graph by name: weights, and values of Constant nodes.

    A weight that is also listed as an input counts as a constant, as in `OnnxGraph.signature`. Sparse tensors and
    strings are not included.
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
    """Return the value of a node's attribute: a number, bytes, a list of these, a tensor, a graph …."""
    return helper.get_attribute_value(attribute)


def inferred(model: onnx.ModelProto, *, by_value: bool = False) -> dict[str, onnx.ValueInfoProto]:
    """Return the declared or inferred types and shapes of the main graph's tensors by name, without weights.

    Args:
        model: The model; it is not changed.
        by_value: Whether to infer shapes that depend on values, too, such as that of a Reshape after a Shape.
    """
    with explained("types and shapes of its tensors cannot be inferred"):
        graph = shape_inference.infer_shapes(model, data_prop=by_value).graph
    return {value.name: value for value in (*graph.value_info, *graph.input, *graph.output) if value.name}


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the ONNX element type number of each tensor in the main graph, including weights.

    The number is 0 for sequences, and where ONNX cannot infer the type.
    """
    types = {name: int(value.type.tensor_type.elem_type) for name, value in inferred(model).items()}
    return types | {name: tensor.data_type for name, tensor in constants(model.graph).items()}


def shapes(model: onnx.ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Return all shapes that ONNX can infer, with None for dynamic sizes."""
    return {
        name: tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim)
        for name, value in inferred(model, by_value=True).items()
        if value.type.tensor_type.HasField("shape")
    }


def read_other(graph: onnx.GraphProto, node: onnx.NodeProto, place: int, value: Array, *, mark: str) -> None:
    """Replace one constant input of a node; other nodes keep the former constant.

    Args:
        graph: The node's graph; changed in place.
        node: The node.
        place: Index of the input.
        value: Values of the new constant.
        mark: Suffix of the new constant's name.
    """
    name = free_name(all_names(graph), f"{node.input[place]}_{mark}")
    graph.initializer.append(tensor_of(value, name))
    node.input[place] = name
