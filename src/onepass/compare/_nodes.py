"""Differences between two nodes that compute the same tensor."""

from __future__ import annotations

import numpy as np
import onnx

from onepass._distance import distances, least_normal, step, widened
from onepass.graph import OnnxGraph
from onepass.graph.arrays import array_of
from onepass.graph.values import attribute_value
from onepass.outputs import Array


def node_differences(
    left: OnnxGraph, right: OnnxGraph, first: onnx.NodeProto, second: onnx.NodeProto
) -> tuple[str, ...]:
    """Return the differences between two nodes that compute the same tensor: operator, attributes, weights."""
    if second.op_type in ("Cast", "Identity"):  # the real node precedes it, under another name
        return ()
    if first.op_type != second.op_type:
        return (f"operator {first.op_type} vs. {second.op_type}",)
    found = []
    ours, theirs = ({each.name: each for each in node.attribute} for node in (first, second))
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            a, b = (_attribute_text(group.get(name)) for group in (ours, theirs))
            found.append(f"attribute {name}: {a} vs. {b}")
    weights = [{tensor.name: tensor for tensor in graph.proto.graph.initializer} for graph in (left, right)]
    for name, other in zip(first.input, second.input, strict=False):
        if name in weights[0] and other in weights[1]:
            mine, its = array_of(weights[0][name], left.folder), array_of(weights[1][other], right.folder)
            text = weight_difference(mine, its)
            if text:
                found.append(f"weight {name}: {text}")
    return tuple(found)


def _attribute_text(attribute: onnx.AttributeProto | None) -> str:
    if attribute is None:
        return "none"
    value = attribute_value(attribute)
    return "a tensor" if isinstance(value, onnx.TensorProto) else str(value)[:60]


def weight_difference(first: Array, second: Array) -> str:
    """Describe how two weights differ beyond the rounding of the coarser dtype; empty if they do not."""
    if first.shape != second.shape:
        return f"shape {list(first.shape)} vs. {list(second.shape)}"
    if first.dtype.hasobject or second.dtype.hasobject:
        return "" if np.array_equal(first, second) else "different strings"
    a, b = widened(first), widened(second)
    lost = int(np.count_nonzero(np.isfinite(a) & ~np.isfinite(b)))
    if lost:
        return f"{lost} of {a.size} elements are not finite in {second.dtype}; the largest was {np.abs(a).max():.6g}"
    coarser = max((first.dtype, second.dtype), key=step)
    error = distances(a, b)
    error[first == second] = 0  # infinities
    if not np.any(error > step(coarser) * np.abs(a) + least_normal(coarser)):
        return ""
    return f"off by up to {error.max():.3g}"
