"""Rename outputs."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from onepass._errors import InputError, OutputNameError
from onepass.graph.casts import identity
from onepass.graph.nodes import initializer_names, replace_names, subgraphs
from onepass.tensors import no_such_name


def rename_outputs(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Rename outputs, ``{old: new}``; the model is changed in place, after all names have been checked.

    Requires: nothing.

    Ensures: the names of inputs, weights and tensors in inner graphs are unchanged; an output with such a name becomes
    a copy. Order and values of outputs are unchanged.

    Raises:
        OutputNameError: The model has no output with an old name.
        InputError: A new name is empty, or belongs to another tensor.
    """
    graph = model.graph
    names = {old: new for old, new in names.items() if old != new}
    outputs = [value.name for value in graph.output]
    for old in names:
        if old not in outputs:
            raise OutputNameError(no_such_name("output", old, tuple(outputs)))
    # A name read by an inner graph may also be defined there, so names in inner graphs are kept.
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
    """Return all names in inner graphs, whether captured from outside or defined there."""
    names: set[str] = set()
    for node in graph.node:
        for inner in subgraphs(node):
            names |= _edge_names(inner) | _inner_names(inner) | {value.name for value in inner.output}
            names.update(name for each in inner.node for name in (*each.input, *each.output))
    return names
