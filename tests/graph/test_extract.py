"""What lies between some tensors and another one."""

from __future__ import annotations

import numpy as np

from onepass import OnnxGraph, load
from onepass.graph.extract import extracted
from onepass.graph.values import inferred
from tests.graph.animals import captured, omitted
from tests.zoo import model

_CHAIN = """(float[N, 3] x, float[N, 3] u) => (float[N, 3] y)
<float[3] w = {1.0, 2.0, 3.0}, float[3] v = {5.0, 6.0, 7.0}> {
    a = Mul (x, w)
    b = Tanh (a)
    c = Add (b, v)
    d = Mul (c, a)
    y = Add (d, u)
}"""


def _part(graph: OnnxGraph, tensor: str, *given: str) -> OnnxGraph | None:
    return extracted(graph, tensor, given=given, types=inferred(graph.proto))


def test_it_computes_that_tensor_from_those() -> None:
    """The part takes the given tensors that it needs, has the weights it needs, and computes what the whole does."""
    graph = model(_CHAIN)
    part = _part(graph, "d", "a", "c", "d", "u", "x")
    assert part is not None
    part.check()
    assert [node.op_type for node in part.proto.graph.node] == ["Mul"]
    assert sorted(part.signature.input_names) == ["a", "c"]
    part = _part(graph, "d", "a")
    assert part is not None
    part.check()
    assert part.signature.input_names == ("a",)
    assert [tensor.name for tensor in part.proto.graph.initializer] == ["v"]
    a = np.ones((2, 3), np.float32)
    with load(part) as session:
        np.testing.assert_allclose(session(a)["d"], np.tanh(a) + np.array([5, 6, 7]), rtol=1e-6)


def test_what_takes_more() -> None:
    """There is no part where another tensor is needed, or where a node on the way holds a graph."""
    assert _part(model(_CHAIN), "y", "a") is None
    assert _part(captured(), "y", "h", "copy", "flag") is None


def test_what_is_omitted_is_not_needed() -> None:
    """Omitted inputs and outputs are no tensors that would have to be given."""
    part = _part(omitted(), "h0", "a")
    assert part is not None
    part.check()
    assert part.signature.input_names == ("a",)
