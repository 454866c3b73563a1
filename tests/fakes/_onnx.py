"""What TensorRT finds out about an ONNX model when it builds an engine, found out with onnx alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import shape_inference

from tests.fakes._evaluate import Evaluator

Arrays = Mapping[str, np.ndarray[Any, Any]]
Shape = tuple[int, ...]

# Operators whose outputs have a size that only the data decides.
_DATA_DEPENDENT = {"NonZero", "NonMaxSuppression", "Unique", "Compress"}
# Which inputs of an operator must be known on the host because they decide a shape.
_SHAPE_INPUTS = {
    "Reshape": (1,), "Expand": (1,), "Tile": (1,), "ConstantOfShape": (0,), "Range": (0, 1, 2), "Slice": (1, 2, 3, 4),
    "Resize": (2, 3), "Pad": (1,), "TopK": (1,), "Loop": (0,), "OneHot": (1,),
}  # fmt: skip


class Network:
    """An ONNX model, what it computes, and what is known of its shapes.

    Attributes:
        proto: The model.
        inputs: Name -> dtype and shape of the inputs; -1 where a size is dynamic.
        outputs: The same of the outputs; None in place of a shape whose rank is unknown.
        host_inputs: Names of inputs whose values decide shapes: TensorRT wants them on the host.
        data_dependent: Names of outputs whose shape only the data decides.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.proto = onnx.load_from_string(data)
        weights = {one.name for one in self.proto.graph.initializer}
        self.inputs = {v.name: _edge(v) for v in self.proto.graph.input if v.name not in weights}
        inferred = {v.name: v for v in shape_inference.infer_shapes(self.proto, data_prop=True).graph.output}
        self.outputs = {v.name: _edge(inferred.get(v.name, v)) for v in self.proto.graph.output}
        self.host_inputs = frozenset(_host_inputs(self.proto.graph)) & frozenset(self.inputs)
        self.data_dependent = frozenset(_data_dependent(self.proto.graph)) & frozenset(self.outputs)
        self._evaluator: Evaluator | None = None
        self._shapes: dict[Any, dict[str, Shape]] = {}
        self._lock, self._running = threading.Lock(), threading.Lock()

    def run(self, feeds: Arrays) -> Arrays:
        """Compute all outputs."""
        with self._running:
            if self._evaluator is None:
                self._evaluator = Evaluator(self.proto)
            return self._evaluator.run(feeds)

    def output_shapes(self, shapes: Mapping[str, Shape], values: Arrays) -> dict[str, Shape]:
        """Return the shapes of all outputs for some input shapes; -1 where only the data decides.

        Args:
            shapes: Of every input.
            values: Of the host inputs.
        """
        key = (tuple(sorted(shapes.items())), tuple((name, values[name].tobytes()) for name in sorted(values)))
        with self._lock:
            if key not in self._shapes:
                self._shapes[key] = self._find_shapes(shapes, values)
            return self._shapes[key]

    def _find_shapes(self, shapes: Mapping[str, Shape], values: Arrays) -> dict[str, Shape]:
        feeds = {name: values.get(name, np.zeros(shapes[name], self.inputs[name][0])) for name in self.inputs}
        found = {name: array.shape for name, array in self.run(feeds).items()}
        if self.data_dependent:
            fixed = onnx.ModelProto()
            fixed.CopyFrom(self.proto)
            for value in fixed.graph.input:
                if value.name in shapes:
                    for dim, size in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True):
                        dim.dim_value = size
            del fixed.graph.value_info[:]
            inferred = shape_inference.infer_shapes(fixed, data_prop=True)
            for value in inferred.graph.output:
                if value.name in self.data_dependent:
                    found[value.name] = _edge(value)[1] or (-1,) * len(found[value.name])
        return found


def _edge(value: onnx.ValueInfoProto) -> tuple[np.dtype[Any], Shape | None]:
    from onepass.tensors import dtype_from_onnx

    tensor = value.type.tensor_type
    dtype = dtype_from_onnx(tensor.elem_type, tensor=value.name)
    if not tensor.HasField("shape"):
        return dtype, None
    return dtype, tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim)


def _data_dependent(graph: onnx.GraphProto) -> set[str]:
    """Names of all tensors that depend on an operator whose output has a size that only the data decides."""
    tainted: set[str] = set()
    for node in graph.node:
        inner = {name for attribute in node.attribute for name in _inner_names(attribute)}
        if node.op_type in _DATA_DEPENDENT or tainted & ({*node.input} | inner):
            tainted.update(filter(None, node.output))
    return tainted


def _inner_names(attribute: onnx.AttributeProto) -> Iterator[str]:
    for graph in (attribute.g, *attribute.graphs):
        for node in graph.node:
            yield from node.input


def _host_inputs(graph: onnx.GraphProto) -> set[str]:
    """Names of all tensors whose values decide a shape, found backwards from where shapes are taken."""
    producers = {name: node for node in graph.node for name in node.output}
    waiting = [
        node.input[index]
        for node in graph.node
        for index in _SHAPE_INPUTS.get(node.op_type, ())
        if index < len(node.input)
    ]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name and name not in found:
            found.add(name)
            node = producers.get(name)
            if node is not None and node.op_type not in ("Shape", "Size", "NonZero"):
                waiting.extend(node.input)
    return found
