"""OnnxGraph.clean: the same meaning in fewer nodes, under names that nothing will take again."""

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from onepass import OnnxGraph, UnsupportedModelError, load
from onepass.graph.nodes import rename_tensors
from tests.checker import assert_same
from tests.zoo import ZOO, Animal, model

animals = pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)


@animals
def test_clean_keeps_meaning(animal: Animal) -> None:
    """A cleaned model has the same signature and computes the same."""
    cleaned = animal.graph.clean()
    assert cleaned.signature.output_names == animal.graph.signature.output_names
    with load(cleaned) as session:
        for case in animal.cases:
            assert_same(session(case), animal.reference(case))


def test_clean_folds() -> None:
    """Constants are folded and identities go, in standard operators only."""
    graph = model("""(float[N] x) => (float[N] y) {
        one = Constant <value_float = 1.0> ()
        two = Add (one, one)
        same = Identity (x)
        y = Mul (same, two)
    }""")
    cleaned = graph.clean()
    cleaned.check()
    assert [node.op_type for node in cleaned.proto.graph.node] == ["Mul"]
    assert [entry.domain for entry in cleaned.proto.opset_import] == [""]


# Names that ONNX Runtime's optimiser gives to what it makes, whether or not a model has them.
_OPTIMISERS_NAMES = ("gemm_input_shape", "gemm_output_shape", "y_0", "matmul_output", "x")
_CHAIN = """(float[2, 8, 16] x, float[16, 16] w) => (float[2, 8, 16] y, float[16, 16] z)
    <int64[2] s0 = {16, 16}, float[16] b = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}> {
        s1 = Reshape (x, s0)
        z = Identity (s1)
        s2 = MatMul (x, w)
        s3 = Add (s2, b)
        s4 = MatMul (s3, w)
        y = Add (s4, b)
    }"""


def opens_at_every_level(graph: OnnxGraph) -> None:
    """Assert that ONNX Runtime opens a model whatever it may do to it."""
    for level in ("DISABLE_ALL", "ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_ALL"):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_{level}")
        options.log_severity_level = 4
        onnxruntime.InferenceSession(graph.to_bytes(), options, providers=["CPUExecutionProvider"])


@animals
def test_what_is_cleaned_is_like_any_model(animal: Animal) -> None:
    """It opens at every level of optimisation, and can be cleaned again; its names are what they were."""
    cleaned = animal.graph.clean()
    again = cleaned.clean()
    assert again.signature == cleaned.signature
    opens_at_every_level(cleaned)
    opens_at_every_level(again)


@given(names=st.permutations([*_OPTIMISERS_NAMES, "s@", "s@@"]), times=st.integers(1, 3))
def test_names_that_the_optimiser_gives_too(names: list[str], times: int) -> None:
    """Whatever inner tensors are called, what is made of a model never takes a name that is there."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model(_CHAIN).proto)
    rename_tensors(proto.graph, {f"s{place}": f"{name}" for place, name in enumerate(names[:5]) if name != "x"})
    graph = cleaned = OnnxGraph(proto)
    for _ in range(times):
        cleaned = cleaned.clean()
        opens_at_every_level(cleaned)
    rng = np.random.default_rng(0)
    case = {"x": rng.normal(size=(2, 8, 16)).astype(np.float32), "w": rng.normal(size=(16, 16)).astype(np.float32)}
    with load(cleaned) as ours:
        outputs = ours(case)
    expected = ReferenceEvaluator(graph.proto).run(None, case)
    for name, array in zip(("y", "z"), expected, strict=True):
        np.testing.assert_allclose(outputs[name], array, rtol=1e-4, atol=1e-4)


def test_clean_unknown_operator() -> None:
    """A model that ONNX Runtime does not know cannot be cleaned, and the message says why."""
    graph = OnnxGraph(onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["mine" : 1]> g (float[N] x) => (float[N] y) { y = mine.Op (x) }'
    ))  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="cannot optimise the model"):
        graph.clean()
