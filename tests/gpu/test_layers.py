"""Times of layers by real TensorRT's profiler, on a real GPU."""

from __future__ import annotations

import os

import numpy as np
import pytest

import onepass
from onepass import BuildOptions, Plan
from onepass.bench import measure_layers
from onepass.engine import find_flavor, plan_from_graph
from onepass.engine.log import get_logger
from tests.checker import assert_same
from tests.zoo import BY_NAME, model

pytestmark = pytest.mark.gpu

THREE = BY_NAME["three heads"]
_TACTICS = os.environ.get("TACTIC_SOURCES", "").split() or None


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Two convolutions, of which each output needs one besides that which both need."""
    rng = np.random.default_rng(0)
    first, second = (
        ", ".join(f"{value:.4f}" for value in rng.standard_normal(count) * 0.2) for count in (8 * 3 * 9, 4 * 8 * 9)
    )
    graph = model(
        "(float[N, 3, 16, 16] x) => (float[N, 8, 16, 16] near, float[N, 4, 16, 16] far) "
        f"<float[8, 3, 3, 3] w = {{{first}}}, float[4, 8, 3, 3] v = {{{second}}}> {{"
        " a = Conv <pads = [1, 1, 1, 1]> (x, w) \n near = Sigmoid (a) \n far = Conv <pads = [1, 1, 1, 1]> (a, v) }"
    )
    return plan_from_graph(graph, BuildOptions(batch=(1, 2, 4), tactic_sources=_TACTICS))


def test_layers(plan: Plan) -> None:
    """Layers are those that the inspector lists, with times above nought, and what serves which output is told."""
    with onepass.load(plan) as session:
        x = np.ones((2, 3, 16, 16), np.float32)
        before = {name: array.copy() for name, array in session(x=x).items()}
        result = measure_layers(session, inputs={"x": x})
        for _ in range(3):
            after = session(x=x)
            for name, array in before.items():
                np.testing.assert_allclose(after[name], array, rtol=1e-5, atol=1e-6)
        assert session.report()["passes"][0]["recorded"]
    assert 0 < result.milliseconds < 1000
    assert all(each.layer.kind and each.layer.types for each in result.layers), _as_the_inspector_has_it(plan)
    assert {"near", "far"} == {name for each in result.layers for name in each.outputs}
    assert any(each.outputs == ("near", "far") for each in result.layers)
    assert any(each.outputs == ("far",) for each in result.layers)


def test_several_shapes_in_turn() -> None:
    """Looking at one shape leaves the others as they were, where a profile has one context only, too."""
    plan = plan_from_graph(THREE.graph, BuildOptions(batch=(1, 2, 8), tactic_sources=_TACTICS))
    with onepass.load(plan) as session:
        for rows in (1, 3, 1, 8, 3):
            x = np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32)
            assert_same(session(x=x), THREE.reference({"x": x}))
            assert measure_layers(session, inputs={"x": x}).layers
            assert_same(session(x=x), THREE.reference({"x": x}))


def _as_the_inspector_has_it(plan: Plan) -> str:
    """Return TensorRT's own words of the layers, for a message."""
    flavor = find_flavor(plan.flavor)
    runtime = flavor.module.Runtime(get_logger(flavor))
    engine = runtime.deserialize_cuda_engine(plan.engine_bytes())
    form = flavor.member("LayerInformationFormat", "JSON")
    return str(engine.create_engine_inspector().get_engine_information(form))
