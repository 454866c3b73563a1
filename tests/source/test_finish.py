"""From an exported graph to the one that is promised: names, batch, layout, sizes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

import onepass
from onepass import InputError, OnnxGraph, ParityError
from onepass.outputs import Array
from onepass.source._export import FrameworkExport, export_network
from onepass.source._parity import parity
from onepass.source.finish import Finished, ModelOptions, finish
from onepass.source.finish._resize import repair_scales
from tests.source.networks import Pretended, graph_of


def _made(runs: OnnxGraph, exports: OnnxGraph | None = None, **options: Any) -> Finished:
    """Take a graph through everything between a framework and a file; parity is checked."""
    exported = export_network(Pretended(runs, exports or runs), opset=17, verify=True, scratch=Path())
    finished = finish(exported, ModelOptions(**options))
    parity(finished, exported.cases)
    return finished


def _kinds(finished: Finished) -> list[str]:
    return [node.op_type for node in finished.graph.proto.graph.node]


def _shapes(finished: Finished) -> dict[str, Any]:
    signature = finished.graph.signature
    return {spec.name: spec.shape for spec in (*signature.inputs, *signature.outputs)}


# ---- names -------------------------------------------------------------------------------------------------------


def test_names_that_inner_tensors_have() -> None:
    """An output may take a name that an inner tensor has; that gives way, in branches of the network, too."""
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["y"], ["z"])]
    finished = _made(graph_of(nodes, {"x": ["N", 4]}, {"z": ["N", 4]}), output_names=("y",))
    assert finished.graph.signature.output_names == ("y",)


def test_outputs_that_are_inputs() -> None:
    """One that has the input's name is the input; for other tools of TensorRT it is a copy with a name of its own."""
    graph = graph_of([helper.make_node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, {"x": ["N", 4], "y": ["N", 4]})
    assert _made(graph).graph.signature.output_names == ("x", "y")
    finished = _made(graph, target="tensorrt")
    assert finished.graph.signature.output_names == ("x_out", "y")
    assert finished.graph.signature.input_names == ("x",)
    renamed = _made(graph, output_names=("same", "y"))
    assert renamed.graph.signature.output_names == ("same", "y")
    assert renamed.graph.signature.input_names == ("x",)


# ---- batch -------------------------------------------------------------------------------------------------------


def _flattening(batch: int | str, first: int, **attributes: Any) -> OnnxGraph:
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["f"], **attributes),
        helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("Reshape", ["m", "back"], ["y"]),
    ]
    weights = {
        "flat": np.array([first, 12]),
        "back": np.array([first, 5, 1]),
        "w": np.random.default_rng(0).standard_normal((12, 5)).astype(np.float32),
    }
    return graph_of(nodes, {"x": [batch, 3, 4]}, {"y": [batch, 5, 1]}, weights)


@pytest.mark.parametrize("attributes", [{}, {"allowzero": 1}], ids=["", "as PyTorch writes it"])
@pytest.mark.parametrize("batch", ["dynamic", 1, 3])
def test_a_batch_that_is_written_into_the_network(batch: Any, attributes: dict[str, int]) -> None:
    """Reshape nodes made for two items take one, three, any number; parity is checked at all of them."""
    finished = _made(_flattening(2, 2, **attributes), batch=batch)
    name = "N" if batch == "dynamic" else batch
    assert _shapes(finished) == {"x": (name, 3, 4), "y": (name, 5, 1)}
    with onepass.load(finished.graph) as session:
        assert session(x=np.zeros((batch if isinstance(batch, int) else 7, 3, 4), np.float32)).y.shape[1:] == (5, 1)


def test_a_dynamic_batch_is_named_or_fixed() -> None:
    """Whatever an exporter calls it, all inputs and outputs of any number of items have it under one name."""
    exported = OnnxGraph(_flattening("unk__12", -1).proto)
    runs = _flattening("N", -1)
    assert _shapes(_made(runs, exported)) == {"x": ("N", 3, 4), "y": ("N", 5, 1)}
    assert _shapes(_made(runs, exported, batch=4)) == {"x": (4, 3, 4), "y": (4, 5, 1)}


