"""Reduced precision written into a graph: valid ONNX, the same names, and outputs that are close, one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onepass
from onepass import InputError, OnnxGraph, UnsupportedModelError
from onepass.builder.precision import float32_nodes, reduce_edges, reduce_precision
from onepass.gaze import PACKAGED_MODELS
from onepass.graph.values import element_types
from tests.zoo import model

_DATA = Path(onepass.__file__).parent / "gaze" / "data"
Arrays = dict[str, np.ndarray[Any, Any]]


def run(graph: OnnxGraph, feeds: Arrays) -> Arrays:
    """Run a graph as it is written, without ONNX Runtime's own changes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph.to_bytes(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def precision_of(graph: OnnxGraph, tensor: str) -> str:
    """Return the type that the node which makes a tensor (or its reduced twin) computes in."""
    types = element_types(graph.proto)
    made = {name for node in graph.proto.graph.node if node.op_type != "Cast" for name in node.output}
    name = tensor if tensor in made else f"{tensor}__fp16"
    return {1: "fp32", 10: "fp16"}[types[name]]


def add_weights(graph: OnnxGraph, **weights: np.ndarray[Any, Any]) -> OnnxGraph:
    """Turn inputs of a graph into weights."""
    proto = graph.proto
    kept = [value for value in proto.graph.input if value.name not in weights]
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    proto.graph.initializer.extend(numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items())
    return OnnxGraph(proto)


def conv(text: str, **weights: np.ndarray[Any, Any]) -> OnnxGraph:
    """Return a graph in which c = Conv(x, w) of x [N, 3, 8, 8]; `text` is the rest of its body after the input list."""
    inputs = "".join(f", float[{','.join(map(str, w.shape))}] {n}" for n, w in weights.items())
    graph = model(f"(float[N, 3, 8, 8] x, float[4, 3, 3, 3] w{inputs}) => {text}")
    w = np.random.default_rng(0).standard_normal((4, 3, 3, 3)) * 0.2
    return add_weights(graph, w=w, **weights)


X = {"x": np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)}
_SAME = "Conv <pads = [1, 1, 1, 1]>"
_CONV = f"c = {_SAME} (x, w)"
_T = "float[N, 4, 8, 8]"


def check_parity(graph: OnnxGraph, feeds: Arrays, *, rtol: float = 0.01, **options: Any) -> OnnxGraph:
    """Reduce a graph and compare every output; return it."""
    reduced = reduce_precision(graph, "fp16", **options)
    reduced.check()
    assert reduced.signature == graph.signature
    before, after = run(graph, feeds), run(reduced, feeds)
    assert list(before) == list(after)
    for name, array in before.items():
        assert after[name].dtype == array.dtype
        scale = float(np.abs(array).max()) if array.size else 1.0
        assert np.abs(after[name].astype(np.float64) - array).max(initial=0) <= rtol * scale + 1e-6, name
    return reduced


@pytest.mark.parametrize("name", sorted(PACKAGED_MODELS))
def test_eye_networks(name: str, rng: np.random.Generator) -> None:
    """The bundled networks keep every output, even of noise: most landmarks within 0.1 pixels, all within 0.25."""
    graph = OnnxGraph.load(_DATA / PACKAGED_MODELS[name])
    (spec,) = graph.signature.inputs
    assert spec.shape is not None
    eyes = rng.uniform(-1, 1, (3, *spec.shape[1:])).astype(np.float32)  # type: ignore[arg-type]
    reduced = reduce_precision(graph, "fp16")
    reduced.check()
    before, after = run(graph, {spec.name: eyes}), run(reduced, {spec.name: eyes})
    for output, limit in (("heatmaps", 0.02), ("landmarks", 0.25), ("radius", 0.05)):
        assert np.abs(before[output] - after[output]).max() < limit
    assert np.quantile(np.abs(before["landmarks"] - after["landmarks"]), 0.9) < 0.1
    assert reduced.size_bytes < 0.6 * graph.size_bytes
    kinds = element_types(reduced.proto)
    for node in reduced.proto.graph.node:
        if node.op_type in ("Softmax", "Gemm"):
            assert kinds[node.output[0]] == TensorProto.FLOAT
        if node.op_type == "Conv":
            assert kinds[node.output[0]] == TensorProto.FLOAT16


def test_batch_norm_with_variances_beyond_float16() -> None:
    """Variances of 440,735 are folded before anything is rounded."""
    text = f"({_T} y) {{ {_CONV} \n y = BatchNormalization (c, scale, bias, mean, var) }}"
    graph = conv(
        text, scale=np.array([300, 250, 500, 700]), bias=np.arange(4.0), mean=np.array([5, 900, -800, 0]),
        var=np.array([440_735, 90_000, 1.0, 70_000]),
    )  # fmt: skip
    reduced = check_parity(graph, X)
    assert "BatchNormalization" not in {node.op_type for node in reduced.proto.graph.node}
    assert precision_of(reduced, "c") == "fp16"


