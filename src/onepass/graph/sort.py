"""Nodes in an order of computation, which ONNX asks for and some exporters do not keep to."""

from __future__ import annotations

import heapq

import onnx

from onepass._errors import ModelFormatError
from onepass.graph.nodes import reads, set_nodes


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Put the nodes of the main graph in an order of computation, changed as little as can be.

    Requires: nothing; nodes may be in any order.

    Ensures: each node comes after those that make what it reads, its inner graphs included. Of two orders the one that
    is nearer to the former is taken, so that a sorted graph stays as it is. Nothing but the order changes.

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
    set_nodes(graph, [nodes[index] for index in order])
