"""Where two graphs part, and what to keep."""

from typing import Any

import numpy as np
import onnx
import pytest

from onepass import OnnxGraph, Session, UnsupportedModelError, load
from onepass._distance import widened_pair
from onepass.compare import Case, bisect, compare, random_cases
from onepass.compare.report import comparison_page
from onepass.graph.splice import spliced
from onepass.runtime.fake import FakeBackend
from tests.compare.models import broken_copy, half_copy
from tests.zoo import BY_NAME, ZOO, Animal, model

_CHAIN = """(float[N, 3] x) => (float[N, 3] y, float[N, 3] z)
<float[3] w = {{{}, 2.0, 3.0}}, float[3] v = {{1.0, 1.0, {}}}> {{
    a = Mul (x, w)
    b = Tanh (a)
    c = Add (b, v)
    y = Mul (c, c)
    z = Abs (x)
}}"""


def _cases(graph: OnnxGraph, count: int = 2) -> list[Case]:
    return list(random_cases(graph.signature, count))


def test_nothing_to_find() -> None:
    """Graphs that agree are not looked into."""
    graph = BY_NAME["three heads"].graph
    found = bisect(graph, graph, cases=_cases(graph))
    assert found.comparison.passed
    assert (found.steps, found.first, found.keep) == ((), None, ())


def test_one_changed_weight() -> None:
    """The node whose weight was changed is found, the weight is named, and exchanging the node heals the outputs."""
    first, second = model(_CHAIN.format(1.0, 1.0)), model(_CHAIN.format(1.5, 1.0))
    found = bisect(first, second, cases=_cases(first))
    assert found.comparison.broken == ("y",)
    assert found.first is not None
    assert found.first.tensor == "a"
    assert [step.tensor for step in found.steps] == ["a", "b", "c", "y", "z"]
    assert [step.tensor for step in found.suspects] == ["a"]
    assert found.suspects[0].differences == ("weight w: off by up to 0.5",)
    assert [step.tensor for step in found.keep] == ["a"]
    assert found.healed is not None
    assert found.healed.passed
    page = comparison_page(found.comparison, found)
    assert "Every output is within tolerance" in page
    assert found.to_json()["keep"] == ["a"]


def test_two_changed_weights() -> None:
    """With two faults, one behind the other, both are found and both have to be kept."""
    first, second = model(_CHAIN.format(1.0, 1.0)), model(_CHAIN.format(1.5, 1.25))
    found = bisect(first, second, cases=_cases(first))
    assert found.first is not None
    assert found.first.tensor == "a"
    assert {step.tensor for step in found.suspects} == {"a", "c"}
    assert {step.tensor for step in found.keep} == {"a", "c"}


def test_an_attribute_and_an_operator() -> None:
    """A changed attribute, and a changed operator, are named."""
    body = "(float[N, 4] x) => (float[N, 4] y) {{ h = {} (x) \n y = Abs (h) }}"
    first, second = model(body.format("LeakyRelu <alpha = 0.1>")), model(body.format("LeakyRelu <alpha = 0.5>"))
    found = bisect(first, second, cases=_cases(first))
    assert found.suspects[0].differences == ("attribute alpha: 0.1 vs. 0.5",) or "0.10000000149" in str(found)
    other = bisect(first, model(body.format("Relu")), cases=_cases(first))
    assert other.suspects[0].differences == ("operator LeakyRelu vs. Relu",)
    assert [step.tensor for step in other.keep] == ["h"]


def test_variances_beyond_float16() -> None:
    """A weight that float16 cannot hold is called by its name, and its node is what to keep."""
    graph = model("(float[N, 2] x) => (float[N, 2] y) <float[2] w = {100000.0, 3.0}> { h = Div (x, w) \n y = Neg (h) }")
    found = bisect(graph, half_copy(graph), cases=_cases(graph), atol=1e-6, rtol=2e-3)
    assert found.threshold == 1e-2
    step = next(step for step in found.suspects if step.tensor == "h")
    assert step.differences == ("weight w: 1 of 2 elements are not finite in float16; the largest was 100000",)
    assert [step.tensor for step in found.keep] == ["h"]


