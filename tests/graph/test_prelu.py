"""PReLU in faster operators: the same numbers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onepass import OnnxGraph, load
from onepass.graph.prelu import without_prelu


def prelus(*slopes: np.ndarray, channels: int) -> OnnxGraph:
    """Return a network of one PReLU after the other."""
    tensors = ["x", *(f"y{index}" for index in range(1, len(slopes))), "y"]
    inits = [numpy_helper.from_array(slope.astype(np.float32), f"slope{index}") for index, slope in enumerate(slopes)]
    nodes = [
        helper.make_node("PRelu", [x, slope.name], [y])
        for x, slope, y in zip(tensors, inits, tensors[1:], strict=False)
    ]
    edges = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", channels, 3, 5]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "prelus", edges[:1], edges[1:], inits)
    imports = [helper.make_opsetid("", 17)]
    return OnnxGraph(helper.make_model(graph, ir_version=9, opset_imports=imports))


def operators(graph: OnnxGraph) -> list[str]:
    """Return what kinds of nodes there are, in order."""
    return [node.op_type for node in graph.proto.graph.node]


@given(channels=st.integers(2, 33), seed=st.integers(0, 99))
def test_it_computes_the_same(channels: int, seed: int) -> None:
    """Slopes below 0 and above 1 too, of one PReLU behind another; the graph that was given stays as it is."""
    random = np.random.default_rng(seed)
    slopes = [random.uniform(-2, 2, (1, channels, 1, 1)) for _ in range(2)]
    before = prelus(*slopes, channels=channels)
    after = without_prelu(before)
    after.check()
    x = random.normal(size=(2, channels, 3, 5)).astype(np.float32)
    with load(before) as slow, load(after) as fast:
        np.testing.assert_allclose(fast(x)["y"], slow(x)["y"], rtol=1e-5, atol=1e-5)
    assert operators(after) == ["Relu", "Conv", "Conv", "Add"] * 2
    assert operators(before) == ["PRelu"] * 2
    assert {tensor.name for tensor in after.proto.graph.initializer}.isdisjoint({"slope0", "slope1"})


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (4, 1, 1), (1, 4, 1, 5), (1, 1, 1, 5)])
def test_other_slopes_stay(shape: tuple[int, ...]) -> None:
    """One slope for all channels, and slopes that differ from place to place, are left to PReLU."""
    graph = prelus(np.full(shape, 0.25), np.full((1, 4, 1, 1), 0.5), channels=4)
    after = without_prelu(graph)
    after.check()
    assert operators(after) == ["PRelu", "Relu", "Conv", "Conv", "Add"]
    x = np.random.default_rng(0).normal(size=(1, 4, 3, 5)).astype(np.float32)
    with load(graph) as slow, load(after) as fast:
        np.testing.assert_allclose(fast(x)["y"], slow(x)["y"], rtol=1e-5, atol=1e-6)


def test_a_slope_that_is_seen_outside_stays() -> None:
    """One that callers may give is no constant; one that is an output is kept."""
    proto = onnx.ModelProto()
    proto.CopyFrom(prelus(*np.full((2, 1, 4, 1, 1), 0.5), channels=4).proto)
    slopes = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4, 1, 1]) for name in ("slope0", "slope1")
    ]
    proto.graph.input.append(slopes[0])
    proto.graph.output.append(slopes[1])
    after = without_prelu(OnnxGraph(proto))
    after.check()
    assert operators(after) == ["PRelu", "Relu", "Conv", "Conv", "Add"]
    assert {tensor.name for tensor in after.proto.graph.initializer} >= {"slope0", "slope1"}
