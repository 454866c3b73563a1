"""Replace PReLU by faster operators: in FaceMesh, ONNX Runtime's PReLU takes as long as all convolutions together."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from onepass.graph.arrays import array_of, tensor_of
from onepass.graph.casts import is_standard
from onepass.graph.model import OnnxGraph
from onepass.graph.nodes import set_nodes
from onepass.graph.values import constants


def without_prelu(graph: OnnxGraph) -> OnnxGraph:
    """Return the graph with ``PRelu(x) = slope * x + (1 - slope) * Relu(x)``, the factors as depthwise convolutions.

    Unlike PRelu, convolutions keep the blocked memory layout that ONNX Runtime uses on a CPU, so no conversions between
    the two layouts are needed. Results differ by rounding.

    Requires: nothing. Only nodes for pictures [N, C, H, W] change: the slopes must be constants [1, C, 1, 1] with
    C > 1.

    Ensures: inputs, outputs and their order are unchanged; unused slopes are gone. The given graph is not changed.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    given = {value.name for value in proto.graph.input}
    known = {name: tensor for name, tensor in constants(proto.graph).items() if name not in given}
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        slope = known.get(node.input[1]) if is_standard(node, "PRelu") else None
        if slope is not None and len(slope.dims) == 4 and 1 < slope.dims[1] == np.prod(slope.dims):
            replacement, factors = _split(node, array_of(slope, graph.folder).reshape(-1, 1, 1, 1))
            nodes += replacement
            proto.graph.initializer.extend(factors)
        else:
            nodes.append(node)
    set_nodes(proto.graph, nodes)
    # Selecting all outputs drops unused slopes.
    return OnnxGraph(proto, folder=graph.folder).select([value.name for value in proto.graph.output])


def _split(node: onnx.NodeProto, slope: np.ndarray) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return the nodes and the factors that replace a PReLU with slopes [C, 1, 1, 1]."""
    x, y = node.input[0], node.output[0]
    positive = helper.make_node("Relu", [x], [f"{y}/relu"], f"{y}/relu")
    parts = {f"{y}/all": (x, slope), f"{y}/positive": (f"{y}/relu", 1 - slope)}
    scaled = [
        helper.make_node("Conv", [source, f"{name}/factor"], [name], name, group=len(slope))
        for name, (source, _) in parts.items()
    ]
    total = helper.make_node("Add", list(parts), [y], node.name)
    factors = [tensor_of(factor, f"{name}/factor") for name, (_, factor) in parts.items()]
    return [positive, *scaled, total], factors
