"""Pictures and other types at the edges of real engines, on a real GPU; int8 and float16 at once."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
import pytest

import onepass
from onepass import BuildError, BuildOptions, OnnxGraph, Plan
from onepass.engine import plan_from_graph
from tests.zoo import model

pytestmark = pytest.mark.gpu

_TACTICS = os.environ.get("TACTIC_SOURCES", "").split() or None


def _plan(graph: OnnxGraph, **options: Any) -> Plan:
    return plan_from_graph(graph, BuildOptions(tactic_sources=_TACTICS, **options))


def test_pictures() -> None:
    """A decoder's bytes give what pictures prepared outside give, call after call."""
    weights = ", ".join(f"{value:.3f}" for value in np.random.default_rng(0).uniform(-1, 1, 24))
    graph = model(
        f"(float[N, 3, 8, 8] image) => (float[N, 2, 8, 8] mask, float[N, 3, 1, 1] top) "
        f"<float[2, 3, 2, 2] w = {{{weights}}}>"
        ' { c = Conv <auto_pad = "SAME_UPPER"> (image, w) \n mask = Sigmoid (c) \n top = GlobalMaxPool (image) }'
    )
    plan = _plan(graph, batch=(1, 2, 4), picture_inputs={"image": "bgr,0.485:0.456:0.406,0.229:0.224:0.225"})
    with onepass.load(plan) as session, onepass.load(graph) as reference:
        for seed in range(6):
            pixels = np.random.default_rng(seed).integers(0, 256, (1 + seed // 3, 8, 8, 3), np.uint8)
            outside = (pixels[..., ::-1] / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
            outside = np.ascontiguousarray(outside.transpose(0, 3, 1, 2), np.float32)
            outputs = session(image=pixels)
            for name, expected in reference(image=outside).items():
                np.testing.assert_allclose(outputs[name], expected, rtol=1e-4, atol=1e-5)


def test_types_of_single_edges() -> None:
    """One input and one output are float16, the others stay float32."""
    graph = model("(float[N, 4] a, float[N, 4] b) => (float[N, 4] y, float[N, 4] z) { y = Add (a, b) \n z = Relu (y) }")
    plan = _plan(graph, batch=(1, 2, 4), input_io_formats={"b": "fp16"}, output_io_formats=["fp32", "fp16"])
    x = np.random.default_rng(0).uniform(-1, 1, (2, 4)).astype(np.float32)
    with onepass.load(plan) as session, onepass.load(graph) as reference:
        outputs = session(a=x, b=x.astype(np.float16))
        assert [str(array.dtype) for array in outputs.values()] == ["float32", "float16"]
        for name, expected in reference(a=x, b=x).items():
            np.testing.assert_allclose(outputs[name], expected, atol=5e-3)


def test_int8_and_fp16() -> None:
    """The quantised convolution computes in int8, another in float16, and outputs are near those of the model."""
    rng = np.random.default_rng(0)
    graph = model(
        "(float[N, 16, 16, 16] x) => (float[N, 16, 16, 16] y) <float s = {0.02}, float t = {0.002}, int8 z = {0}> {"
        " q = QuantizeLinear (x, s, z) \n d = DequantizeLinear (q, s, z) \n v = DequantizeLinear (w, t, z)"
        " \n c = Conv <pads = [1, 1, 1, 1]> (d, v) \n r = Relu (c) \n y = Conv <pads = [1, 1, 1, 1]> (r, u) }",
        check=False,
    )
    for name, values in (
        ("w", rng.integers(-127, 128, (16, 16, 3, 3), np.int8)),
        ("u", rng.uniform(-0.1, 0.1, (16, 16, 3, 3)).astype(np.float32)),
    ):
        graph.proto.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    graph.check()
    try:
        plan = _plan(graph, batch=(1, 2, 4), precision="best")
    except BuildError as error:
        if "filterQDQFormats" not in str(error):
            raise
        pytest.skip("this TensorRT has no int8 kernel for the convolution, from the libraries that are here")
    assert plan.options["precision"] == ["fp16", "int8"]
    assert plan.layer_types.get("int8", 0) > 0
    assert plan.layer_types.get("fp16", 0) > 0
    x = rng.uniform(-1, 1, (2, 16, 16, 16)).astype(np.float32)
    with onepass.load(plan) as session, onepass.load(graph) as reference:
        expected = reference(x=x)["y"]
        np.testing.assert_allclose(session(x=x)["y"], expected, atol=0.02 * float(np.abs(expected).max()))
