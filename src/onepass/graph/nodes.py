"""Names in a graph and what reaches what; the name ``""`` stands for an omitted input or output and is no tensor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, MutableSequence, Sequence

import onnx

# ---- what is in a graph --------------------------------------------------------------------------------------------


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs inside a node: the branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def initializer_names(graph: onnx.GraphProto) -> set[str]:
    """Names of the graph's own weights."""
    return {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}


# ---- what a node reads ---------------------------------------------------------------------------------------------


def reads(node: onnx.NodeProto) -> set[str]:
    """Names of the outer tensors that a node reads: its inputs, and what its inner graphs take from outside."""
    return {name for name in node.input if name} | inner_reads(node)


def inner_reads(node: onnx.NodeProto) -> set[str]:
    """Names of the outer tensors that the graphs inside a node read."""
    return {name for inner in subgraphs(node) for name in captured(inner)}


def captured(graph: onnx.GraphProto) -> set[str]:
    """Names that an inner graph reads and does not define itself."""
    own = {value.name for value in graph.input} | initializer_names(graph)
    own |= {name for node in graph.node for name in node.output}
    names = {value.name for value in graph.output} | {name for node in graph.node for name in reads(node)}
    return names - own


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield every node of a graph, and of the graphs inside its nodes."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from all_nodes(inner)


# ---- what reaches what ---------------------------------------------------------------------------------------------


def producers(nodes: Iterable[onnx.NodeProto]) -> dict[str, onnx.NodeProto]:
    """Return the node that computes each tensor."""
    return {name: node for node in nodes for name in node.output if name}


def consumers(nodes: Iterable[onnx.NodeProto], name: str) -> list[onnx.NodeProto]:
    """Return the nodes that take a tensor as an input; those that read it inside a graph of theirs are not among them.

    See `inner_reads` for these.
    """
    return [node for node in nodes if name in node.input]


def reach(
    nodes: Iterable[onnx.NodeProto], tensors: Iterable[str], *, stop: Collection[str] = ()
) -> tuple[list[onnx.NodeProto], set[str]]:
    """Return the nodes that tensors depend on, and the names of these tensors and of all that those nodes read.

    Args:
        nodes: In any order; those returned keep it.
        tensors: Where to begin.
        stop: Tensors behind which nothing is looked at, unless they are among those to begin with.
    """
    nodes = list(nodes)
    made_by: dict[str, list[int]] = {}  # several nodes only in a model that is not valid, which is to stay so
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
    """Every name of a tensor or node that occurs in a graph, and in the graphs inside its nodes."""
    names = {value.name for value in (*graph.input, *graph.output, *graph.value_info)}
    names |= initializer_names(graph)
    for node in graph.node:
        names.update(node.input, node.output)
        names.add(node.name)
        for inner in subgraphs(node):
            names |= all_names(inner)
    return names - {""}


def free_name(taken: set[str], wanted: str) -> str:
    """Return a name that is not taken yet, the one wanted if that is free, and take it; it is never empty."""
    name, number = wanted, 1
    while not name or name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node of the main graph a name of its own; those that have one keep it."""
    seen: set[str] = set()
    taken = all_names(graph)
    for node in graph.node:
        if not node.name or node.name in seen:
            node.name = free_name(taken, node.name or f"{node.op_type}_{next(filter(None, node.output), '')}")
        seen.add(node.name)


def rename_tensors(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename tensors wherever they occur, in the graphs inside nodes too; no new name may be there already."""
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
    """Put other names into the inputs or outputs of a node, ``{old: new}``; what is omitted stays so."""
    for index, name in enumerate(fields):
        if name and name in names:
            fields[index] = names[name]


def set_nodes(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Make these the nodes of a graph; nodes of the graph itself may be among them."""
    nodes = list(nodes)
    del graph.node[:]
    graph.node.extend(nodes)