def test_statistics_shared_by_way_of_identity() -> None:
    """BatchNorm reads its numbers through Identity where an exporter has shared equal weights."""
    text = f"({_T} y) {{ {_CONV} \n v = Identity (s) \n y = BatchNormalization (c, s, b, b, v) }}"
    reduced = check_parity(conv(text, s=np.full(4, 2.0), b=np.full(4, 0.5)), X)
    assert {node.op_type for node in reduced.proto.graph.node} == {"Cast", "Conv", "Mul", "Add"}


def test_an_output_that_is_also_consumed() -> None:
    """It stays a float32 output under its name, and its readers take its reduced twin."""
    text = f"({_T} y, {_T} c, {_T} d) {{ {_CONV} \n d = Relu (c) \n y = {_SAME} (d, w2) }}"
    reduced = check_parity(conv(text, w2=np.random.default_rng(2).standard_normal((4, 4, 3, 3)) * 0.2), X)
    assert [precision_of(reduced, name) for name in ("c", "d", "y")] == ["fp16"] * 3


def test_soft_argmax_stays_float32() -> None:
    """Softmax, and all that follows it without a convolution, computes in float32; so does the factor before it."""
    text = f"""(float[N, 4, 2] y, {_T} c) {{ {_CONV}
        shape = Constant <value_ints = [0, 4, 64]> () \n flat = Reshape (c, shape)
        sharp = Mul (flat, beta) \n p = Softmax (sharp) \n y = MatMul (p, grid) }}"""
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), -1).reshape(64, 2)
    reduced = check_parity(conv(text, beta=np.array([100.0]), grid=grid), X, rtol=0.02)
    assert [precision_of(reduced, name) for name in ("c", "sharp", "p", "y")] == ["fp16", "fp32", "fp32", "fp32"]


def test_attention_is_reduced() -> None:
    """A softmax in the middle stays float32, the products around it do not."""
    text = """(float[N, 6, 16] x) => (float[N, 6, 16] y) {
        t = Transpose <perm = [0, 2, 1]> (x) \n s = MatMul (x, t) \n p = Softmax (s) \n y = MatMul (p, x) }"""
    feeds = {"x": np.random.default_rng(0).standard_normal((2, 6, 16)).astype(np.float32)}
    reduced = check_parity(model(text), feeds)
    assert [precision_of(reduced, name) for name in ("s", "p", "y")] == ["fp16", "fp32", "fp16"]


def test_constants_that_float16_cannot_hold() -> None:
    """A factor beyond 65,504, or an epsilon below its least number, keeps its node in float32."""
    text = f"({_T} y, {_T} z) {{ {_CONV} \n y = Mul (c, big) \n a = Abs (c) \n z = Add (a, eps) }}"
    reduced = check_parity(conv(text, big=np.array([1e6]), eps=np.array([1e-12])), X)
    assert precision_of(reduced, "y") == precision_of(reduced, "z") == "fp32"


def test_resize_keeps_float32_scales() -> None:
    """Resize moves float16 data with float32 scales, as ONNX has it."""
    text = (
        f'(float[N, 4, 16, 16] y) {{ {_CONV} \n r = Resize <mode = "nearest"> (c, , scales) \n y = {_SAME} (r, w2) }}'
    )
    weights = {"scales": np.array([1, 1, 2, 2.0]), "w2": np.full((4, 4, 3, 3), 0.05)}
    reduced = check_parity(conv(text, **weights), X)
    assert precision_of(reduced, "r") == "fp16"


def test_inner_graphs_read_float32() -> None:
    """A branch reads tensors of the outer graph under their names; they are float32 there."""
    text = f"""({_T} y) {{ {_CONV} \n m = ReduceMax <keepdims = 0> (c) \n flag = Greater (m, zero)
        y = If (flag) <then_branch = yes () => ({_T} t) {{ t = Neg (c) }},
                       else_branch = no () => ({_T} e) {{ e = Add (c, c) }}> }}"""
    graph = conv(text, zero=np.zeros(1))
    check_parity(graph, X)
    check_parity(graph, {"x": -X["x"]})


def test_nodes_out_of_order() -> None:
    """Nodes that are not in order are put in order first."""
    graph = conv(f"({_T} y) {{ {_CONV} \n y = Relu (c) }}")
    nodes = list(graph.proto.graph.node)
    del graph.proto.graph.node[:]
    graph.proto.graph.node.extend(reversed(nodes))
    reduced = reduce_precision(graph, "fp16")
    reduced.check()
    assert run(reduced, X)["y"].shape == (2, 4, 8, 8)