def test_an_output_that_is_no_batch() -> None:
    """A first dimension that does not follow the inputs' gets no name that says it did."""
    nodes = [helper.make_node("ReduceMax", ["x"], ["m"], axes=[0], keepdims=0), helper.make_node("Relu", ["x"], ["y"])]
    runs = graph_of(nodes, {"x": ["N", 4]}, {"m": ["K"], "y": ["N", 4]})
    exported = export_network(Pretended(runs, runs), opset=17, verify=True, scratch=Path())
    assert finish(exported, ModelOptions()).batches.outputs == {"y": (0,)}


def test_a_batch_in_other_places_is_found() -> None:
    """A constant as long as the batch cannot be freed; parity says that this is the likely cause."""
    nodes = [helper.make_node("Concat", ["x", "two"], ["y"], axis=1)]
    graph = graph_of(nodes, {"x": [2, 3]}, {"y": [2, 4]}, {"two": np.ones((2, 1), np.float32)})
    with pytest.raises((ParityError, onepass.ModelError), match=r"items|dimension"):
        _made(graph, batch="dynamic")


@pytest.mark.parametrize("batch", [0, -1, True, "any", 2.0])
def test_what_is_no_batch(batch: Any) -> None:
    """A batch is a number of items or the word."""
    with pytest.raises(InputError, match="batch must be a whole number ≥ 1"):
        ModelOptions(batch=batch)


# ---- layout ------------------------------------------------------------------------------------------------------


def _convolution(channels: int, reshaped: str | None = None) -> OnnxGraph:
    """A convolution as exporters write it for a picture with its channels last."""
    entry = helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2])
    leave = helper.make_node("Transpose", ["c"], ["y"], perm=[0, 2, 3, 1])
    weights: dict[str, Array] = {"w": np.random.default_rng(0).standard_normal((1, channels, 3, 3)).astype(np.float32)}
    if reshaped:
        weights |= {"in": np.array([-1, 1, 6, 5]), "out": np.array([-1, 6, 5, 1])}
        entry = helper.make_node("Reshape", ["x", "in"], ["first"])
        leave = helper.make_node("Reshape", ["c", "out"], ["y"])
    nodes = [entry, helper.make_node("Conv", ["first", "w"], ["c"], pads=[1, 1, 1, 1]), leave]
    return graph_of(nodes, {"x": ["N", 6, 5, channels]}, {"y": ["N", 6, 5, 1]}, weights)


@pytest.mark.parametrize("graph", [_convolution(3), _convolution(1), _convolution(1, "reshaped")])
def test_channels_first(graph: OnnxGraph) -> None:
    """Transpositions at the edges go, and those that are written as a Reshape of one channel."""
    channels = graph.signature.inputs[0].shape[3]  # type: ignore[index]
    finished = _made(graph, channels_first=("x", "y"))
    assert _shapes(finished) == {"x": ("N", channels, 6, 5), "y": ("N", 1, 6, 5)}
    assert _kinds(finished) == ["Conv"]


