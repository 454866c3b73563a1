"""Operators that stand against recording a model on a GPU, whatever its inputs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it brings onnx
    from onepass.graph import OnnxGraph

_CONTROL_FLOW = {"If", "Loop", "Scan"}
_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
_DATA_DEPENDENT = {"Compress", "NonMaxSuppression", "NonZero", "Unique"}


def operators_obstacle(graph: OnnxGraph) -> str | None:
    """Say which operators stand against recording a model, and why; None if there are none."""
    from onepass.graph.nodes import all_nodes  # noqa: PLC0415 - it brings onnx

    nodes = [*all_nodes(graph.proto.graph), *(node for function in graph.proto.functions for node in function.node)]
    there = {node.op_type for node in nodes}
    # A Dropout that is told so drops outside of training, too.
    random = there & _RANDOM | {node.op_type for node in nodes if node.op_type == "Dropout" and len(node.input) > 2}
    for found, why in (
        (there & _CONTROL_FLOW, "has branches or loops, which are decided on the host"),
        (random, "draws random numbers, which a recording would repeat"),
        (there & _DATA_DEPENDENT, "has results whose size depends on the data"),
    ):
        if found:
            return f"it {why} ({', '.join(sorted(found))})"
    return None
