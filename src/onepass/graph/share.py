"""Constants read directly."""

from __future__ import annotations

import onnx

from onepass.graph.casts import is_standard
from onepass.graph.nodes import inner_reads, replace_names
from onepass.graph.values import constants


def share_constants(graph: onnx.GraphProto) -> None:
    """Let nodes read constants themselves, not copies of them: exporters share equal weights by way of Identity.

    Requires: nodes in order (`onepass.graph.sort`).

    Ensures: no node reads a copy of a constant, unless an inner graph reads it, too. The copies stay, since they may be
    outputs; `onepass.graph.select.drop_unused` takes away those that are not. The graph computes the same.
    """
    known = set(constants(graph))
    inner = {name for node in graph.node for name in inner_reads(node)}
    source: dict[str, str] = {}
    for node in graph.node:
        replace_names(node.input, source)
        if is_standard(node, "Identity") and node.input[0] in known and node.output[0] not in inner:
            source[node.output[0]] = node.input[0]
