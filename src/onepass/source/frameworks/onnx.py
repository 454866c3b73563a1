"""ONNX as a source: convert the opset of an existing model, clean it up, and change its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from onnx import version_converter

from onepass._errors import UnsupportedModelError
from onepass.graph import OnnxGraph
from onepass.graph.edges import inputs_of, is_dense
from onepass.graph.weights import in_memory
from onepass.outputs import Array
from onepass.runtime import load
from onepass.source.framework import Request
from onepass.tensors import Signature


class _Onnx:
    """An ONNX model, run unchanged by ONNX Runtime."""

    framework = "ONNX"

    def __init__(self, graph: OnnxGraph, name: str, *, timeout_s: float | None) -> None:
        self.signature: Signature = graph.signature
        self._graph = graph.select(self.signature.output_names) if self.signature.left_out else graph
        self._name = name
        self._timeout_s = timeout_s
        self.version = f"opset {graph.opset}"
        self.examples: Mapping[str, Array] = {}

    def export(self, opset: int) -> onnx.ModelProto:
        """Return the model, converted to `opset` if it is older; newer models stay unchanged."""
        proto = in_memory(self._graph.proto, self._graph.folder)
        if self._graph.opset in range(1, opset):
            try:
                return version_converter.convert_version(proto, opset)
            except Exception as error:  # the C++ converter can raise any exception
                raise UnsupportedModelError(
                    f"{self._name} uses opset {self._graph.opset}, which cannot be converted to opset {opset}: {error}"
                ) from error
        return proto

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the original model."""
        with load(self._graph) as session:
            return dict(session(inputs, timeout=self._timeout_s))


def open_(source: Path, request: Request) -> _Onnx:
    """Open an ONNX file.

    Raises:
        ModelFormatError: The file is damaged.
        OutputNameError: A requested output does not exist.
    """
    graph = OnnxGraph.load(source)
    if request.outputs:
        graph = _with_outputs(graph, request.outputs)
    return _Onnx(graph.with_true_outputs(), str(source), timeout_s=request.timeout_s)


def _with_outputs(graph: OnnxGraph, outputs: Sequence[str]) -> OnnxGraph:
    """Return the part of a model that computes these outputs; unsupported content elsewhere then does no harm.

    It keeps all inputs, because examples have all of them.
    """
    part = graph.select(outputs)
    kept = {value.name for value in part.proto.graph.input}
    proto = onnx.ModelProto()
    proto.CopyFrom(part.proto)
    proto.graph.input.extend(
        value for value in inputs_of(graph.proto.graph) if value.name not in kept and is_dense(value)
    )
    order = [value.name for value in graph.proto.graph.input]
    proto.graph.input.sort(key=lambda value: order.index(value.name))
    return OnnxGraph(proto, folder=graph.folder, name=graph.name)
