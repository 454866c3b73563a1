"""tf2onnx, which translates graphs of TensorFlow and TFLite."""

from __future__ import annotations

from typing import Any

import onnx

from onepass._errors import UnsupportedModelError
from onepass._optional import optional
from onepass.graph.nodes import subgraphs


def translated(what: str, model: Any, *, opset: int, extra: str, **options: Any) -> onnx.ModelProto:
    """Return what ``tf2onnx.convert.from_<what>`` makes of a model.

    Raises:
        UnsupportedModelError: It has an operator that tf2onnx does not know.
        MissingExtraError: tf2onnx or TensorFlow is not installed.
    """
    tf2onnx = optional("tf2onnx.convert", extra=extra, purpose="Converting models of TensorFlow and TFLite")
    result: onnx.ModelProto = getattr(tf2onnx, f"from_{what}")(model, opset=opset, **options)[0]
    # What it does not know it copies as it is, with a line in the log.
    unknown = sorted(_unknown(result.graph, opset))
    if unknown:
        raise UnsupportedModelError(
            f"no form in ONNX (opset {opset}) is known for these operators: {', '.join(unknown)}. A later opset may "
            "have one; otherwise choose outputs that do not need them, or take them out of the network"
        )
    result.producer_version = result.producer_version.removesuffix(" None")  # of a commit that releases do not have
    return result


def _unknown(graph: onnx.GraphProto, opset: int) -> set[str]:
    kinds = {node.op_type for node in graph.node if node.domain in ("", "ai.onnx")}
    found = {kind for kind in kinds if not onnx.defs.has(kind, opset)}
    for node in graph.node:
        for inner in subgraphs(node):
            found |= _unknown(inner, opset)
    return found
