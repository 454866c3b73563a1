"""Topological order of nodes, which ONNX requires and some exporters do not produce."""

from __future__ import annotations

import heapq

import onnx

from onepass._errors import ModelFormatError
from onepass.graph.nodes import reads, set_nodes


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Sort the nodes of the main graph topologically, with as few changes as possible.

    Requires: nothing; nodes may be in any order.

    Ensures: each node comes after the producers of all tensors that it and its inner graphs read. Of several valid
    orders, the one nearest to the former is chosen, so a sorted graph stays unchanged. Only the order changes.

    Raises:
        ModelFormatError: The nodes form a cycle.
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
        raise ModelFormatError(f"the model's nodes form a cycle; {stuck.op_type} {stuck.name!r} is in it or after it")
    set_nodes(graph, [nodes[index] for index in order])
