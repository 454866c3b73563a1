"""Hostile ONNX models: sound ones of the zoo with fields that lie, and their bytes spoiled."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import onnx
from onnx import helper

from tests.fuzz.mutate import INTERESTING, TEXTS, spoiled
from tests.zoo import ZOO

_SOUND = [animal.graph.proto.SerializeToString() for animal in ZOO]
_TYPES = (*range(27), 99, -1, 2**31 - 1)
_KINDS = range(15)
_OPERATORS = (
    "Add", "Relu", "Identity", "Reshape", "Concat", "Loop", "If", "Scan", "Constant", "ConstantOfShape", "Expand",
    "Tile", "Conv", "BatchNormalization", "MatMul", "LSTM", "Slice", "Gather", "Split", "Resize", "TopK",
    "Pad", "Cast",
    "QuantizeLinear", "Range", "Softmax", "Squeeze", "Unsqueeze", "NonZero", "Nope", "", "f",
    "DequantizeLinear", "SequenceConstruct", "Einsum",
    "Transpose",
)  # fmt: skip


def model(rng: random.Random) -> bytes:
    """Return the bytes of a hostile ONNX model."""
    proto = onnx.ModelProto.FromString(rng.choice(_SOUND))
    for _ in range(rng.choice((0, 1, 1, 2, 3, 5))):
        rng.choice(_CHANGES)(rng, proto)
    data = proto.SerializeToString()
    return spoiled(rng, data) if rng.random() < 0.4 else data


def _graphs(proto: onnx.ModelProto) -> list[Any]:
    """The graph, those in its nodes, and its functions."""

    def within(graph: Any, depth: int) -> Iterator[Any]:
        yield graph
        for node in graph.node if depth < 12 else ():
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    yield from within(attribute.g, depth + 1)

    return [*within(proto.graph, 0), *proto.functions]


def _node(rng: random.Random, proto: onnx.ModelProto) -> onnx.NodeProto | None:
    nodes = [node for graph in _graphs(proto) for node in graph.node]
    return rng.choice(nodes) if nodes else None


def _names(proto: onnx.ModelProto) -> list[str]:
    found = [name for node in proto.graph.node for name in (*node.input, *node.output)]
    return [*found, *(value.name for value in (*proto.graph.input, *proto.graph.output))] or ["x"]


def _name(rng: random.Random, proto: onnx.ModelProto) -> str:
    return rng.choice(_names(proto)) if rng.random() < 0.6 else rng.choice([text for text in TEXTS if text != "\0"])


def _operator(rng: random.Random, proto: onnx.ModelProto) -> None:
    node = _node(rng, proto)
    if node is not None:
        node.op_type = rng.choice(_OPERATORS)
        if rng.random() < 0.2:
            node.domain = rng.choice(("com.microsoft", "ai.onnx.ml", "local", "ai.onnx.preview.training", "\x1b[1m"))


def _arity(rng: random.Random, proto: onnx.ModelProto) -> None:
    node = _node(rng, proto)
    if node is None:
        return
    field = rng.choice((node.input, node.output))
    what = rng.randrange(4)
    if what == 0:
        del field[:]
    elif what == 1 and field:
        del field[rng.randrange(len(field))]
    elif what == 2:
        field.extend([_name(rng, proto)] * rng.choice((1, 2, 300)))
    elif field:
        field[rng.randrange(len(field))] = _name(rng, proto)


def _added(rng: random.Random, proto: onnx.ModelProto) -> None:
    graph = rng.choice(_graphs(proto))
    inputs = [_name(rng, proto) for _ in range(rng.randrange(4))]
    outputs = [_name(rng, proto) for _ in range(rng.randrange(3))]
    node = graph.node.add(op_type=rng.choice(_OPERATORS), input=inputs, output=outputs)
    for _ in range(rng.randrange(3)):
        _give_attribute(rng, node)


def _give_attribute(rng: random.Random, node: onnx.NodeProto) -> None:
    names = (
        "axis",
        "axes",
        "perm",
        "value",
        "body",
        "then_branch",
        "to",
        "shape",
        "kernel_shape",
        "pads",
        "group",
        "mode",
        "x",
    )
    attribute = node.attribute.add(name=rng.choice(names), type=rng.choice(_KINDS))
    if rng.random() < 0.2:
        attribute.ref_attr_name = rng.choice(("axis", "x", "", "body"))
    if rng.random() < 0.5:
        attribute.i = rng.choice(INTERESTING)
    if rng.random() < 0.3:
        attribute.ints.extend(rng.choices(INTERESTING, k=rng.randrange(5)))
    if rng.random() < 0.3:
        attribute.f = rng.choice((0.0, float("nan"), float("inf"), -1e38))
    if rng.random() < 0.3:
        attribute.s = rng.choice((b"", b"linear", b"\xff\xfe", b"A" * 3000))
    if rng.random() < 0.3:
        _fill(rng, attribute.t)
    if rng.random() < 0.3:
        attribute.g.node.add(op_type="Relu", input=["x"], output=[rng.choice(("y", ""))])


def _attribute(rng: random.Random, proto: onnx.ModelProto) -> None:
    node = _node(rng, proto)
    if node is None:
        return
    if node.attribute and rng.random() < 0.5:
        attribute = rng.choice(node.attribute)
        attribute.type = rng.choice(_KINDS)
        if rng.random() < 0.3:
            del node.attribute[:]
    else:
        _give_attribute(rng, node)


def _fill(rng: random.Random, tensor: onnx.TensorProto) -> None:
    tensor.name = rng.choice(TEXTS).replace("\0", "0")
    tensor.data_type = rng.choice(_TYPES)
    tensor.dims.extend(rng.choices((0, 1, 2, 3, 4, *INTERESTING), k=rng.randrange(4)))
    what = rng.randrange(5)
    if what == 0:
        tensor.raw_data = rng.randbytes(rng.choice((0, 1, 8, 100)))
    elif what == 1:
        tensor.float_data.extend([1.0] * rng.randrange(9))
    elif what == 2:
        tensor.int64_data.extend(rng.choices(INTERESTING, k=rng.randrange(5)))
    elif what == 3:
        tensor.string_data.extend([b"\xff", b"a"])
    else:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key in rng.sample(("location", "offset", "length", "checksum", "x"), k=rng.randrange(4)):
            tensor.external_data.add(key=key, value=rng.choice(("m.onnx", "w.bin", "0", "-1", "9" * 5000, *TEXTS)))


def _weight(rng: random.Random, proto: onnx.ModelProto) -> None:
    graph = proto.graph
    tensor = rng.choice(graph.initializer) if graph.initializer and rng.random() < 0.5 else graph.initializer.add()
    name = tensor.name
    if rng.random() < 0.5:
        tensor.Clear()
    _fill(rng, tensor)
    tensor.name = rng.choice((name, _name(rng, proto)))


def _sparse(rng: random.Random, proto: onnx.ModelProto) -> None:
    sparse = proto.graph.sparse_initializer.add()
    _fill(rng, sparse.values)
    _fill(rng, sparse.indices)
    sparse.dims.extend(rng.choices(INTERESTING, k=rng.randrange(3)))


def _edge(rng: random.Random, proto: onnx.ModelProto) -> None:
    graph = proto.graph
    field = rng.choice((graph.input, graph.output, graph.value_info))
    value = rng.choice(field) if field and rng.random() < 0.7 else field.add(name=_name(rng, proto))
    what = rng.randrange(6)
    if what == 0:
        value.type.tensor_type.elem_type = rng.choice(_TYPES)
    elif what == 1:
        dim = value.type.tensor_type.shape.dim.add()
        dim.dim_value = rng.choice(INTERESTING)
    elif what == 2:
        for dim in value.type.tensor_type.shape.dim:
            dim.dim_param = rng.choice(TEXTS).replace("\0", "0")
    elif what == 3:
        value.name = _name(rng, proto)
    elif what == 4:
        value.type.sequence_type.elem_type.tensor_type.elem_type = rng.choice(_TYPES)
    else:
        value.ClearField("type")


def _function(rng: random.Random, proto: onnx.ModelProto) -> None:
    name = rng.choice(("f", "g", "Relu", "Add"))
    domain = rng.choice(("local", "", "ai.onnx"))
    nodes = [helper.make_node(rng.choice(("f", "g", "Relu")), ["x"], ["y"], domain=rng.choice(("local", "")))]
    function = helper.make_function(domain, name, ["x"], ["y"], nodes, [helper.make_opsetid("", 17)])
    if rng.random() < 0.5:
        function.attribute.append("axis")
    proto.functions.append(function)
    if rng.random() < 0.7:
        proto.opset_import.add(domain="local", version=1)
    node = _node(rng, proto)
    if node is not None and rng.random() < 0.8:
        node.op_type, node.domain = name, domain


def _opset(rng: random.Random, proto: onnx.ModelProto) -> None:
    if proto.opset_import and rng.random() < 0.7:
        proto.opset_import[0].version = rng.choice((*INTERESTING, 6, 11, 13, 18, 21, 23))
    elif rng.random() < 0.5:
        del proto.opset_import[:]
    else:
        proto.ir_version = rng.choice((*INTERESTING, 3, 8, 10, 13))


def _texts(rng: random.Random, proto: onnx.ModelProto) -> None:
    text = rng.choice(TEXTS).replace("\0", "0")
    what = rng.randrange(4)
    if what == 0:
        proto.producer_name = text
    elif what == 1:
        proto.metadata_props.add(key=rng.choice(("k", text)), value=text)
    elif what == 2:
        proto.graph.name = proto.graph.doc_string = text
    else:
        node = _node(rng, proto)
        if node is not None:
            node.name = text


def _nested(rng: random.Random, proto: onnx.ModelProto) -> None:
    graph = proto.graph
    for _ in range(rng.choice((1, 2, 8, 20))):
        node = graph.node.add(
            op_type=rng.choice(("If", "Loop", "Scan")), input=["x"], output=rng.choice((["y"], [], [""]))
        )
        attribute = node.attribute.add(name=rng.choice(("body", "then_branch")), type=onnx.AttributeProto.GRAPH)
        graph = attribute.g


def _shuffled(rng: random.Random, proto: onnx.ModelProto) -> None:
    nodes = list(proto.graph.node)
    rng.shuffle(nodes)
    nodes += nodes[: rng.randrange(2)]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del proto.graph.node[:]
    proto.graph.node.extend(copies)


_CHANGES = (
    _operator, _operator, _arity, _arity, _added, _added, _attribute, _attribute, _weight, _weight, _sparse,
    _edge, _edge,
    _function, _opset, _texts, _nested, _shuffled,
)  # fmt: skip