def test_channels_first_where_the_network_reads_both() -> None:
    """Whoever reads the picture as it was still does, by way of one transposition."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMean", ["first"], ["y"], axes=[2, 3], keepdims=0),
        helper.make_node("Softmax", ["x"], ["z"], axis=1),
    ]
    graph = graph_of(nodes, {"x": ["N", 6, 5, 2]}, {"y": ["N", 2], "z": ["N", 6, 5, 2], "x": ["N", 6, 5, 2]})
    finished = _made(graph, channels_first=("x",))
    assert _shapes(finished) == {"x": ("N", 2, 6, 5), "y": ("N", 2), "z": ("N", 6, 5, 2)}


@given(
    rank=st.integers(3, 5),
    outputs=st.permutations(["a", "b", "c"]),
    first=st.sets(st.sampled_from(["x", "a", "b", "c"])),
)
def test_any_choice_of_layouts(rank: int, outputs: list[str], first: set[str]) -> None:
    """Whatever is put channels first, and in whichever order outputs come, every output keeps its numbers."""
    sizes: list[int | str] = ["N", 4, 3, 5]
    shape = [*sizes[: rank - 1], 2]
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Identity", ["x"], ["b"]),
        helper.make_node("Transpose", ["a"], ["t"], perm=[0, rank - 1, *range(1, rank - 1)]),
        helper.make_node("Neg", ["t"], ["n"]),
        helper.make_node("Transpose", ["n"], ["c"], perm=[0, *range(2, rank), 1]),
    ]
    graph = graph_of(nodes, {"x": shape}, dict.fromkeys(("a", "b", "c"), shape))
    finished = _made(graph, outputs=tuple(outputs), channels_first=tuple(sorted(first)))
    for name, spec_shape in _shapes(finished).items():
        assert spec_shape is not None
        assert (spec_shape[1] == 2 and spec_shape[-1] != 2) == (name in first)


def test_layout_goes_by_the_names_of_the_source() -> None:
    """Where outputs change their names, the one that was meant changes its layout."""
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Neg", ["x"], ["b"])]
    shape: list[int | str] = ["N", 4, 3, 2]
    graph = graph_of(nodes, {"x": shape}, {"a": shape, "b": shape})
    finished = _made(graph, output_names=("c", "d"), channels_first=("a",))
    assert _shapes(finished) == {"x": ("N", 4, 3, 2), "c": ("N", 2, 4, 3), "d": ("N", 4, 3, 2)}


def test_what_has_no_channels() -> None:
    """Names that are not there, and vectors, are refused."""
    graph = _flattening(2, 2)
    with pytest.raises(InputError, match="no input or output 'eye'"):
        _made(graph, channels_first=("eye",))
    vectors = graph_of([helper.make_node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, {"y": ["N", 4]})
    with pytest.raises(InputError, match=r"'x': expected a shape \[N, height, width, channels\], got \[N, 4\]"):
        _made(vectors, channels_first=("x",))


# ---- sizes -------------------------------------------------------------------------------------------------------


def _resize(size: int, scale: np.float32, opset: int) -> OnnxGraph:
    scales = np.array([1, 1, scale, 2], np.float32)
    if opset < 9:
        node = helper.make_node("Upsample", ["x"], ["y"], mode="nearest", scales=scales.tolist())
    elif opset < 11:
        node = helper.make_node("Upsample" if opset == 9 else "Resize", ["x", "scales"], ["y"], mode="nearest")
    else:
        node = helper.make_node("Resize", ["x", "roi", "scales"], ["y"], mode="nearest")
    weights = {} if opset < 9 else {"scales": scales}
    if opset >= 11:
        weights["roi"] = np.zeros(0, np.float32)
    return graph_of([node], {"x": [1, 1, size, 2]}, {"y": [1, 1, "H", 4]}, weights, opset=opset)


@given(size=st.integers(1, 400), larger=st.integers(1, 900), opset=st.sampled_from([7, 9, 10, 11, 17]))
def test_scales_that_float32_rounds_down(size: int, larger: int, opset: int) -> None:
    """Whatever size is meant is the size that comes out, in every form that scales have had."""
    larger = max(size, larger)
    graph = _resize(size, np.nextafter(np.float32(larger / size), np.float32(0)), opset)
    repair_scales(graph.proto)
    with onepass.load(graph) as session:
        assert session(x=np.zeros((1, 1, size, 2), np.float32)).y.shape[2] == larger


def test_sound_scales_stay() -> None:
    """Doubling is doubling."""
    graph = _resize(5, np.float32(2), 17)
    before = graph.to_bytes()
    repair_scales(graph.proto)
    assert graph.to_bytes() == before


# ---- the way from one process to another ------------------------------------------------------------------------


def test_an_export_survives_the_way(tmp_path: Path) -> None:
    """Model, signature and arrays of every dtype come back as they were."""
    exported = export_network(Pretended(_flattening(2, 2), _flattening(2, 2)), opset=17, verify=True, scratch=Path())
    exported.save(tmp_path)
    again = FrameworkExport.load(tmp_path)
    assert (again.signature, again.framework, again.graph.proto) == (
        exported.signature,
        exported.framework,
        exported.graph.proto,
    )
    for before, after in zip(exported.cases, again.cases, strict=True):
        assert before.name == after.name
        np.testing.assert_array_equal(before.outputs["y"], after.outputs["y"])
