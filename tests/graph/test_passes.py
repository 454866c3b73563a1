"""What holds after every pass, over the whole zoo: sorted, whole, the same names, the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import ModelFormatError, OnnxGraph, load
from onepass._distance import widened_pair
from onepass.graph.batch_norm import fold_batch_norms
from onepass.graph.edges import expose
from onepass.graph.nodes import name_nodes, subgraphs
from onepass.graph.prelu import without_prelu
from onepass.graph.select import drop_unused
from onepass.graph.share import share_constants
from onepass.graph.sort import sort_nodes
from onepass.graph.splice import spliced
from tests.graph.animals import GRAPHS, captured, normalised, omitted, shared

Pass = Callable[[OnnxGraph], OnnxGraph]
graphs = pytest.mark.parametrize("name", GRAPHS)


def _on_model(change: Callable[[onnx.ModelProto], None]) -> Pass:
    """Return a pass that works in place as one that works on a copy."""

    def run(graph: OnnxGraph) -> OnnxGraph:
        proto = onnx.ModelProto()
        proto.CopyFrom(graph.proto)
        change(proto)
        return OnnxGraph(proto, folder=graph.folder)

    return run


def _on_graph(change: Callable[[onnx.GraphProto], None]) -> Pass:
    return _on_model(lambda model: change(model.graph))


def _from_itself(graph: OnnxGraph) -> OnnxGraph:
    """Exchange every node that can be for the same node."""
    plain = [node for node in graph.proto.graph.node if not any(True for _ in subgraphs(node))]
    result = spliced(graph, graph, [next(filter(None, node.output)) for node in plain])
    assert isinstance(result, OnnxGraph)
    return result


PASSES: dict[str, Pass] = {
    "sort": _on_graph(sort_nodes),
    "select": lambda graph: graph.select([value.name for value in graph.proto.graph.output]),
    "drop unused": _on_graph(drop_unused),
    "name nodes": _on_graph(name_nodes),
    "share constants": _on_graph(share_constants),
    "fold batch norms": _on_model(fold_batch_norms),
    "without prelu": without_prelu,
    "clean": OnnxGraph.clean,
    "splice": _from_itself,
    "expose what is there": _on_model(lambda model: expose(model, [value.name for value in model.graph.output])),
}


def assert_whole(graph: onnx.GraphProto, around: frozenset[str] = frozenset()) -> None:
    """Every name that is read has been made before, in this graph or one around it; no name is made twice."""
    weights = {tensor.name for tensor in graph.initializer}
    there = {*around, *weights, *(value.name for value in graph.input)}
    made: list[str] = []
    for node in graph.node:
        assert {name for name in node.input if name} <= there, node.name
        for inner in subgraphs(node):
            assert_whole(inner, frozenset(there))
        fresh = [name for name in node.output if name]
        made += fresh
        there.update(fresh)
    assert len(set(made)) == len(made)
    assert {value.name for value in graph.output} <= there
    assert {value.name for value in graph.value_info} <= there


def names_of(graph: OnnxGraph) -> tuple[list[str], list[str]]:
    """Names of inputs and outputs, in their order."""
    return [value.name for value in graph.proto.graph.input], [value.name for value in graph.proto.graph.output]


@graphs
@pytest.mark.parametrize("change", PASSES)
def test_every_pass_keeps_what_a_graph_is(change: str, name: str) -> None:
    """After a pass nodes are in order, no name dangles, inputs and outputs have their names and order, and numbers."""
    graph, cases = GRAPHS[name]
    before = graph.to_bytes()
    after = PASSES[change](graph)
    assert graph.to_bytes() == before
    assert_whole(after.proto.graph)
    inputs, outputs = names_of(after)
    assert list(dict.fromkeys(outputs)) == list(dict.fromkeys(names_of(graph)[1]))
    # What nothing needs is no input any more, if the pass is one that drops it.
    assert [each for each in names_of(graph)[0] if each in inputs] == inputs
    with load(graph) as one, load(after) as other:
        for feeds in cases:
            found = other({each: feeds[each] for each in other.signature.input_names})
            for output, array in one(feeds).items():
                assert found[output].dtype == array.dtype
                np.testing.assert_allclose(*widened_pair(found[output], array), 1e-5, 1e-6, err_msg=output)


@graphs
def test_any_order_can_be_sorted(name: str) -> None:
    """Nodes in the opposite order are put in order; those that are in order stay as they are."""
    graph, _ = GRAPHS[name]
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    sort_nodes(proto.graph)
    assert proto == graph.proto
    nodes = list(proto.graph.node)[::-1]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    sort_nodes(proto.graph)
    assert_whole(proto.graph)
    assert sorted(node.SerializeToString() for node in proto.graph.node) == sorted(
        node.SerializeToString() for node in graph.proto.graph.node
    )


@given(order=st.permutations(range(5)))
def test_parts_do_not_depend_on_the_order(order: list[int]) -> None:
    """What an output needs is found in nodes of any order, and comes in that order."""
    proto = onnx.ModelProto()
    proto.CopyFrom(omitted().proto)
    nodes = [proto.graph.node[index] for index in order]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    part = OnnxGraph(proto).select(["last"])
    names = [node.name for node in part.proto.graph.node]
    assert names == [node.name for node in nodes if node.name in ("relu", "lstm0", "clip")]


def test_a_circle_is_told() -> None:
    """Nodes that wait for each other cannot be sorted, and one of them is named."""
    graph = omitted()
    graph.proto.graph.node[0].input[0] = "last"
    with pytest.raises(ModelFormatError, match="form a cycle; Relu 'relu' is in it"):
        sort_nodes(graph.proto.graph)


def _operators(graph: OnnxGraph) -> Iterator[str]:
    return (node.op_type for node in graph.proto.graph.node)


def test_constants_are_read_directly() -> None:
    """Whatever form a constant has, nodes read it and not its copies; a copy that is an output is still there."""
    after = PASSES["drop unused"](PASSES["share constants"](shared()))
    read = {node.op_type: list(node.input) for node in after.proto.graph.node}
    assert read["Mul"] == ["x", "w"]
    assert read["Add"] == ["scaled", "two"]
    assert read["Reshape"] == ["sum", "sizes"]
    assert sorted(_operators(after)) == ["Add", "Constant", "Constant", "Identity", "Mul", "Reshape"]


def test_a_copy_that_a_branch_reads_stays() -> None:
    """An inner graph reads a copy of a constant under its name."""
    after = PASSES["drop unused"](PASSES["share constants"](captured()))
    assert list(_operators(after)) == ["Identity", "Abs", "If"]


def test_batch_norm_becomes_two_nodes() -> None:
    """A BatchNorm goes, even if its later outputs are listed as omitted; what nothing reads goes with it."""
    graph = normalised()
    graph.proto.graph.node[1].output.extend(["", "", "", ""])  # as opsets up to 13 have them
    after = PASSES["drop unused"](PASSES["fold batch norms"](graph))
    assert list(_operators(after)) == ["Conv", "Mul", "Add", "PRelu"]
    assert {tensor.name for tensor in after.proto.graph.initializer} == {"w", "slope", "norm__factor", "norm__offset"}


@pytest.mark.parametrize("flag", [{"training_mode": 1}, {"spatial": 0}])
def test_another_batch_norm_stays(flag: dict[str, int]) -> None:
    """One that computes statistics itself, or has a factor for each place, is left alone."""
    graph = normalised()
    graph.proto.graph.node[1].attribute.append(onnx.helper.make_attribute(*flag.popitem()))
    assert "BatchNormalization" in _operators(PASSES["fold batch norms"](graph))


def test_statistics_of_another_type_stay() -> None:
    """Factors of another type than the input would make a graph that breaks the specification."""
    graph = normalised()
    for tensor in graph.proto.graph.initializer:
        if tensor.name == "var":
            array = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, "var"))
    assert "BatchNormalization" in _operators(PASSES["fold batch norms"](graph))