def test_a_weight_that_float32_and_float16_share() -> None:
    """A weight read by a reduced node and by one that is not is there in both types."""
    text = f"({_T} y, float e) {{ {_CONV} \n y = Relu (c) \n q = Mul (w, w) \n e = ReduceSum <keepdims = 0> (q) }}"
    reduced = check_parity(conv(text), X)
    kinds = {tensor.name: tensor.data_type for tensor in reduced.proto.graph.initializer}
    assert kinds == {"w": TensorProto.FLOAT, "w__fp16": TensorProto.FLOAT16}


def test_what_the_user_names() -> None:
    """A node, an inner tensor, or an output with all that is computed for it alone stays float32."""
    text = f"({_T} y, {_T} z) {{ {_CONV} \n a = {_SAME} (c, u) \n y = Relu (a) \n b = {_SAME} (c, u) \n z = Relu (b) }}"
    graph = conv(text, u=np.random.default_rng(5).standard_normal((4, 4, 3, 3)) * 0.2)
    reduced = check_parity(graph, X, keep_float32=["y"])
    assert [precision_of(reduced, n) for n in ("c", "a", "y", "b", "z")] == ["fp16", "fp32", "fp32", "fp16", "fp16"]
    reduced = check_parity(graph, X, keep_float32=["c"])
    assert [precision_of(reduced, n) for n in ("c", "a")] == ["fp32", "fp16"]
    with pytest.raises(InputError, match="no node or tensor 'yy'"):
        reduce_precision(graph, "fp16", keep_float32=["yy"])


def test_reduced_edges() -> None:
    """Asked for, inputs and outputs take the reduced type, and their names stay."""
    graph = conv(f"({_T} y, {_T} c, float m) {{ {_CONV} \n y = Relu (c) \n m = ReduceSum <keepdims = 0> (y) }}")
    half = {"x": X["x"].astype(np.float16)}
    for changed in (reduce_precision(graph, "fp16", reduced_io=True), reduce_edges(graph, "fp16")):
        changed.check()
        assert changed.signature.output_names == ("y", "c", "m")
        after = run(changed, half)
        assert {array.dtype for array in after.values()} == {np.dtype(np.float16)}
        for name, array in run(graph, X).items():
            np.testing.assert_allclose(after[name].astype(np.float32), array, rtol=0.02, atol=0.05)


def test_a_cast_to_the_reduced_type() -> None:
    """What the model itself casts to float16 is taken as it is there, not made again from float32."""
    graph = conv(f"(float16[N, 4, 8, 8] h, {_T} y) {{ {_CONV} \n h = Cast <to = 10> (c) \n y = Relu (c) }}")
    reduced = check_parity(graph, X)
    assert [node.op_type for node in reduced.proto.graph.node if "h" in node.output] == ["Identity"]
    assert precision_of(reduced, "c") == "fp16"


def test_bfloat16() -> None:
    """In bfloat16 the same nodes are reduced (ONNX before opset 22 has no such convolution, TensorRT has)."""
    graph = conv(f"({_T} y) {{ {_CONV} \n y = Relu (c) }}")
    reduced = reduce_precision(graph, "bf16")
    kinds = {tensor.name: tensor.data_type for tensor in reduced.proto.graph.initializer}
    assert kinds == {"w__bf16": TensorProto.BFLOAT16}
    bits = np.frombuffer(reduced.proto.graph.initializer[0].raw_data, np.uint16).astype(np.uint32) << 16
    weights = numpy_helper.to_array(graph.proto.graph.initializer[0]).ravel()
    np.testing.assert_allclose(bits.view(np.float32), weights, rtol=2**-8)


def test_quantized_convolutions_are_left_alone() -> None:
    """Between DequantizeLinear and a convolution comes no Cast, which would part them."""
    text = f"""({_T} y) {{ q = QuantizeLinear (x, s, z) \n d = DequantizeLinear (q, s, z)
        c = {_SAME} (d, w) \n r = Relu (c) \n y = {_SAME} (r, u) }}"""
    graph = model(
        f"(float[N, 3, 8, 8] x, float[4, 3, 3, 3] w, float[4, 4, 3, 3] u, float s) => {text}"
        .replace("{ q", "<int8 z = {0}> { q", 1)
    )  # fmt: skip
    weights = np.random.default_rng(0).standard_normal
    graph = add_weights(graph, w=weights((4, 3, 3, 3)) * 0.2, u=weights((4, 4, 3, 3)) * 0.2, s=np.array(0.05))
    reduced = check_parity(graph, X)
    by_output = {name: node for node in reduced.proto.graph.node for name in node.output}
    convolution = next(n for n in reduced.proto.graph.node if n.op_type == "Conv" and n.input[1] == "w")
    assert by_output[convolution.input[0]].op_type == "DequantizeLinear"
    assert precision_of(reduced, "y") == "fp16"


