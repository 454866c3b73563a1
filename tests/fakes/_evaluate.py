"""What an ONNX model computes, by onnx's own reference: a fault of onepass shall not be on both sides of a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import shape_inference
from onnx.reference import ReferenceEvaluator

from tests.fakes._plugins import COMPUTES

Arrays = Mapping[str, np.ndarray[Any, Any]]


class Evaluator:
    """Runs a model; not for several threads at once."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self._names = [value.name for value in proto.graph.output]
        # The reference takes a name that an inner graph defines anew for the outer tensor.
        self._runner: Any = _onnxruntime(proto) if _shadows(proto.graph) else _reference(proto)

    def run(self, feeds: Arrays) -> Arrays:
        """Return all outputs, in memory of their own."""
        with np.errstate(all="ignore"):  # as any runtime does
            values = self._runner.run(self._names, dict(feeds))
        return {name: np.array(value, order="C") for name, value in zip(self._names, values, strict=True)}


def _reference(proto: onnx.ModelProto) -> ReferenceEvaluator:
    plugins = {node.op_type: node.domain for node in proto.graph.node if node.op_type in COMPUTES}
    new = [type(name, (COMPUTES[name],), {"op_domain": domain}) for name, domain in plugins.items()]
    return ReferenceEvaluator(proto, new_ops=new)


def _shadows(graph: onnx.GraphProto, around: frozenset[str] = frozenset()) -> bool:
    """Whether a graph inside a node defines a name that is there around it."""
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {name for node in graph.node for name in node.output if name}
    inner = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    return bool(around & own) or any(_shadows(each, around | own) for each in inner)


def _onnxruntime(proto: onnx.ModelProto) -> onnxruntime.InferenceSession:
    data = _with_own_types(proto).SerializeToString()
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def _with_own_types(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose outputs are declared as what they are.

    TensorRT goes by what a model says of its outputs (int32, where before version 10 it has no int64) and casts;
    ONNX Runtime refuses such a model.
    """
    free = onnx.ModelProto()
    free.CopyFrom(proto)
    for value in free.graph.output:
        value.type.tensor_type.ClearField("elem_type")
    try:
        found = {v.name: v.type.tensor_type.elem_type for v in shape_inference.infer_shapes(free).graph.output}
    except shape_inference.InferenceError:
        return proto
    for value, declared in zip(free.graph.output, proto.graph.output, strict=True):
        value.type.tensor_type.elem_type = found.get(value.name) or declared.type.tensor_type.elem_type
    return free
