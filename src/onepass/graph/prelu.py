"""PReLU in operators that ONNX Runtime is fast at: in FaceMesh its own takes as long as all convolutions together."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onepass.graph import OnnxGraph


def without_prelu(graph: OnnxGraph) -> OnnxGraph:
    """Return the graph with ``PRelu(x) = slope * x + (1 - slope) * Relu(x)``, the factors as depthwise convolutions.

    Convolutions, unlike PRelu, keep the blocked layout in which ONNX Runtime computes them on a CPU, so that nothing
    goes back and forth between the two layouts any more. Results differ by rounding.

    Made for pictures [N, C, H, W]. Slopes that are no constants [1, C, 1, 1], one for each of several channels, stay as
    they are.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    given = {value.name for value in proto.graph.input}
    constants = {tensor.name: tensor for tensor in proto.graph.initializer if tensor.name not in given}
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        slope = constants.get(node.input[1]) if node.op_type == "PRelu" else None
        if slope is not None and len(slope.dims) == 4 and 1 < slope.dims[1] == np.prod(slope.dims):
            replacement, factors = _split(node, numpy_helper.to_array(slope).reshape(-1, 1, 1, 1))
            nodes += replacement
            proto.graph.initializer.extend(factors)
        else:
            nodes.append(node)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    # Selecting all outputs drops the slopes that nothing reads any more.
    return OnnxGraph(proto, folder=graph.folder).select([value.name for value in proto.graph.output])


def _split(node: onnx.NodeProto, slope: np.ndarray) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return the nodes and the factors that take the place of a PReLU with slopes [C, 1, 1, 1]."""
    x, y = node.input[0], node.output[0]
    positive = helper.make_node("Relu", [x], [f"{y}/relu"], f"{y}/relu")
    parts = {f"{y}/all": (x, slope), f"{y}/positive": (f"{y}/relu", 1 - slope)}
    scaled = [
        helper.make_node("Conv", [source, f"{name}/factor"], [name], name, group=len(slope))
        for name, (source, _) in parts.items()
    ]
    total = helper.make_node("Add", list(parts), [y], node.name)
    factors = [numpy_helper.from_array(factor, f"{name}/factor") for name, (_, factor) in parts.items()]
    return [positive, *scaled, total], factors
