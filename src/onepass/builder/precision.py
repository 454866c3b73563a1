"""Reduced precision written into the graph, for TensorRT that computes each layer in the type the network says.

The result is an ordinary ONNX model with the same inputs and outputs: weights and nodes that may be reduced are float16
(or bfloat16), and Casts stand where a tensor goes from one type to the other. Every tensor keeps its name, and its type
under that name; its reduced twin has a name of its own, so that outputs which are also used inside, inner graphs and
shared weights stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onepass._errors import UnsupportedModelError
from onepass.builder._roles import DTYPES, FLOAT32_INPUTS, LIMITS, NUMBERS, Roles, assign_roles, constants_of
from onepass.graph import OnnxGraph
from onepass.graph.nodes import all_names, captured, free_name, sort_nodes

Kind = Literal["fp16", "bf16"]


def reduce_precision(
    graph: OnnxGraph, kind: Kind, *, keep_float32: Iterable[str] = (), reduced_io: bool = False
) -> OnnxGraph:
    """Return a graph that computes in float16 or bfloat16 wherever that is safe; see `onepass.builder._roles`.

    BatchNorm becomes one multiplication and one addition, folded in float64 before anything is rounded: its variances
    may lie far above float16's 65,504.

    Args:
        graph: A float32 model.
        kind: ``"fp16"`` or ``"bf16"``.
        keep_float32: Names of nodes, inner tensors or outputs to compute in float32. An output brings along all that is
            computed for it alone.
        reduced_io: Whether float32 inputs and outputs take the reduced type too.

    Raises:
        UnsupportedModelError: Nothing in the model can be reduced.
        InputError: A name of `keep_float32` is nowhere in the model.
    """
    proto = in_memory(graph)
    sort_nodes(proto.graph)
    share_constants(proto.graph)
    fold_batch_norms(proto)
    if reduced_io:
        _reduce_edges(proto.graph, kind)
    roles = roles_of(proto, kind, keep_float32)
    if not roles.reduced:
        raise nothing_to_reduce(kind)
    _Rewriting(proto.graph, roles, kind).run()
    return OnnxGraph(proto)


def reduce_edges(graph: OnnxGraph, kind: Kind) -> OnnxGraph:
    """Return a graph whose float32 inputs and outputs are float16 or bfloat16; inside, it computes as before."""
    proto = in_memory(graph)
    sort_nodes(proto.graph)
    _reduce_edges(proto.graph, kind)
    return OnnxGraph(proto)


def float32_nodes(graph: OnnxGraph, kind: Kind, keep_float32: Iterable[str]) -> frozenset[str]:
    """Return the names of the nodes that must not compute in reduced precision; each node needs a name of its own.

    Raises:
        UnsupportedModelError: No heavy node is left to be reduced.
        InputError: A name of `keep_float32` is nowhere in the model.
    """
    proto = in_memory(graph)
    roles = roles_of(proto, kind, keep_float32)
    if not roles.reduced:
        raise nothing_to_reduce(kind)
    kept = (node for index, node in enumerate(proto.graph.node) if index not in roles.reduced)
    return frozenset(node.name for node in kept if roles.float32.intersection((*node.input, *node.output)))


def nothing_to_reduce(kind: Kind) -> UnsupportedModelError:
    """Say that a precision would change nothing."""
    return UnsupportedModelError(
        f"precision {kind} is asked for, but nothing in the model can compute in it: there is no convolution or matrix "
        "product outside of what stays float32. Build it without"
    )


def roles_of(proto: onnx.ModelProto, kind: Kind, keep_float32: Iterable[str]) -> Roles:
    """Decide for each node of a model whether it computes in reduced precision."""
    return assign_roles(proto.graph, types_of(proto), kind=kind, keep=keep_float32)


def types_of(proto: onnx.ModelProto) -> dict[str, int]:
    """Return the ONNX type number of every tensor of the main graph that is known or can be inferred."""
    inferred = onnx.shape_inference.infer_shapes(proto).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {name: tensor.data_type for name, tensor in constants_of(inferred).items()}


def in_memory(graph: OnnxGraph) -> onnx.ModelProto:
    """Return a copy of the model with all weights in it."""
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    if graph.folder is not None:
        onnx.load_external_data_for_model(proto, str(graph.folder))
    return proto


def share_constants(graph: onnx.GraphProto) -> None:
    """Let nodes read constants themselves, not copies of them: exporters share equal weights by way of Identity."""
    constants = set(constants_of(graph))
    inner = {name for node in graph.node for name in _inner(node)}
    source: dict[str, str] = {}
    for node in graph.node:
        for name in set(node.input) & source.keys():
            _replace(node.input, name, source[name])
        if node.op_type == "Identity" and node.input[0] in constants and node.output[0] not in inner:
            source[node.output[0]] = node.input[0]


# ---- BatchNorm -----------------------------------------------------------------------------------------------------


def fold_batch_norms(proto: onnx.ModelProto) -> None:
    """Write each BatchNorm of constant statistics as Mul and Add; the graph computes the same."""
    graph = proto.graph
    constants, taken = constants_of(graph), all_names(graph)
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in _values(onnx.shape_inference.infer_shapes(proto).graph)
        if value.type.tensor_type.HasField("shape")
    }
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        foldable = node.op_type == "BatchNormalization" and len(node.output) == 1 and node.input[0] in ranks
        if not foldable or any(name not in constants for name in node.input[1:]):
            nodes.append(node)
            continue
        scale, bias, mean, variance = (
            numpy_helper.to_array(constants[name]).astype(np.float64) for name in node.input[1:]
        )
        epsilon = next((attribute.f for attribute in node.attribute if attribute.name == "epsilon"), 1e-5)
        factor = scale / np.sqrt(variance + epsilon)
        shape = (-1,) + (1,) * (ranks[node.input[0]] - 2)
        name = node.name or node.output[0]
        names = [free_name(taken, f"{name}__{part}") for part in ("factor", "offset", "scaled")]
        for each, values in zip(names, (factor, bias - mean * factor), strict=False):
            graph.initializer.append(numpy_helper.from_array(values.reshape(shape).astype(np.float32), each))
        nodes.append(helper.make_node("Mul", [node.input[0], names[0]], [names[2]], name=names[2]))
        nodes.append(helper.make_node("Add", [names[2], names[1]], [node.output[0]], name=name))
    del graph.node[:]
    graph.node.extend(nodes)


def _values(graph: onnx.GraphProto) -> Iterable[onnx.ValueInfoProto]:
    return (*graph.value_info, *graph.input, *graph.output)


# ---- edges ---------------------------------------------------------------------------------------------------------


def _reduce_edges(graph: onnx.GraphProto, kind: Kind) -> None:
    """Make float32 inputs and outputs of the reduced type, with a Cast behind, or before, each of them."""
    taken = all_names(graph)
    inner = {name for node in graph.node for name in _inner(node)}
    weights = {tensor.name for tensor in graph.initializer}
    first: list[onnx.NodeProto] = []
    inputs = {value.name for value in graph.input}
    for value in graph.input:
        if value.name in weights or value.name in inner or value.type.tensor_type.elem_type != TensorProto.FLOAT:
            continue
        value.type.tensor_type.elem_type = NUMBERS[kind]
        name = free_name(taken, f"{value.name}__float32")
        for node in graph.node:
            _replace(node.input, value.name, name)
        first.append(helper.make_node("Cast", [value.name], [name], name=name, to=TensorProto.FLOAT))
    last: list[onnx.NodeProto] = []
    for value in graph.output:
        if value.type.tensor_type.elem_type != TensorProto.FLOAT or value.name in inner | weights:
            continue
        value.type.tensor_type.elem_type = NUMBERS[kind]
        if value.name in inputs:
            continue
        name = free_name(taken, f"{value.name}__float32")
        for node in graph.node:
            _replace(node.input, value.name, name)
            _replace(node.output, value.name, name)
        last.append(helper.make_node("Cast", [name], [value.name], name=f"{name}__cast", to=NUMBERS[kind]))
    nodes = [*first, *graph.node, *last]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]


def _inner(node: onnx.NodeProto) -> set[str]:
    return {name for attribute in node.attribute if attribute.HasField("g") for name in captured(attribute.g)}


def _replace(names: Any, old: str, new: str) -> None:
    for index, name in enumerate(names):
        if name == old:
            names[index] = new


# ---- nodes ---------------------------------------------------------------------------------------------------------


class _Rewriting:
    """One pass over the nodes in order of computation, which writes them anew."""

    def __init__(self, graph: onnx.GraphProto, roles: Roles, kind: Kind) -> None:
        self._graph, self._roles, self._kind = graph, roles, kind
        self._taken = all_names(graph)
        self._out: list[onnx.NodeProto] = []
        self._twins: dict[str, str] = {}  # float32 tensor -> its reduced twin
        self._wide: set[str] = {value.name for value in graph.input} | set(roles.constants)  # those there in float32
        self._weights: list[onnx.TensorProto] = []

    def run(self) -> None:
        outputs = {value.name for value in self._graph.output}
        for index, node in enumerate(list(self._graph.node)):
            if index in self._roles.reduced:
                self._reduce(node)
            elif not self._is_twin_of_input(node):
                for name in (*node.input, *_inner(node)):
                    self._widen(name)
                self._emit(node)
            for name in node.output:
                if name in outputs:
                    self._widen(name)
        del self._graph.node[:]
        self._graph.node.extend(self._out)
        self._graph.initializer.extend(self._weights)
        self._drop_unused()

    def _reduce(self, node: onnx.NodeProto) -> None:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        kept = FLOAT32_INPUTS.get(node.op_type, frozenset())
        for index, name in enumerate(node.input):
            if name in self._roles.float32 and index not in kept:
                copy.input[index] = self._twin(name)
            else:
                self._widen(name)
        for index, name in enumerate(node.output):
            if name in self._roles.float32:
                self._twins[name] = copy.output[index] = free_name(self._taken, f"{name}__{self._kind}")
            else:
                self._wide.add(name)
        self._out.append(copy)

    def _is_twin_of_input(self, node: onnx.NodeProto) -> bool:
        """Take a Cast between the two types for what it is; it may not be needed at all."""
        if node.op_type != "Cast" or node.domain not in ("", "ai.onnx"):
            return False
        to = next(attribute.i for attribute in node.attribute if attribute.name == "to")
        if to == TensorProto.FLOAT and node.input[0] in self._twin_names():
            self._twins[node.output[0]] = node.input[0]
            return True
        if to == NUMBERS[self._kind] and node.input[0] in self._twins and node.input[0] not in self._wide:
            self._emit(helper.make_node("Identity", [self._twins[node.input[0]]], list(node.output), name=node.name))
            return True
        return False

    def _twin_names(self) -> set[str]:
        """Inputs that are of the reduced type themselves."""
        return {v.name for v in self._graph.input if v.type.tensor_type.elem_type == NUMBERS[self._kind]}

    def _twin(self, name: str) -> str:
        """Return the reduced twin of a float32 tensor; made, if it is not there yet."""
        if name not in self._twins:
            self._twins[name] = free_name(self._taken, f"{name}__{self._kind}")
            if name in self._roles.constants:
                values = numpy_helper.to_array(self._roles.constants[name])
                limit = LIMITS[self._kind]
                finite = np.where(np.isfinite(values), np.clip(values, -limit, limit), values)
                self._weights.append(_tensor(finite.astype(DTYPES[self._kind]), self._twins[name], self._kind))
            else:
                self._out.append(self._cast(name, self._twins[name], NUMBERS[self._kind]))
        return self._twins[name]

    def _widen(self, name: str) -> None:
        """See to it that a tensor is there under its own name, in float32."""
        if name in self._twins and name not in self._wide:
            self._wide.add(name)
            self._out.append(self._cast(self._twins[name], name, TensorProto.FLOAT))

    def _cast(self, source: str, target: str, number: int) -> onnx.NodeProto:
        return helper.make_node("Cast", [source], [target], name=free_name(self._taken, f"{target}__cast"), to=number)

    def _emit(self, node: onnx.NodeProto) -> None:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        self._out.append(copy)
        self._wide.update(node.output)

    def _drop_unused(self) -> None:
        """Leave out weights and nodes whose twins alone are read now."""
        read = {value.name for value in self._graph.output} | {value.name for value in self._graph.input}
        nodes: list[onnx.NodeProto] = []
        for node in reversed(self._graph.node):
            if read.intersection(node.output):
                nodes.append(node)
                read.update(node.input, _inner(node))
        kept = [tensor for tensor in self._graph.initializer if tensor.name in read]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)
        del self._graph.node[:]
        self._graph.node.extend(reversed(nodes))


def _tensor(values: Any, name: str, kind: Kind) -> onnx.TensorProto:
    return helper.make_tensor(name, NUMBERS[kind], values.shape, values.tobytes(), raw=True)
