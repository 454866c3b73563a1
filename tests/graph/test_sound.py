"""Models that do not hold together are told so before native code sees them; their files lie in their folder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onepass
from onepass import ModelFormatError, OnnxGraph
from onepass.graph.nodes import subgraphs
from onepass.graph.sound import check_sound
from tests.zoo import ZOO

Change = Callable[[onnx.ModelProto], object]


def _model() -> onnx.ModelProto:
    """A model that is sound: a weight, a Loop, and a function that calls another."""
    text = """
        <ir_version: 9, opset_import: ["" : 17, "local" : 1]> m (float[N, 2] x, int64 n, bool go) => (float[N, 2] y)
        <float[2] w = {1, 2}> {
            a = local.outer (x)
            b = Add (a, w)
            y = Loop (n, go, b) <body = body (int64 i, bool on, float[N, 2] v) => (bool goes_on, float[N, 2] next) {
                goes_on = Identity (on)
                next = Relu (v)
            }>
        }
        <domain: "local", opset_import: ["" : 17, "local" : 1]> outer (x) => (y) { y = local.inner (x) }
        <domain: "local", opset_import: ["" : 17, "local" : 1]> inner (x) => (y) { y = Relu (x) }"""
    return onnx.parser.parse_model(text)


def _body(m: onnx.ModelProto) -> onnx.GraphProto:
    return next(subgraphs(m.graph.node[2]))


def _deep(m: onnx.ModelProto) -> None:
    graph = m.graph
    for _ in range(33):
        node = graph.node.add(op_type="Nest", domain="local", output=["deep"])
        graph = node.attribute.add(name="g", type=onnx.AttributeProto.GRAPH).g
    graph.name = "end"


def _attribute_without_a_value(m: onnx.ModelProto) -> None:
    m.graph.node[1].attribute.add(name="t", type=onnx.AttributeProto.TENSOR)


def _named_like_an_addition(m: onnx.ModelProto) -> None:
    """ONNX Runtime's optimiser takes it for one, and reads its second input."""
    m.functions[0].name = m.graph.node[0].op_type = "Add"


_UNSOUND: dict[str, tuple[Change, str]] = {
    "no outputs": (lambda m: m.graph.node[1].ClearField("output"), r"node 1 \(Add\) has no outputs"),
    "only omitted outputs": (lambda m: m.graph.node[1].output.__setitem__(0, ""), r"node 1 \(Add\) has no outputs"),
    "no outputs in a function": (
        lambda m: m.functions[1].node[0].ClearField("output"),
        r"of function 'inner'.* no outputs",
    ),
    "no outputs in a loop": (lambda m: _body(m).node[1].ClearField("output"), r"\(Relu\) has no outputs"),
    "a loop without outputs": (lambda m: m.graph.node[2].ClearField("output"), r"\(Loop\) has no outputs"),
    "a body without outputs": (lambda m: _body(m).ClearField("output"), "an inner graph without outputs"),
    "a loop without a body": (lambda m: m.graph.node[2].ClearField("attribute"), "has no graph 'body'"),
    "a function that calls itself": (lambda m: setattr(m.functions[1].node[0], "op_type", "inner"), "calls itself"),
    "functions in a circle": (
        lambda m: m.functions[1].node[0].MergeFrom(onnx.NodeProto(op_type="outer", domain="local")),
        "'inner' of domain 'local' calls itself, directly or through others",
    ),
    "two outputs of one name": (
        lambda m: _body(m).node[0].output.append("goes_on"),
        "an output whose name is already used",
    ),
    "two nodes that make one tensor": (
        lambda m: m.graph.node.append(m.graph.node[1]),
        "is already used by another output",
    ),
    "too few inputs": (lambda m: m.graph.node[1].input.pop(), r"has 1 inputs, expected 2 in opset 17"),
    "too many inputs": (lambda m: m.graph.node[1].input.append("x"), r"has 3 inputs"),
    "a function with the name of an addition": (_named_like_an_addition, "has 1 inputs"),
    "no operator": (lambda m: setattr(m.graph.node[1], "op_type", ""), "has no operator"),
    "an attribute without its value": (_attribute_without_a_value, "of type TENSOR without a value"),
    "an attribute twice": (
        lambda m: m.graph.node[2].attribute.append(m.graph.node[2].attribute[0]),
        "or duplicate attributes",
    ),
    "element type 99": (lambda m: setattr(m.graph.initializer[0], "data_type", 99), "the element type 99"),
    "element type -1": (lambda m: setattr(m.graph.initializer[0], "data_type", -1), "the element type -1"),
    "an input of element type 29": (
        lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 29),
        "input 'x' has the element type 29",
    ),
    "a shape below zero": (lambda m: m.graph.initializer[0].dims.append(-5), r"shape \[2, -5\]"),
    "a shape beyond all memory": (lambda m: m.graph.initializer[0].dims.extend([2**62] * 300), "the impossible shape"),
    "graphs in graphs": (_deep, "more than 32 levels deep"),
    "a nameless input": (lambda m: setattr(m.graph.input[0], "name", ""), "an input has no name"),
}


@pytest.mark.parametrize("name", _UNSOUND)
def test_unsound(name: str, tmp_path: Path) -> None:
    """Each breach is told with its place, from a file, from bytes, and to whoever builds an engine of it."""
    change, message = _UNSOUND[name]
    proto = _model()
    change(proto)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    for call in (OnnxGraph.load, lambda path: OnnxGraph.from_bytes(path.read_bytes())):
        with pytest.raises(ModelFormatError, match=message):
            call(tmp_path / "m.onnx")


