"""Replace BatchNorm by one multiplication and one addition."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from onepass.graph.arrays import array_of, tensor_of
from onepass.graph.casts import is_standard
from onepass.graph.nodes import all_names, free_name, set_nodes
from onepass.graph.values import constants, inferred

_DEFAULT_EPSILON = 1e-5


def fold_batch_norms(model: onnx.ModelProto) -> None:
    """Replace each BatchNorm with constant statistics by Mul and Add; the model is changed in place.

    Requires: no external weights.

    Ensures: factors are folded in float64 and rounded once, to the input's type. A BatchNorm stays if its statistics
    are computed, have another type than the input or are outputs, or if the rank of its input is unknown. Order, names
    of tensors and results are unchanged, except for rounding.
    """
    graph = model.graph
    known, taken, values = constants(graph), all_names(graph), inferred(model)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        value = values.get(node.input[0]) if _normalises_by_statistics(node) else None
        statistics = [known.get(name) for name in node.input[1:]]
        if value is None or not _fits(value.type.tensor_type, statistics):
            nodes.append(node)
            continue
        scale, bias, mean, variance = (array_of(tensor) for tensor in statistics if tensor is not None)
        dtype = scale.dtype
        scale, bias, mean, variance = (each.astype(np.float64) for each in (scale, bias, mean, variance))
        epsilon = next((attribute.f for attribute in node.attribute if attribute.name == "epsilon"), _DEFAULT_EPSILON)
        factor = scale / np.sqrt(variance + epsilon)
        shape = (-1,) + (1,) * (len(value.type.tensor_type.shape.dim) - 2)
        name = node.name or node.output[0]
        names = [free_name(taken, f"{name}__{part}") for part in ("factor", "offset", "scaled")]
        for each, numbers in zip(names, (factor, bias - mean * factor), strict=False):
            graph.initializer.append(tensor_of(numbers.reshape(shape).astype(dtype), each))
        nodes.append(helper.make_node("Mul", [node.input[0], names[0]], [names[2]], name=names[2]))
        nodes.append(helper.make_node("Add", [names[2], names[1]], [node.output[0]], name=name))
    set_nodes(graph, nodes)


def _normalises_by_statistics(node: onnx.NodeProto) -> bool:
    """Whether a node is a BatchNorm in inference mode with one factor per channel and a single output.

    Omitted outputs (``""``) do not count.
    """
    if not is_standard(node, "BatchNormalization") or any(node.output[1:]):
        return False
    flags = {attribute.name: attribute.i for attribute in node.attribute}
    return not flags.get("training_mode", 0) and bool(flags.get("spatial", 1))


def _fits(value: onnx.TypeProto.Tensor, statistics: list[onnx.TensorProto | None]) -> bool:
    """Whether the input of a BatchNorm has a known rank, and all statistics are constants of its type."""
    return value.HasField("shape") and all(each and each.data_type == value.elem_type for each in statistics)
