"""Order and names of the nodes and tensors of a graph."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import onnx

from onepass._errors import ModelFormatError
from onepass.graph import weights as _weights


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Put the nodes of the main graph in an order of computation, changed as little as can be.

    ONNX asks for such an order, and some exporters do not keep to it.

    Raises:
        ModelFormatError: The nodes form a circle.
    """
    nodes = list(graph.node)
    made_by = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    needs = [{made_by[name] for name in reads(node) if name in made_by} for node in nodes]
    if all(max(need, default=-1) < index for index, need in enumerate(needs)):
        return
    users: list[list[int]] = [[] for _ in nodes]
    for index, need in enumerate(needs):
        for each in need:
            users[each].append(index)
    missing = [len(need) for need in needs]
    ready = [index for index, count in enumerate(missing) if count == 0]
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for user in users[order[-1]]:
            missing[user] -= 1
            if missing[user] == 0:
                heapq.heappush(ready, user)
    if len(order) < len(nodes):
        stuck = next(node for index, node in enumerate(nodes) if missing[index])
        raise ModelFormatError(f"the model's nodes form a circle; {stuck.op_type} {stuck.name!r} is on it or behind it")
    del graph.node[:]
    graph.node.extend(nodes[index] for index in order)


def reads(node: onnx.NodeProto) -> set[str]:
    """Names of the outer tensors that a node reads: its inputs, and what its inner graphs take from outside."""
    names = {name for name in node.input if name}
    for inner in _weights.subgraphs(node):
        names |= captured(inner)
    return names


def captured(graph: onnx.GraphProto) -> set[str]:
    """Names that an inner graph reads and does not define itself."""
    own = {value.name for value in graph.input} | _weights.initializer_names(graph)
    own |= {name for node in graph.node for name in node.output}
    names = {value.name for value in graph.output} | {name for node in graph.node for name in reads(node)}
    return names - own


def all_names(graph: onnx.GraphProto) -> set[str]:
    """Every name of a tensor or node that occurs in a graph, and in the graphs inside its nodes."""
    names = {value.name for value in (*graph.input, *graph.output, *graph.value_info)}
    names |= _weights.initializer_names(graph)
    for node in graph.node:
        names.update(node.input, node.output)
        names.add(node.name)
        for inner in _weights.subgraphs(node):
            names |= all_names(inner)
    return names


def free_name(taken: set[str], wanted: str) -> str:
    """Return a name that is not taken yet, the one wanted if that is free, and take it."""
    name, number = wanted, 1
    while name in taken:
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
        for fields in (node.input, node.output):
            for index, name in enumerate(fields):
                fields[index] = names.get(name, name)
        for inner in _weights.subgraphs(node):
            rename_tensors(inner, names)
