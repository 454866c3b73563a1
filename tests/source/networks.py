"""Small networks to convert, and a framework that exports something else than it runs."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onepass
from onepass import OnnxGraph, Signature
from onepass.outputs import Array


def converted(*arguments: Any, **options: Any) -> onepass.Conversion:
    """Convert files that these tests wrote, and so trust."""
    return onepass.convert(*arguments, trust=True, **options)


def graph_of(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    weights: dict[str, Array] | None = None,
    *,
    opset: int = 17,
) -> OnnxGraph:
    """Return a graph of float32 edges."""

    def edges(shapes: dict[str, list[int | str]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "network", edges(inputs), edges(outputs), tensors)
    return OnnxGraph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))


def two_heads(path: Path, *, opset: int = 17) -> Path:
    """Write a network with outputs `wide` [N, 6] and `narrow` [N, 6] of an input `x` [N, 4]."""
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal((4, 6)).astype(np.float32) for name in ("a", "b")}
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["wide"]),
        helper.make_node("MatMul", ["x", "b"], ["inner"]),
        helper.make_node("Tanh", ["inner"], ["narrow"]),
    ]
    graph_of(nodes, {"x": ["N", 4]}, {"wide": ["N", 6], "narrow": ["N", 6]}, weights, opset=opset).save(path)
    return path


class Pretended:
    """A framework that runs one graph and exports another."""

    framework, version = "Pretence", "1.0"

    def __init__(self, runs: OnnxGraph, exports: OnnxGraph) -> None:
        self._runs, self._exports = runs, exports
        self.signature: Signature = runs.signature
        self.examples: Mapping[str, Array] = {}

    def export(self, opset: int) -> onnx.ModelProto:
        """Return the other graph."""
        return self._exports.proto

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the one graph."""
        with onepass.load(self._runs) as session:
            return dict(session(inputs))


def needs(*modules: str) -> None:
    """Skip the rest of a test module, saying so, where frameworks are not installed."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; make test-convert has them", allow_module_level=True)
