"""Translate TensorFlow and TFLite graphs with tf2onnx."""

from __future__ import annotations

from typing import Any

import onnx

from onepass._errors import UnsupportedModelError
from onepass._optional import optional
from onepass.graph.nodes import subgraphs


def translated(what: str, model: Any, *, opset: int, extra: str, **options: Any) -> onnx.ModelProto:
    """Translate a model with ``tf2onnx.convert.from_<what>``.

    Raises:
        UnsupportedModelError: tf2onnx does not support an operator.
        MissingExtraError: tf2onnx or TensorFlow is not installed.
    """
    tf2onnx = optional("tf2onnx.convert", extra=extra, purpose="Converting TensorFlow and TFLite models")
    result: onnx.ModelProto = getattr(tf2onnx, f"from_{what}")(model, opset=opset, **options)[0]
    # tf2onnx copies unknown operators unchanged, with only a log message.
    unknown = sorted(_unknown(result.graph, opset))
    if unknown:
        raise UnsupportedModelError(
            f"tf2onnx cannot translate these operators to ONNX (opset {opset}): {', '.join(unknown)}. Try a later "
            "opset; otherwise choose outputs that do not need them, or remove them from the network"
        )
    result.producer_version = result.producer_version.removesuffix(" None")  # tf2onnx releases have no commit
    return result


def _unknown(graph: onnx.GraphProto, opset: int) -> set[str]:
    kinds = {node.op_type for node in graph.node if node.domain in ("", "ai.onnx")}
    found = {kind for kind in kinds if not onnx.defs.has(kind, opset)}
    for node in graph.node:
        for inner in subgraphs(node):
            found |= _unknown(inner, opset)
    return found
