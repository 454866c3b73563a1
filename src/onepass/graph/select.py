"""Reduce a model to what some of its outputs need."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from onepass.graph.nodes import initializer_names, reach, set_nodes


def selected(model: onnx.ModelProto, outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
    """Return a model that computes `outputs`, in this order; the given model is not changed.

    Requires: every output is computed, an input, or a weight of the main graph.

    Ensures: nodes keep their order; unused nodes, inputs, weights and types of inner tensors are gone. Metadata,
    functions and opsets are kept. Only weights that are still used are copied.
    """
    source, proto = model.graph, _shell(model)
    nodes, needed = reach(source.node, [value.name for value in outputs])
    graph = proto.graph
    graph.name, graph.doc_string = source.name, source.doc_string
    graph.output.extend(outputs)
    graph.node.extend(nodes)
    graph.input.extend(value for value in source.input if value.name in needed)
    graph.initializer.extend(tensor for tensor in source.initializer if tensor.name in needed)
    graph.sparse_initializer.extend(tensor for tensor in source.sparse_initializer if tensor.values.name in needed)
    graph.value_info.extend(source.value_info)
    forget_absent(graph)
    return proto


def drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes and weights that no output needs; the graph is changed in place.

    Requires: nothing.

    Ensures: inputs, outputs and the order of nodes are unchanged. Weights that are also inputs stay.
    """
    nodes, needed = reach(graph.node, [value.name for value in graph.output])
    set_nodes(graph, nodes)
    needed |= {value.name for value in graph.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in needed]
    sparse = [tensor for tensor in graph.sparse_initializer if tensor.values.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.sparse_initializer[:]
    graph.sparse_initializer.extend(sparse)
    forget_absent(graph)


def forget_absent(graph: onnx.GraphProto) -> None:
    """Drop type information for tensors that the graph does not have; changed in place."""
    there = {value.name for value in graph.input} | initializer_names(graph)
    there |= {name for node in graph.node for name in node.output}
    values = [value for value in graph.value_info if value.name in there]
    del graph.value_info[:]
    graph.value_info.extend(values)


def _shell(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of the model without the main graph."""
    proto = onnx.ModelProto()
    for entry in model.DESCRIPTOR.fields:
        if entry.name != "graph" and entry.is_repeated:
            getattr(proto, entry.name).extend(getattr(model, entry.name))
        elif entry.name != "graph" and model.HasField(entry.name):
            setattr(proto, entry.name, getattr(model, entry.name))
    return proto