def test_bundled_network_in_half(small_elg: OnnxGraph) -> None:
    """In float16 the bundled network agrees once the nodes that are proposed compute in float32; that was tried."""
    half = half_copy(small_elg)
    options: dict[str, Any] = {"atol": {"heatmaps": 2e-3, "": 0.05}}
    cases = _cases(small_elg, 3)
    found = bisect(small_elg, half, cases=cases, **options)
    assert not found.comparison.passed
    assert found.keep
    mended = spliced(small_elg, half, [step.tensor for step in found.keep])
    assert isinstance(mended, OnnxGraph)
    mended.check()
    assert compare(small_elg, mended, cases=cases, **options).passed


def test_bundled_network_broken(small_elg: OnnxGraph) -> None:
    """One changed weight deep inside the bundled network is found among 101 nodes."""
    weights = [each.name for each in small_elg.proto.graph.initializer if len(each.dims) == 4]
    weight = weights[len(weights) // 2]
    found = bisect(small_elg, broken_copy(small_elg, weight), cases=_cases(small_elg, 1))
    assert len(found.keep) == 1
    assert found.first == next(step for step in found.steps if step.tensor == found.keep[0].tensor)
    assert weight in found.keep[0].differences[0]


def test_what_has_no_inside() -> None:
    """A session has no inside to look at, and the message says what can be done."""
    graph = BY_NAME["three heads"].graph
    with pytest.raises(UnsupportedModelError, match="mark_all_outputs=True"):
        bisect(graph, Session(FakeBackend(graph.signature)), cases=_cases(graph))


def test_graphs_that_share_no_name() -> None:
    """Where no inner tensor has a common name, that is said."""
    first = model("(float[N] x) => (float[N] y) { h = Neg (x) \n y = Abs (h) }")
    second = model("(float[N] x) => (float[N] z) { g = Neg (x) \n z = Exp (g) }")
    found = bisect(first, second, cases=_cases(first), names={"y": "z"})
    assert found.steps == ()
    assert "no inner tensor has the same name in both graphs" in found.notes[0]


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_exchanging_every_node_changes_nothing(animal: Animal) -> None:
    """A graph whose nodes are all exchanged for its own computes what it did."""
    plain = [
        node.output[0]
        for node in animal.graph.proto.graph.node
        if not any(each.type == onnx.AttributeProto.GRAPH for each in node.attribute)
    ]
    graph = spliced(animal.graph, animal.graph, plain)
    assert isinstance(graph, OnnxGraph)
    with load(graph) as session:
        for case in animal.cases:
            outputs = session({name: case[name] for name in session.signature.input_names})
            for name, expected in animal.reference(case).items():
                np.testing.assert_allclose(*widened_pair(outputs[name], np.asarray(expected)), 1e-6)


def test_what_cannot_be_exchanged() -> None:
    """Nodes with graphs inside, and graphs of another opset, say why they are left alone."""
    branch = BY_NAME["a branch that reads the outer graph"].graph
    assert spliced(branch, branch, ["y"]) == "If contains inner graphs"
    one = model("(float[N] x) => (float[N] y) { y = Abs (x) }")
    other = model("(float[N] x) => (float[N] y) { y = Abs (x) }", opset=18)
    assert "different opsets, 17 and 18" in str(spliced(one, other, ["y"]))
    longer = model("(float[N] x) => (float[N] y) { h = Abs (x) \n y = Neg (h) }")
    assert "reads 'h', which the second graph does not have" in str(spliced(longer, one, ["y"]))


def test_tensors_in_different_orders() -> None:
    """Graphs in which two tensors depend on each other in opposite ways cannot be mixed."""
    text = "(float[N] x) => (float[N] a, float[N] b) {{ {} }}"
    one = model(text.format("a = Neg (x) \n b = Abs (a)"))
    other = model(text.format("b = Neg (x) \n a = Abs (b)"))
    assert spliced(one, other, ["b"]) == "the two graphs compute their tensors in different orders"
