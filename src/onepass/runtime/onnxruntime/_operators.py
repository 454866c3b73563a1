"""Operators that prevent recording a model on a GPU, regardless of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imports onnx
    from onepass.graph import OnnxGraph

_CONTROL_FLOW = {"If", "Loop", "Scan"}
_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
_DATA_DEPENDENT = {"Compress", "NonMaxSuppression", "NonZero", "Unique"}


def operators_obstacle(graph: OnnxGraph) -> str | None:
    """Return which operators prevent recording a model, and why; None if there are none."""
    from onepass.graph.nodes import all_nodes  # noqa: PLC0415 - imports onnx

    nodes = [*all_nodes(graph.proto.graph), *(node for function in graph.proto.functions for node in function.node)]
    there = {node.op_type for node in nodes}
    # A Dropout with its third input, `training_mode`, may drop values during inference, too.
    random = there & _RANDOM | {node.op_type for node in nodes if node.op_type == "Dropout" and len(node.input) > 2}
    for found, why in (
        (there & _CONTROL_FLOW, "has branches or loops, which are decided on the host"),
        (random, "draws random numbers, which a recording would repeat"),
        (there & _DATA_DEPENDENT, "has results whose size depends on the data"),
    ):
        if found:
            return f"it {why} ({', '.join(sorted(found))})"
    return None
