"""Refit with real TensorRT on a real GPU: outputs follow the new weights, and what does not fit is named."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
import pytest

import onepass
from onepass import BuildOptions, InputError, OnnxGraph, Plan
from onepass.engine import find_builder, plan_from_graph
from tests.zoo import model

pytestmark = pytest.mark.gpu

_TACTICS = os.environ.get("TACTIC_SOURCES", "").split() or None
_X = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)


def _network(seed: int, *, channels: int = 4) -> OnnxGraph:
    """Return a convolution with its bias, BatchNorm, a Gemm that transposes, a MatMul and a factor."""
    graph = model(
        "(float[N, 3, 8, 8] x) => (float[N, 5] y, float[N, C, 8, 8] c) {"
        " h = Conv <pads = [1, 1, 1, 1]> (x, kernel, bias)"
        "\n n = BatchNormalization (h, gamma, beta, mean, variance) \n c = Relu (n)"
        "\n p = ReduceMean <axes = [2, 3], keepdims = 0> (c) \n g = Gemm <transB = 1> (p, dense, offset)"
        "\n d = MatMul (g, square) \n y = Mul (d, factor) }",
        check=False,
    )
    rng = np.random.default_rng(seed)
    shapes = {"kernel": (channels, 3, 3, 3), "dense": (5, channels), "offset": (5,), "square": (5, 5), "factor": (1,)}
    shapes |= dict.fromkeys(("bias", "gamma", "beta", "mean", "variance"), (channels,))
    for name, shape in shapes.items():
        values = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        graph.proto.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    graph.check()
    return graph


@pytest.fixture(scope="module")
def plan() -> Plan:
    """An engine that takes other weights, for batches from 1 to 4."""
    return plan_from_graph(_network(1), BuildOptions(batch=(1, 2, 4), refit=True, tactic_sources=_TACTICS))


def _assert_as(engine: Plan, graph: OnnxGraph, **options: Any) -> None:
    with onepass.load(engine, **options) as session, onepass.load(graph) as reference:
        expected = reference(x=_X)
        for _ in range(3):  # the third is a recorded pass
            outputs = session(x=_X)
            assert list(outputs) == ["y", "c"]
            for name in expected:
                np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-4, atol=1e-4)


def test_outputs_follow_the_new_weights(plan: Plan) -> None:
    """Whatever the parser folds or transposes; a refitted engine takes others again, and the old one is as it was."""
    _assert_as(plan, _network(1))
    other = plan.refit(_network(2))
    _assert_as(other, _network(2))
    _assert_as(other.refit(_network(3)), _network(3))
    _assert_as(plan, _network(1))


def test_weights_at_loading(plan: Plan, tmp_path: Any) -> None:
    """`weights=` changes the session's engine, not the file."""
    _network(2).save(tmp_path / "other.onnx")
    _assert_as(plan, _network(2), weights=tmp_path / "other.onnx")
    _assert_as(plan, _network(1))


def test_weights_that_do_not_fit(plan: Plan) -> None:
    """Other sizes are named, with the layer; and an engine that was not built for it says so."""
    with pytest.raises(InputError, match=r"(?s)do not fit the engine.*kernel of '.*expected 108 elements, got 162"):
        plan.refit(_network(2, channels=6))
    fixed = plan_from_graph(model("(float[N, 4] x) => (float[N, 4] y) { y = Neg (x) }"),
                            BuildOptions(batch=2, tactic_sources=_TACTICS))  # fmt: skip
    with pytest.raises(InputError, match="is not refittable"):
        fixed.refit(_network(2))


def test_stripped() -> None:
    """Where TensorRT strips weights, they come back."""
    if not find_builder().has("BuilderFlag", "STRIP_PLAN"):
        pytest.skip(f"{find_builder()} does not strip")
    stripped = plan_from_graph(_network(1), BuildOptions(batch=2, strip=True, tactic_sources=_TACTICS))
    _assert_as(stripped.refit(_network(1)), _network(1))
