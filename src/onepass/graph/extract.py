"""Extract the subgraph between some tensors and another one."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx

from onepass.graph.model import OnnxGraph
from onepass.graph.nodes import reach, subgraphs


def extracted(
    graph: OnnxGraph, tensor: str, *, given: Collection[str], types: Mapping[str, onnx.ValueInfoProto]
) -> OnnxGraph | None:
    """Return a graph that computes a tensor from other tensors, or None if it needs others or has inner graphs.

    Requires: `types` contains the tensor and all given tensors (see `onepass.graph.values.inferred`).

    Ensures: the only output is `tensor`; the inputs are those given tensors that are needed. The original graph is not
    changed.

    Args:
        graph: The original graph.
        tensor: The tensor to compute.
        given: Names of the tensors to compute it from; the tensor itself may be among them.
        types: Tensor name to type and shape.
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
