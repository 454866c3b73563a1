"""Models with QuantizeLinear and DequantizeLinear in int8 and float16 at once: trtexec's --best."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onepass
from onepass import BuildOptions, OnnxGraph, UnsupportedModelError
from onepass.builder.precision import float32_nodes, reduce_precision
from onepass.engine import find_flavor, plan_from_graph
from tests.runtime.gpu import fake_gpu
from tests.zoo import model


def _network(kinds: str, *, seed: int = 0, tail: str = "GlobalAveragePool") -> OnnxGraph:
    """Return a chain of convolutions: `q` is quantised, `f` is not; each with Relu, then a tail, a softmax beside."""
    rng = np.random.default_rng(seed)
    nodes, weights, last = [], {"one": np.float32(0.05), "zero": np.int8(0)}, "x"
    for number, kind in enumerate(kinds):
        weights[f"w{number}"] = rng.integers(-127, 127, (4, 4, 3, 3), np.int8) if kind == "q" else (
            rng.uniform(-0.2, 0.2, (4, 4, 3, 3)).astype(np.float32))  # fmt: skip
        weight = f"w{number}"
        if kind == "q":
            nodes += [f"q{number} = QuantizeLinear ({last}, one, zero)",
                      f"d{number} = DequantizeLinear (q{number}, one, zero)",
                      f"v{number} = DequantizeLinear (w{number}, small, zero)"]  # fmt: skip
            last, weight = f"d{number}", f"v{number}"
        nodes += [f"c{number} = Conv <pads = [1, 1, 1, 1]> ({last}, {weight})", f"r{number} = Relu (c{number})"]
        last = f"r{number}"
    weights["small"] = np.float32(0.002)
    nodes += [f"features = Sigmoid ({last})", f"y = {tail} ({last})", f"s = Softmax <axis = 1> ({last})"]
    graph = model(f"(float[N, 4, 8, 8] x) => (float[N, 4, 8, 8] features, float[N, 4, 1, 1] y, float[N, 4, 8, 8] s) "
                  f"{{ {' '.join(nodes)} }}", check=False)  # fmt: skip
    for name, values in weights.items():
        graph.proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values), name))
    graph.check()
    return graph


def _kinds_of(graph: OnnxGraph) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(graph.proto).graph
    return {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.output, *inferred.input)}


def test_the_rest_is_float16() -> None:
    """What is quantised stays as it is, up to what is quantised again; all else is reduced, but for the softmax."""
    reduced = reduce_precision(_network("qqf"), "fp16", quantized=True)
    types = _kinds_of(reduced)
    made = {node.output[0]: node.op_type for node in reduced.proto.graph.node}
    halves = {name for name, number in types.items() if number == onnx.TensorProto.FLOAT16}
    assert {made[name] for name in halves if name in made} >= {"Conv", "Relu", "Sigmoid"}
    convolutions = [types[name] for name, kind in made.items() if kind == "Conv"]
    assert sorted(convolutions) == [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16]
    assert types["r0"] == onnx.TensorProto.FLOAT  # quantised again at once: one layer with its convolution
    assert "r1__fp16" in halves
    assert made["s"] == "Softmax"
    assert types["s"] == onnx.TensorProto.FLOAT


def test_nothing_but_quantised_layers() -> None:
    """A network of which all heavy layers are quantised is taken with int8 asked for, and refused with fp16 alone."""
    one = _network("q").expose(["c0"]).select(["c0"])
    assert reduce_precision(one, "fp16", quantized=True).signature == one.signature
    assert float32_nodes(_named(one), "fp16", (), quantized=True) == frozenset()
    with pytest.raises(UnsupportedModelError, match="has no effect on this model"):
        reduce_precision(one, "fp16")


def _named(graph: OnnxGraph) -> OnnxGraph:
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    for node in proto.graph.node:
        node.name = node.output[0]
    return OnnxGraph(proto)


@pytest.mark.parametrize("kinds", ["q", "qq", "qf", "fq", "qfq"])
def test_flags(kinds: str) -> None:
    """Where TensorRT chooses by flags it has both, and no quantised layer is held in float32."""
    with fake_gpu("8.5.3") as (_, trt):
        plan = plan_from_graph(_network(kinds), BuildOptions(batch=2, precision=["int8", "fp16"]))
        assert {"INT8", "FP16", "OBEY_PRECISION_CONSTRAINTS"} <= set(trt.builds[0]["flags"])
        assert plan.options["precision"] == ["fp16", "int8"]
    kept = float32_nodes(_named(_network(kinds)), "fp16", (), quantized=True)
    assert "s" in kept
    assert not {name for name in kept if name[0] in "qdvc"}


@settings(max_examples=25)
@given(kinds=st.text("qf", min_size=1, max_size=4), seed=st.integers(0, 9))
def test_outputs_are_near(kinds: str, seed: int) -> None:
    """Whatever is quantised, the rewritten graph is a sound model, and computes nearly the same."""
    graph = _network(kinds, seed=seed)
    reduced = reduce_precision(graph, "fp16", quantized=True)
    reduced.check()
    x = np.random.default_rng(seed).standard_normal((2, 4, 8, 8)).astype(np.float32)
    with onepass.load(graph) as session, onepass.load(reduced) as other:
        outputs, expected = other(x=x), session(x=x)
        for name in expected:
            np.testing.assert_allclose(outputs[name], expected[name], atol=0.06)


@pytest.mark.parametrize("kinds", ["q", "qqf"])
def test_real_tensorrt_rtx(kinds: str) -> None:
    """TensorRT-RTX builds it, and the sidecar counts layers of each type."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install '.[rtx]'")
    options: dict[str, Any] = {"batch": 2, "precision": ["int8", "fp16"]}
    plan = plan_from_graph(_network(kinds), BuildOptions(**options), flavor=find_flavor("tensorrt_rtx"))
    assert plan.layer_types.keys() == {"int8", "fp16", "fp32"}