def test_sound() -> None:
    """What runs is sound: functions that call others, one under a standard operator's name, plugins, the whole zoo."""
    proto = _model()
    check_sound(proto)
    proto.functions[1].name = proto.functions[0].node[0].op_type = "Relu"  # it calls the standard's
    proto.graph.node.add(op_type="EfficientNMS_TRT", input=["y"] * 9, output=["z"])
    check_sound(proto)
    for animal in ZOO:
        check_sound(animal.graph.proto)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 in place of a name are told as that, whatever protobuf makes of them."""
    data = _model().SerializeToString().replace(b"goes_on", b"goes\xff\xfe\xfd")
    with pytest.raises(ModelFormatError, match="is not valid text"):
        OnnxGraph.from_bytes(data)


@given(st.data())
def test_spoiled_bytes(data: st.DataObject) -> None:
    """Whatever single bytes are changed, a model opens or is refused, and its methods raise onepass's errors only."""
    spoiled = bytearray(_model().SerializeToString())
    for place in data.draw(st.lists(st.integers(0, len(spoiled) - 1), min_size=1, max_size=4)):
        spoiled[place] = data.draw(st.integers(0, 255))
    try:
        graph = OnnxGraph.from_bytes(bytes(spoiled))
    except ModelFormatError:
        return
    for call in (graph.check, lambda: graph.signature, lambda: graph.expose(["b"]), lambda: graph.select(["y"])):
        with suppress(onepass.OnepassError):
            call()


# ---- weights in other files --------------------------------------------------------------------------------------


def _outside(location: str, **more: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "length": "8", **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def _as_weight(m: onnx.ModelProto, tensor: TensorProto) -> None:
    m.graph.initializer[0].CopyFrom(tensor)


def _in_a_constant(m: onnx.ModelProto, tensor: TensorProto) -> None:
    m.graph.node.insert(0, helper.make_node("Constant", [], ["c"], value=tensor))


def _in_a_list(m: onnx.ModelProto, tensor: TensorProto) -> None:
    m.graph.node[1].attribute.add(name="ts", type=onnx.AttributeProto.TENSORS).tensors.extend([_inside(), tensor])


def _in_a_loop(m: onnx.ModelProto, tensor: TensorProto) -> None:
    _body(m).initializer.append(tensor)


def _in_a_function(m: onnx.ModelProto, tensor: TensorProto) -> None:
    m.functions[0].node.insert(0, helper.make_node("Constant", [], ["c"], value=tensor))


def _as_a_functions_default(m: onnx.ModelProto, tensor: TensorProto) -> None:
    m.functions[0].attribute_proto.add(name="d", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)


def _as_a_sparse_one(m: onnx.ModelProto, tensor: TensorProto) -> None:
    m.graph.sparse_initializer.add().values.CopyFrom(tensor)


def _inside() -> TensorProto:
    return numpy_helper.from_array(np.zeros(2, np.float32), "w")


_PLACES = (
    _as_weight,
    _in_a_constant,
    _in_a_list,
    _in_a_loop,
    _in_a_function,
    _as_a_functions_default,
    _as_a_sparse_one,
)


@pytest.mark.parametrize("put", _PLACES, ids=lambda put: put.__name__)
@pytest.mark.parametrize("way", ["..", "absolute", "link", "link of a folder", "two places"])
def test_no_file_outside_the_folder_is_read(
    put: Callable[[onnx.ModelProto, TensorProto], None], way: str, tmp_path: Path
) -> None:
    """Wherever a weight stands, a file outside the folder is refused: a path, a link, a second entry."""
    secret, home = tmp_path / "secret", tmp_path / "home"
    secret.mkdir()
    home.mkdir()
    (secret / "file").write_bytes(b"12345678")
    (home / "w.bin").write_bytes(bytes(8))
    (home / "link").symlink_to(secret / "file")
    (home / "folder").symlink_to(secret)
    tensor = _outside({
        "..": "../secret/file", "absolute": str(secret / "file"), "link": "link", "link of a folder": "folder/file",
        "two places": "w.bin",
    }[way])  # fmt: skip
    if way == "two places":
        tensor.external_data.add(key="location", value="../secret/file")
    proto = _model()
    put(proto, tensor)
    (home / "m.onnx").write_bytes(proto.SerializeToString())
    for call in (OnnxGraph.load, onepass.load, lambda path: OnnxGraph.from_bytes(path.read_bytes(), folder=home)):
        with pytest.raises(ModelFormatError, match=r"(outside|do not support|contradictory)"):
            call(home / "m.onnx")


def test_bytes_do_not_find_files_where_we_happen_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of bytes that has its weights in files is refused unless it is told their folder."""
    (tmp_path / "w.bin").write_bytes(np.array([3, 4], np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    proto = _model()
    _as_weight(proto, _outside("w.bin"))
    data = proto.SerializeToString()
    for call in (OnnxGraph.from_bytes, onepass.load, onepass.build):
        with pytest.raises(ModelFormatError, match=r"weights in w\.bin, but their folder is unknown"):
            call(data)
    with pytest.raises(ModelFormatError, match="their folder is unknown"):
        onepass.load(OnnxGraph(proto))
    assert OnnxGraph.from_bytes(data, folder=tmp_path).weight_files == ("w.bin",)
