"""The nodes that graph surgery puts in most: casts and copies."""

from __future__ import annotations

import onnx
from onnx import helper


def is_standard(node: onnx.NodeProto, operator: str) -> bool:
    """Whether a node is this operator of ONNX's own, not one of the same name from elsewhere."""
    return node.op_type == operator and node.domain in ("", "ai.onnx")


def cast(source: str, target: str, to: int, *, name: str) -> onnx.NodeProto:
    """Return a Cast node.

    Args:
        source: The tensor that it reads.
        target: The tensor that it makes.
        to: ONNX's number of the type.
        name: The node's name.
    """
    return helper.make_node("Cast", [source], [target], name=name, to=to)


def identity(source: str, target: str, *, name: str = "") -> onnx.NodeProto:
    """Return an Identity node, which makes `target` from `source`."""
    return helper.make_node("Identity", [source], [target], name=name)


def cast_type(node: onnx.NodeProto) -> int:
    """Return ONNX's number of the type that a node casts to, 0 if it is no Cast."""
    if not is_standard(node, "Cast"):
        return 0
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "to"), 0)


def set_cast_type(node: onnx.NodeProto, to: int) -> None:
    """Let a Cast node cast to another type."""
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("to", to))
