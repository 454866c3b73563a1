"""Names and reachability in a graph; the name ``""`` stands for an omitted input or output, not for a tensor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, MutableSequence, Sequence

import onnx

# ---- contents of a graph -------------------------------------------------------------------------------------------


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs inside a node: the branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def initializer_names(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the graph's own weights."""
    return {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}


# ---- inputs of a node ----------------------------------------------------------------------------------------------


def reads(node: onnx.NodeProto) -> set[str]:
    """Return the names of the outer tensors that a node reads: its inputs, and those that its inner graphs capture."""
    return {name for name in node.input if name} | inner_reads(node)


def inner_reads(node: onnx.NodeProto) -> set[str]:
    """Return the names of the outer tensors that the graphs inside a node read."""
    return {name for inner in subgraphs(node) for name in captured(inner)}


def captured(graph: onnx.GraphProto) -> set[str]:
    """Return the names that an inner graph reads but does not define."""
    own = {value.name for value in graph.input} | initializer_names(graph)
    own |= {name for node in graph.node for name in node.output}
    names = {value.name for value in graph.output} | {name for node in graph.node for name in reads(node)}
    return names - own


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield all nodes of a graph and of the graphs inside its nodes."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from all_nodes(inner)


# ---- reachability --------------------------------------------------------------------------------------------------


def producers(nodes: Iterable[onnx.NodeProto]) -> dict[str, onnx.NodeProto]:
    """Return the node that computes each tensor."""
    return {name: node for node in nodes for name in node.output if name}


def consumers(nodes: Iterable[onnx.NodeProto], name: str) -> list[onnx.NodeProto]:
    """Return the nodes with a tensor as an input, without those that read it only in an inner graph (`inner_reads`)."""
    return [node for node in nodes if name in node.input]


def reach(
    nodes: Iterable[onnx.NodeProto], tensors: Iterable[str], *, stop: Collection[str] = ()
) -> tuple[list[onnx.NodeProto], set[str]]:
    """Return the nodes that tensors depend on, and the names of these tensors and of all tensors that the nodes read.

    Args:
        nodes: Nodes in any order; the result keeps it.
        tensors: Tensors to start from.
        stop: Tensors whose producers are not followed, unless they are among `tensors`.
    """
    nodes = list(nodes)
    made_by: dict[str, list[int]] = {}  # several nodes only in an invalid model, which must stay invalid
    for index, node in enumerate(nodes):
        for name in filter(None, node.output):
            made_by.setdefault(name, []).append(index)
    names = {name for name in tensors if name}
    waiting, kept = list(names), set[int]()
    while waiting:
        for index in made_by.get(waiting.pop(), ()):
            if index in kept:
                continue
            kept.add(index)
            fresh = reads(nodes[index]) - names
            names |= fresh
            waiting.extend(name for name in fresh if name not in stop)
    return [nodes[index] for index in sorted(kept)], names


# ---- names ---------------------------------------------------------------------------------------------------------


def all_names(graph: onnx.GraphProto) -> set[str]:
    """Return all names of tensors and nodes in a graph and in the graphs inside its nodes."""
    names = {value.name for value in (*graph.input, *graph.output, *graph.value_info)}
    names |= initializer_names(graph)
    for node in graph.node:
        names.update(node.input, node.output)
        names.add(node.name)
        for inner in subgraphs(node):
            names |= all_names(inner)
    return names - {""}


def free_name(taken: set[str], wanted: str) -> str:
    """Return an unused, non-empty name, `wanted` if possible, and add it to `taken`."""
    name, number = wanted, 1
    while not name or name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node of the main graph a unique name; unique names are kept."""
    seen: set[str] = set()
    taken = all_names(graph)
    for node in graph.node:
        if not node.name or node.name in seen:
            node.name = free_name(taken, node.name or f"{node.op_type}_{next(filter(None, node.output), '')}")
        seen.add(node.name)


def rename_tensors(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename tensors everywhere, including in inner graphs; no new name may be in use already."""
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = names.get(sparse.values.name, sparse.values.name)
    for node in graph.node:
        replace_names(node.input, names)
        replace_names(node.output, names)
        for inner in subgraphs(node):
            rename_tensors(inner, names)


def replace_names(fields: MutableSequence[str], names: Mapping[str, str]) -> None:
    """Replace names in a node's inputs or outputs, ``{old: new}``; omitted ones stay omitted."""
    for index, name in enumerate(fields):
        if name and name in names:
            fields[index] = names[name]


def set_nodes(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Replace the nodes of a graph; the new nodes may include nodes of the graph itself."""
    nodes = list(nodes)
    del graph.node[:]
    graph.node.extend(nodes)
