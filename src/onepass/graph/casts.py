"""The nodes that passes insert most often: casts and copies."""

from __future__ import annotations

import onnx
from onnx import helper


def is_standard(node: onnx.NodeProto, operator: str) -> bool:
    """Whether a node is this standard ONNX operator, not one with the same name in another domain."""
    return node.op_type == operator and node.domain in ("", "ai.onnx")


def cast(source: str, target: str, to: int, *, name: str) -> onnx.NodeProto:
    """Return a Cast node.

    Args:
        source: Name of the input tensor.
        target: Name of the output tensor.
        to: ONNX type number.
        name: Name of the node.
    """
    return helper.make_node("Cast", [source], [target], name=name, to=to)


def identity(source: str, target: str, *, name: str = "") -> onnx.NodeProto:
    """Return an Identity node, which copies `source` to `target`."""
    return helper.make_node("Identity", [source], [target], name=name)


def cast_type(node: onnx.NodeProto) -> int:
    """Return the ONNX type number that a node casts to, 0 if it is not a Cast."""
    if not is_standard(node, "Cast"):
        return 0
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "to"), 0)


def set_cast_type(node: onnx.NodeProto, to: int) -> None:
    """Change the target type of a Cast node."""
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("to", to))
