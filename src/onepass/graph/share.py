"""Read constants directly instead of through copies."""

from __future__ import annotations

import onnx

from onepass.graph.casts import is_standard
from onepass.graph.nodes import inner_reads, replace_names
from onepass.graph.values import constants


def share_constants(graph: onnx.GraphProto) -> None:
    """Make nodes read constants directly, not through Identity nodes, with which exporters share equal weights.

    Requires: topologically sorted nodes (`onepass.graph.sort`).

    Ensures: no node reads a copy of a constant, unless an inner graph reads the copy, too. The copies stay, because
    they may be outputs; `onepass.graph.select.drop_unused` removes the others. The graph computes the same values.
    """
    known = set(constants(graph))
    inner = {name for node in graph.node for name in inner_reads(node)}
    source: dict[str, str] = {}
    for node in graph.node:
        replace_names(node.input, source)
        if is_standard(node, "Identity") and node.input[0] in known and node.output[0] not in inner:
            source[node.output[0]] = node.input[0]