@pytest.mark.parametrize("text", [
    ("y = If (c) <then_branch = t () => (float[N, 4] a) { b = MatMul (x, w) \n a = Relu (b) },"
    " else_branch = e () => (float[N, 4] d) { d = MatMul (x, w) }>"),
    ("y = If (c) <then_branch = t () => (float[N, 4] a) { a = If (c) <then_branch = u () => (float[N, 4] b)"
    " { b = MatMul (x, w) }, else_branch = v () => (float[N, 4] d) { d = Neg (x) }> },"
    " else_branch = e () => (float[N, 4] f) { f = Neg (x) }>"),
], ids=["branches", "branches in branches"])  # fmt: skip
def test_a_network_in_branches(text: str) -> None:
    """Convolutions and products inside of branches are not denied: they are said to stay float32."""
    weights = ", ".join("1" * 16)
    graph = model(f"(float[N, 4] x, bool c) => (float[N, 4] y) <float[4, 4] w = {{{weights}}}> {{ {text} }}")
    for reduce in (lambda: reduce_precision(graph, "fp16"), lambda: float32_nodes(graph, "fp16", ())):
        with pytest.raises(
            UnsupportedModelError, match=r"products are inside branches or loops \(If 'y'\), which stay"
        ):
            reduce()


def test_nothing_to_reduce() -> None:
    """A model without heavy work is refused, for the graph and for the flags."""
    graph = model("(float[N] x) => (float[N] y) { y = Relu (x) }")
    for reduce in (lambda: reduce_precision(graph, "fp16"), lambda: float32_nodes(graph, "fp16", ())):
        with pytest.raises(UnsupportedModelError, match="has no effect on this model"):
            reduce()


_UNARY = ("Relu", "Neg", "Abs", "Sigmoid", "Tanh", "Identity", "Softmax", "LeakyRelu", "Exp")
_BINARY = ("Add", "Sub", "Mul", "Max")


@st.composite
def graphs(draw: st.DrawFn) -> OnnxGraph:
    """Random graphs of square tensors: products by weights, arithmetic, softmax; outputs anywhere, also consumed."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    nodes, tensors = [helper.make_node("MatMul", ["x", "w"], ["t0"], name="n0")], ["x", "t0"]
    for index in range(1, draw(st.integers(2, 10))):
        kind = draw(st.sampled_from((*_UNARY, *_BINARY, "MatMul", "MatMul")))
        inputs = [draw(st.sampled_from(tensors))]
        if kind == "MatMul":
            inputs.append("w")
        elif kind in _BINARY:
            inputs.append(draw(st.sampled_from((*tensors, "b"))))
        elif kind == "Exp":  # bounded, or it overflows in float32 as well
            nodes.append(helper.make_node("Tanh", inputs, [f"e{index}"], name=f"e{index}"))
            inputs = [f"e{index}"]
        nodes.append(helper.make_node(kind, inputs, [f"t{index}"], name=f"n{index}"))
        tensors.append(f"t{index}")
    nodes.append(helper.make_node("MatMul", [tensors[-1], tensors[-1]], ["last"], name="last"))
    outputs = sorted({"last", *draw(st.lists(st.sampled_from(tensors[1:]), max_size=3))})
    square: list[str | int | None] = ["N", 8, 8]
    graph = helper.make_graph(
        draw(st.permutations(nodes)) if draw(st.booleans()) else nodes,
        "random",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, square)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, square) for name in outputs],
        [
            numpy_helper.from_array((rng.standard_normal((8, 8)) / 3).astype(np.float32), "w"),
            numpy_helper.from_array(rng.standard_normal(8).astype(np.float32), "b"),
        ],
    )
    return OnnxGraph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))


@given(graph=graphs(), seed=st.integers(0, 100))
def test_random_graphs(graph: OnnxGraph, seed: int) -> None:
    """Whatever the graph: valid, sorted, the same signature, and every output close to what it was."""
    from onepass.graph.sort import sort_nodes

    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    sort_nodes(proto.graph)
    feeds = {"x": np.random.default_rng(seed).uniform(-1, 1, (2, 8, 8)).astype(np.float32)}
    before = run(OnnxGraph(proto), feeds)
    reduced = reduce_precision(graph, "fp16")
    reduced.check()
    assert reduced.signature == graph.signature
    after = run(reduced, feeds)
    for name, array in before.items():
        largest = max(float(np.abs(each).max()) for each in before.values())
        if largest < 1e3:
            assert np.abs(after[name] - array).max() <= 0.03 * max(largest, 1.0), name
