"""Pictures straight into a model: what was done outside is in the graph, and gives the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onepass
from onepass import InputError, OnnxGraph, UnsupportedModelError
from onepass.graph.pictures import with_picture_input
from tests.zoo import model


def _model(channels: int, *, first: bool, kind: str = "float") -> OnnxGraph:
    """Return a model that gives its input back, and a sum over it in a branch."""
    shape = f"N, {channels}, H, W" if first else f"N, H, W, {channels}"
    return model(
        f"({kind}[{shape}] image, bool c) => ({kind}[{shape}] same, {kind}[N] total) {{"
        " same = Identity (image) \n total = If (c) <then_branch = t () => (" + kind + "[N] a) {"
        " a = ReduceSum <keepdims = 0> (image, axes) }, else_branch = e () => (" + kind + "[N] b) {"
        " n = Neg (image) \n b = ReduceSum <keepdims = 0> (n, axes) }> }",
        check=False,
    )


def _with_axes(graph: OnnxGraph) -> OnnxGraph:
    graph.proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 2, 3]), "axes"))
    graph.check()
    return graph


_numbers = st.floats(-2, 2).map(lambda value: round(value, 3))


@given(
    channels=st.sampled_from([1, 3, 4]), first=st.booleans(), reverse=st.booleans(), several=st.booleans(),
    kind=st.sampled_from(["float", "float16"]), data=st.data(), seed=st.integers(0, 99),
)  # fmt: skip
def test_the_same_as_outside(
    channels: int, first: bool, reverse: bool, several: bool, kind: str, data: Any, seed: int
) -> None:
    """For any layout, order, mean and deviation, the model computes what it does of pictures prepared outside."""
    count = channels if several else 1
    mean = data.draw(st.lists(_numbers, min_size=count, max_size=count))
    std = data.draw(st.lists(_numbers.filter(lambda value: abs(value) > 0.05), min_size=count, max_size=count))
    graph = _with_axes(_model(channels, first=first, kind=kind))
    prepared = with_picture_input(graph, "image", reverse=reverse, mean=mean, std=std)
    prepared.check()
    assert prepared.signature.outputs == graph.signature.outputs
    assert str(prepared.signature.inputs[0]) == f"uint8 [N, H, W, {channels}]"
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 5, 7, channels), np.uint8)
    outside = pixels.astype(np.float64) / 255
    if reverse:
        outside = np.concatenate([outside[..., 2::-1], outside[..., 3:]], axis=-1) if channels > 1 else outside
    outside = (outside - mean) / std
    outside = (outside.transpose(0, 3, 1, 2) if first else outside).astype(graph.signature.inputs[0].dtype)
    with onepass.load(graph) as reference, onepass.load(prepared) as session:
        for c in (True, False):
            expected = reference(image=np.ascontiguousarray(outside), c=np.array(c))
            outputs = session(image=pixels, c=np.array(c))
            rtol, atol = (1e-6, 1e-5) if kind == "float" else (2e-3, 2e-2)
            np.testing.assert_allclose(outputs["same"], expected["same"], rtol=rtol, atol=atol)
            if kind == "float":
                np.testing.assert_allclose(outputs["total"], expected["total"], rtol=1e-4, atol=2e-2)


@pytest.mark.parametrize(
    ("text", "given", "error", "message"),
    [
        ("(float[N, 3, H, W] x)", {"name": "y"}, InputError, "no input 'y'. Did|no input 'y'"),
        (
            "(float[N, 3, H, W] x)",
            {"mean": [1, 2]},
            InputError,
            "mean of input 'x' must be one number, or 3",
        ),
        ("(float[N, 3, H, W] x)", {"std": [1, 0, 1]}, InputError, "standard deviations must not be 0"),
        ("(float[N, 3, H, W] x)", {"mean": [float("nan")]}, InputError, "mean of input 'x'"),
        (
            "(float[N, 7, H, W] x)",
            {},
            UnsupportedModelError,
            r"'x' cannot take pictures: .* got float32 \[N, 7, H, W\]",
        ),
        ("(float[N, 3] x)", {}, UnsupportedModelError, "cannot take pictures"),
        ("(int32[N, 3, H, W] x)", {}, UnsupportedModelError, "cannot take pictures"),
    ],
)
def test_what_takes_no_pictures(text: str, given: dict[str, Any], error: type[Exception], message: str) -> None:
    """The input's name, what it is and what was expected are said."""
    kind, shape = text[1:].split("[", maxsplit=1)[0], text.split("[")[1].split("]", maxsplit=1)[0]
    graph = model(f"{text} => ({kind}[{shape}] y) {{ y = Neg (x) }}")
    with pytest.raises(error, match=message):
        with_picture_input(graph, **{"name": "x", **given})


def test_an_input_that_is_an_output() -> None:
    """Its values would not be the model's any more."""
    graph = model("(float[N, 3, H, W] x) => (float[N, 3, H, W] x, float[N, 3, H, W] y) { y = Neg (x) }")
    with pytest.raises(UnsupportedModelError, match="is also an output"):
        with_picture_input(graph, "x")


def test_the_graph_that_is_given_stays() -> None:
    """A pass returns another graph."""
    graph = model("(float[N, 3, H, W] x) => (float[N, 3, H, W] y) { y = Neg (x) }")
    before = graph.to_bytes()
    with_picture_input(graph, "x")
    assert graph.to_bytes() == before
