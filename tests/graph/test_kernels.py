"""Convolutions get the size of their kernel from their weights, whichever way these come."""

import onnx
import pytest

from onepass import OnnxGraph
from onepass.graph.kernels import with_kernel_shapes
from tests.zoo import model

WEIGHTS = "float[1, 1, 2, 3] w = {1, 2, 3, 4, 5, 6}"
QUANTISED = "int8[1, 1, 2, 3] q = {1, 2, 3, 4, 5, 6}, float s = {0.5}, int8 z = {0}"


def _kernel(graph: OnnxGraph) -> list[list[int]]:
    attributes = [each for node in graph.proto.graph.node for each in node.attribute if each.name == "kernel_shape"]
    return [onnx.helper.get_attribute_value(each) for each in attributes]


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize(
    ("weights", "before"),
    [(WEIGHTS, ""), (QUANTISED, "w = DequantizeLinear (q, s, z)"), (WEIGHTS.replace(" w ", " v "), "w = Identity (v)")],
    ids=["weights", "quantised", "renamed"],
)
def test_kernel_is_that_of_the_weights(kind: str, weights: str, before: str) -> None:
    """The model stays sound, and says what it left to its weights; the one that was given is untouched."""
    graph = model(f"(float[1, 1, 8, 8] x) => (float[N, C, H, W] y) <{weights}> {{ {before}\n y = {kind} (x, w) }}")
    changed = with_kernel_shapes(graph)
    changed.check()
    assert _kernel(changed) == [[2, 3]]
    assert _kernel(graph) == []
    assert with_kernel_shapes(changed) is changed


def test_weights_that_are_computed() -> None:
    """A kernel that only a run knows is left open."""
    graph = model(
        "(float[1, 1, 8, 8] x, float[1, 1, 2, 3] k) => (float[N, C, H, W] y) { w = Neg (k)\n y = Conv (x, w) }"
    )
    assert with_kernel_shapes(graph) is graph
