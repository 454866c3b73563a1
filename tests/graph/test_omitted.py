"""The name "" stands for an input or output that a node leaves out; no part of graph surgery takes it for a tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onepass import ModelFormatError, OnnxGraph, load
from onepass.graph.nodes import all_names, captured, free_name, producers, reach, reads, rename_tensors
from onepass.graph.select import drop_unused
from onepass.graph.splice import spliced
from onepass.graph.values import constants, element_types, inferred
from tests.graph.animals import cases_of, omitted


def _outputs(graph: OnnxGraph) -> dict[str, np.ndarray]:
    feeds = cases_of(omitted())[0]
    with load(graph) as session:
        return dict(session({name: feeds[name] for name in session.signature.input_names}))


def test_select_takes_only_what_is_needed() -> None:
    """A node that omits an output is not needed by a node that omits an input."""
    graph = omitted()
    part = graph.select(["last"])
    assert [node.name for node in part.proto.graph.node] == ["relu", "lstm0", "clip"]
    assert {tensor.name for tensor in part.proto.graph.initializer} == {"w0", "r0", "start", "most"}
    np.testing.assert_array_equal(_outputs(part)["last"], _outputs(graph)["last"])


def test_dropping_takes_away_what_is_unused() -> None:
    """The same for a node whose results nothing reads any more."""
    proto = omitted().proto
    del proto.graph.output[1]
    drop_unused(proto.graph)
    assert [node.name for node in proto.graph.node] == ["relu", "lstm0", "clip"]


def test_exchanging_nodes_that_omit_something() -> None:
    """Nodes with omitted inputs and outputs, on either side, can be exchanged for others."""
    graph = omitted()
    for tensors in (["h0"], ["c1"], ["a", "last"], ["h0", "c1", "last", "other"]):
        result = spliced(graph, graph, tensors)
        assert isinstance(result, OnnxGraph)
        result.check()
        for name, array in _outputs(graph).items():
            np.testing.assert_array_equal(_outputs(result)[name], array)


def test_expose_and_rename_know_tensors_only() -> None:
    """What is omitted is no tensor that could be an output, and stays omitted when others get new names."""
    graph = omitted()
    exposed = graph.expose(graph.tensor_names)
    exposed.check()
    assert "" not in exposed.signature.output_names
    renamed = graph.rename_outputs({"last": "first"})
    renamed.check()
    np.testing.assert_array_equal(_outputs(renamed)["first"], _outputs(graph)["last"])


def test_no_table_has_it() -> None:
    """Nothing that lists tensors lists the omitted one, nor does it when asked to give a name to what has none."""
    model = omitted().proto
    graph = model.graph
    assert "" not in {
        *producers(graph.node),
        *all_names(graph),
        *captured(graph),
        *inferred(model),
        *element_types(model),
    }
    assert "" not in set().union(*map(reads, graph.node))
    nodes, names = reach(graph.node, ["", "last"])
    assert [node.name for node in nodes] == ["relu", "lstm0", "clip"]
    assert "" not in names
    assert free_name(set(), "")
    rename_tensors(graph, {"": "something"})
    assert "something" not in all_names(graph)


def test_constants_without_a_name() -> None:
    """A constant whose output is omitted, or a weight without a name, is not what omitted inputs read."""
    graph = omitted().proto.graph
    constant = onnx.helper.make_node("Constant", [], [""], value_float=1.0)
    weight = onnx.numpy_helper.from_array(np.zeros(2, np.float32))
    graph.node.append(constant)
    graph.initializer.append(weight)
    assert "" not in constants(graph)


def test_an_operator_of_the_same_name() -> None:
    """What others call Constant is none of ONNX's."""
    graph = onnx.GraphProto(node=[onnx.NodeProto(op_type="Constant", domain="mine", output=["c"])])
    assert constants(graph) == {}


@pytest.mark.parametrize("first", [0, 1])
def test_every_nameless_weight_is_looked_at(first: int, tmp_path: Path) -> None:
    """Tensors inside nodes have no names; a place outside of the folder is refused, whichever of them has it."""
    (tmp_path / "good").write_bytes(bytes(8))
    tensors = [onnx.TensorProto(data_type=1, dims=[2], data_location=onnx.TensorProto.EXTERNAL) for _ in range(2)]
    for tensor, place in zip(tensors, ("../secret", "good") if first == 0 else ("good", "../secret"), strict=True):
        tensor.external_data.add(key="location", value=place)
    nodes = [onnx.helper.make_node("Constant", [], [name], value=t) for name, t in zip("ab", tensors, strict=True)]
    nodes.append(onnx.helper.make_node("Add", ["a", "b"], ["y"]))
    value = onnx.helper.make_tensor_value_info("y", 1, [2])
    (tmp_path / "model.onnx").write_bytes(
        onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [value])).SerializeToString()
    )
    with pytest.raises(ModelFormatError, match="outside the model's folder"):
        OnnxGraph.load(tmp_path / "model.onnx")
