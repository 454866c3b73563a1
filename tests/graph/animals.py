"""Graphs that have something for every pass: omitted edges, shared constants, BatchNorm, PReLU, unused parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onepass import OnnxGraph
from tests.zoo import ZOO, Arrays

Shape = list[int | str | None]
_WEIGHTS = np.random.default_rng(0)


def built(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, Shape],
    outputs: dict[str, Shape],
    weights: dict[str, np.ndarray[Any, Any]] | None = None,
) -> OnnxGraph:
    """Return a graph of float32 inputs and outputs from its nodes."""
    takes, gives = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in group.items()]
        for group in (inputs, outputs)
    )
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "built", takes, gives, tensors)
    return OnnxGraph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))


def _normal(*shape: int) -> np.ndarray[Any, Any]:
    return (_WEIGHTS.standard_normal(shape) / 2).astype(np.float32)


def omitted() -> OnnxGraph:
    """Two recurrent layers on one input, each with inputs and outputs omitted; ``last`` needs the first alone."""
    layers = [
        helper.make_node("LSTM", ["a", f"w{i}", f"r{i}", "", "", "start"], outputs, f"lstm{i}", hidden_size=2)
        for i, outputs in enumerate((["", "h0", "c0"], ["y1", "", "c1"]))
    ]
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "relu"), *layers,
        helper.make_node("Clip", ["h0", "", "most"], ["last"], "clip"),
        helper.make_node("Abs", ["c1"], ["other"], "abs"),
    ]  # fmt: skip
    weights = {f"{kind}{i}": _normal(1, 8, size) for i in range(2) for kind, size in (("w", 3), ("r", 2))}
    weights |= {"start": np.full((1, 1, 2), 0.5, np.float32), "most": np.array(0.2, np.float32)}
    return built(nodes, {"x": [4, 1, 3]}, {"last": [1, 1, 2], "other": [1, 1, 2]}, weights)


def shared() -> OnnxGraph:
    """Constants of every form, read by way of Identity; one of these copies is an output."""
    nodes = [
        helper.make_node("Constant", [], ["two"], "two", value_float=2.0),
        helper.make_node("Constant", [], ["sizes"], "sizes", value_ints=[0, -1]),
        helper.make_node("Identity", ["w"], ["copy"], "copy"),
        helper.make_node("Identity", ["copy"], ["again"], "again"),
        helper.make_node("Identity", ["two"], ["deux"], "deux"),
        helper.make_node("Identity", ["sizes"], ["same sizes"], "same sizes"),
        helper.make_node("Mul", ["x", "again"], ["scaled"], "mul"),
        helper.make_node("Add", ["scaled", "deux"], ["sum"], "add"),
        helper.make_node("Reshape", ["sum", "same sizes"], ["y"], "reshape"),
    ]
    return built(nodes, {"x": ["N", 3]}, {"y": ["N", 3], "copy": [3]}, {"w": _normal(3)})


def normalised() -> OnnxGraph:
    """A convolution, a BatchNorm and a PReLU, with a weight that nothing reads."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "var"], ["b"], "norm"),
        helper.make_node("PRelu", ["b", "slope"], ["y"], "prelu"),
        helper.make_node("Sin", ["x"], ["nobody"], "unused"),
    ]
    weights = {
        "w": _normal(4, 3, 3, 3), "scale": _normal(4), "bias": _normal(4), "mean": _normal(4),
        "var": np.array([0.5, 1, 4e5, 2], np.float32), "slope": _normal(1, 4, 1, 1), "unread": _normal(5),
    }  # fmt: skip
    return built(nodes, {"x": ["N", 3, 5, 5]}, {"y": ["N", 4, 5, 5], "c": ["N", 4, 5, 5]}, weights)


def captured() -> OnnxGraph:
    """A branch that reads a copy of a constant, and a tensor that nothing else reads, from the graph around it."""
    text = """<ir_version: 9, opset_import: ["" : 17]> nested (bool flag, float[N] x) => (float[N] y)
        <float w = {3.0}> {
            copy = Identity (w)
            h = Abs (x)
            y = If (flag) <
                then_branch = yes () => (float[N] t) { t = Mul (h, copy) },
                else_branch = no () => (float[N] e) { e = Identity (h) }
            >
        }"""
    return OnnxGraph(onnx.parser.parse_model(text))


def cases_of(graph: OnnxGraph) -> tuple[Arrays, ...]:
    """Return inputs for one of the graphs above."""
    rng = np.random.default_rng(1)
    feeds: dict[str, np.ndarray[Any, Any]] = {}
    for spec in graph.signature.inputs:
        shape = tuple(size if isinstance(size, int) else 2 for size in spec.shape or ())
        feeds[spec.name] = np.asarray(
            rng.standard_normal(shape) > 0 if spec.dtype == bool else rng.standard_normal(shape)
        )
        feeds[spec.name] = feeds[spec.name].astype(spec.dtype)
    return (feeds,)


GRAPHS: dict[str, tuple[OnnxGraph, tuple[Arrays, ...]]] = {
    **{animal.name: (animal.graph, animal.cases) for animal in ZOO},
    **{make.__name__: (make(), cases_of(make())) for make in (omitted, shared, normalised, captured)},
}
"""Every graph to try a pass on, with inputs for it: the zoo, and those above."""
