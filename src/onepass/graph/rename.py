"""Outputs under other names."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from onepass._errors import InputError, OutputNameError
from onepass.graph.casts import identity
from onepass.graph.nodes import initializer_names, replace_names, subgraphs
from onepass.tensors import no_such_name


def rename_outputs(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Give outputs new names, ``{old: new}``; the model is changed in place, once all names are found to be good.

    Requires: nothing.

    Ensures: inputs, weights and all names in inner graphs are what they were; an output that is one of these becomes a
    copy of it. Outputs keep their order, and what they compute.

    Raises:
        OutputNameError: The model has no output of an old name.
        InputError: A new name is empty, or that of another tensor.
    """
    graph = model.graph
    names = {old: new for old, new in names.items() if old != new}
    outputs = [value.name for value in graph.output]
    for old in names:
        if old not in outputs:
            raise OutputNameError(no_such_name("output", old, tuple(outputs)))
    # What an inner graph reads may also be a name of its own there, so these keep their names.
    fixed = _edge_names(graph) | _inner_names(graph)
    taken = (fixed | {name for node in graph.node for name in node.output}) - (set(names) - fixed)
    for old, new in names.items():
        if not new or new in taken or list(names.values()).count(new) > 1:
            raise InputError(f"cannot rename output {old!r} to {new!r}: the name is empty or another tensor has it")
    moving = {old: new for old, new in names.items() if old not in fixed}
    for value in (*graph.output, *graph.value_info):
        value.name = moving.get(value.name, value.name)
    for node in graph.node:
        replace_names(node.input, moving)
        replace_names(node.output, moving)
    for value in graph.output:
        if value.name in fixed and value.name in names:
            graph.node.append(identity(value.name, names[value.name]))
            value.name = names[value.name]


def _edge_names(graph: onnx.GraphProto) -> set[str]:
    return {value.name for value in graph.input} | initializer_names(graph)


def _inner_names(graph: onnx.GraphProto) -> set[str]:
    """Every name that occurs in a graph inside a node of this one: read from outside, or defined there."""
    names: set[str] = set()
    for node in graph.node:
        for inner in subgraphs(node):
            names |= _edge_names(inner) | _inner_names(inner) | {value.name for value in inner.output}
            names.update(name for each in inner.node for name in (*each.input, *each.output))
    return names
