"""Change the types of inputs and outputs, with a Cast after each input and before each output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from onepass._errors import UnsupportedModelError
from onepass.graph.casts import cast
from onepass.graph.model import OnnxGraph
from onepass.graph.nodes import all_names, free_name, rename_tensors, set_nodes
from onepass.tensors import onnx_from_dtype


def with_edge_types(graph: OnnxGraph, types: Mapping[str, np.dtype[Any]]) -> OnnxGraph:
    """Return a graph whose inputs and outputs have other types; the computation is unchanged.

    Args:
        graph: A model.
        types: Name of an input or output to its new NumPy dtype.

    Raises:
        UnsupportedModelError: A tensor is both an input and an output.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    inputs, outputs = ({value.name: value for value in edges} for edges in (proto.graph.input, proto.graph.output))
    taken = all_names(proto.graph)
    first: list[onnx.NodeProto] = []
    last: list[onnx.NodeProto] = []
    for name, dtype in types.items():
        if name in inputs and name in outputs:
            raise UnsupportedModelError(f"the type of {name!r} cannot be changed: it is both an input and an output")
        value = inputs.get(name) or outputs[name]
        own, new = value.type.tensor_type.elem_type, onnx_from_dtype(dtype)
        inner = free_name(taken, f"{name}__inside")
        rename_tensors(proto.graph, {name: inner})
        value.name, value.type.tensor_type.elem_type = name, new
        ends = (name, inner, own) if name in inputs else (inner, name, new)
        (first if name in inputs else last).append(cast(*ends, name=free_name(taken, f"{name}__cast")))
    set_nodes(proto.graph, [*first, *proto.graph.node, *last])
    return OnnxGraph(proto, folder=graph.folder)
