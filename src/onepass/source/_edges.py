"""Rename the inputs and outputs of an exported graph, and set their shapes."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from onepass.graph.casts import identity
from onepass.graph.edges import inputs_of
from onepass.graph.nodes import all_names, free_name, rename_tensors
from onepass.tensors import Dim


def with_edges(
    model: onnx.ModelProto, *, inputs: Mapping[str, str] | None = None, outputs: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """Return the model with inputs and outputs renamed, ``{old: new}``; others keep their names.

    Inner tensors with a new name are renamed, too. If an output that is also an input gets another name, the output
    becomes a copy, so that the input keeps its name.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model)
    graph = proto.graph
    new_inputs = {each.name: each.name for each in inputs_of(graph)} | dict(inputs or {})
    new_outputs = {each.name: each.name for each in graph.output} | dict(outputs or {})
    names = {**new_outputs, **new_inputs}
    taken = all_names(graph)
    wanted = set(names.values()) | set(new_outputs.values())
    for name in sorted((wanted & taken) - set(names)):
        names[name] = free_name(taken, f"{name}_inner")
    rename_tensors(graph, names)
    for old, new in new_outputs.items():
        if names[old] != new:
            graph.node.append(identity(names[old], new))
            next(value for value in graph.output if value.name == names[old]).name = new
    return proto


def set_shape(value: onnx.ValueInfoProto, shape: tuple[Dim, ...]) -> None:
    """Set the shape of an input or output: numbers, names of dynamic sizes, or None for unnamed ones."""
    dims = value.type.tensor_type.shape.dim
    del dims[:]
    for size in shape:
        dim = dims.add()
        if isinstance(size, int):
            dim.dim_value = size
        elif size is not None:
            dim.dim_param = size
