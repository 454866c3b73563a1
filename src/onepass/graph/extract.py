"""What lies between some tensors and another one, as a graph of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx

from onepass.graph.model import OnnxGraph
from onepass.graph.nodes import reach, subgraphs


def extracted(
    graph: OnnxGraph, tensor: str, *, given: Collection[str], types: Mapping[str, onnx.ValueInfoProto]
) -> OnnxGraph | None:
    """Return what computes a tensor from other tensors, or None if it takes more than these, or a graph inside a node.

    Requires: `types` has the tensor and all that may be given (`onepass.graph.values.inferred`).

    Ensures: the one output is `tensor`; inputs are those of the given tensors that are needed. The graph that both are
    in stays as it is.

    Args:
        graph: The graph that both are in.
        tensor: What shall be computed.
        given: Names of the tensors that it may be computed from; the tensor itself may be among them.
        types: Name to type and shape.
    """
    source = graph.proto.graph
    weights = {each.name: each for each in source.initializer}
    nodes, names = reach(source.node, [tensor], stop=given)
    made = {name for node in nodes for name in node.output}
    inputs = sorted(names - made - weights.keys())
    nested = any(True for node in nodes for _ in subgraphs(node))
    if nested or not all(name in given for name in inputs):
        return None
    part = onnx.GraphProto(
        name="part",
        node=nodes,
        input=[types[name] for name in inputs],
        output=[types[tensor]],
        initializer=[each for name, each in weights.items() if name in names],
    )
    proto = graph.proto
    model = onnx.ModelProto(
        ir_version=proto.ir_version, opset_import=proto.opset_import, functions=proto.functions, graph=part
    )
    return OnnxGraph(model, folder=graph.folder)
