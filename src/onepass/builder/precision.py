"""Write reduced precision into the graph, for TensorRT versions that compute each layer in the network's types.

The result is an ordinary ONNX model with the same inputs and outputs: reducible weights and nodes are float16 (or
bfloat16), with Casts between the types. Every tensor keeps its name and its type; its reduced twin has another name. So
outputs that are also used inside, inner graphs and shared weights stay unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto

from onepass._errors import UnsupportedModelError
from onepass.builder._roles import DTYPES, FLOAT32_INPUTS, HEAVY, LIMITS, NUMBERS, Roles, assign_roles
from onepass.graph import OnnxGraph
from onepass.graph.arrays import array_of, tensor_of
from onepass.graph.batch_norm import fold_batch_norms
from onepass.graph.casts import cast, cast_type, identity
from onepass.graph.nodes import all_names, all_nodes, free_name, inner_reads, replace_names, set_nodes, subgraphs
from onepass.graph.select import drop_unused
from onepass.graph.share import share_constants
from onepass.graph.sort import sort_nodes
from onepass.graph.values import element_types
from onepass.graph.weights import in_memory

Kind = Literal["fp16", "bf16"]


def reduce_precision(
    graph: OnnxGraph,
    kind: Kind,
    *,
    keep_float32: Iterable[str] = (),
    reduced_io: bool = False,
    quantized: bool = False,
) -> OnnxGraph:
    """Return a graph that computes in float16 or bfloat16 wherever this is safe; see `onepass.builder._roles`.

    BatchNorm becomes one multiplication and one addition, folded in float64 before anything is rounded: its variances
    may far exceed float16's maximum of 65,504.

    Args:
        graph: A float32 model.
        kind: ``"fp16"`` or ``"bf16"``.
        keep_float32: Names of nodes, inner tensors or outputs to compute in float32. For an output, all nodes that
            serve only this output stay float32.
        reduced_io: Whether float32 inputs and outputs get the reduced type, too.
        quantized: Whether to accept a model in which all heavy layers are quantised, so that none is left to reduce.

    Raises:
        UnsupportedModelError: No node of the model can be reduced.
        InputError: A name in `keep_float32` does not exist in the model.
    """
    proto = in_memory(graph.proto, graph.folder)
    sort_nodes(proto.graph)
    share_constants(proto.graph)
    fold_batch_norms(proto)
    if reduced_io:
        _reduce_edges(proto.graph, kind)
    roles = roles_of(proto, kind, keep_float32)
    _check_reduces(proto.graph, roles, kind, quantized=quantized)
    _Rewriting(proto.graph, roles, kind).run()
    return OnnxGraph(proto)


def reduce_edges(graph: OnnxGraph, kind: Kind) -> OnnxGraph:
    """Return a graph whose float32 inputs and outputs are float16 or bfloat16; the computation is unchanged."""
    proto = in_memory(graph.proto, graph.folder)
    sort_nodes(proto.graph)
    _reduce_edges(proto.graph, kind)
    return OnnxGraph(proto)


def float32_nodes(
    graph: OnnxGraph, kind: Kind, keep_float32: Iterable[str], *, quantized: bool = False
) -> frozenset[str]:
    """Return the names of the nodes that must stay float32; all nodes need unique names.

    Quantised nodes are not included, because TensorRT must be free to compute them in int8.

    Raises:
        UnsupportedModelError: No heavy node is left to reduce.
        InputError: A name in `keep_float32` does not exist in the model.
    """
    proto = in_memory(graph.proto, graph.folder)
    roles = roles_of(proto, kind, keep_float32)
    _check_reduces(proto.graph, roles, kind, quantized=quantized)
    free = roles.reduced | roles.quantized
    kept = (node for index, node in enumerate(proto.graph.node) if index not in free)
    return frozenset(node.name for node in kept if roles.float32.intersection((*node.input, *node.output)))


def nothing_to_reduce(graph: onnx.GraphProto, kind: Kind) -> UnsupportedModelError:
    """Return the error for a precision that would change nothing, with the reason."""
    inside = [
        node for node in graph.node if any(each.op_type in HEAVY for g in subgraphs(node) for each in all_nodes(g))
    ]
    why = "every convolution and matrix product stays float32, or the model has none"
    if inside:
        node = inside[0]
        why = (
            f"its convolutions and matrix products are inside branches or loops ({node.op_type} "
            f"{node.name or node.output[0]!r}), which stay float32"
        )
    return UnsupportedModelError(f"precision {kind} has no effect on this model: {why}. Build without it")


def node_types(graph: OnnxGraph, kind: Kind, keep_float32: Iterable[str]) -> dict[str, int]:
    """Count a model's nodes by the type that they would compute in: `kind`, ``"quantized"`` or ``"fp32"``.

    Nodes without float32 tensors (shapes, indices) are not counted.

    Raises:
        InputError: A name in `keep_float32` does not exist in the model.
    """
    proto = in_memory(graph.proto, graph.folder)
    sort_nodes(proto.graph)
    roles = roles_of(proto, kind, keep_float32)
    counts: dict[str, int] = {}
    for index, node in enumerate(proto.graph.node):
        if roles.float32.intersection((*node.input, *node.output)) and node.op_type != "Constant":
            which = kind if index in roles.reduced else "quantized" if index in roles.quantized else "fp32"
            counts[which] = counts.get(which, 0) + 1
    return counts


def _check_reduces(graph: onnx.GraphProto, roles: Roles, kind: Kind, *, quantized: bool) -> None:
    if not roles.reduced and not (quantized and roles.quantized):
        raise nothing_to_reduce(graph, kind)


def roles_of(proto: onnx.ModelProto, kind: Kind, keep_float32: Iterable[str]) -> Roles:
    """Decide for each node of a model whether it computes in reduced precision."""
    return assign_roles(proto.graph, element_types(proto), kind=kind, keep=keep_float32)


# ---- edges ---------------------------------------------------------------------------------------------------------


def _reduce_edges(graph: onnx.GraphProto, kind: Kind) -> None:
    """Give float32 inputs and outputs the reduced type, with a Cast after each input and before each output."""
    taken = all_names(graph)
    inner = {name for node in graph.node for name in inner_reads(node)}
    weights = {tensor.name for tensor in graph.initializer}
    first: list[onnx.NodeProto] = []
    inputs = {value.name for value in graph.input}
    for value in graph.input:
        if value.name in weights or value.name in inner or value.type.tensor_type.elem_type != TensorProto.FLOAT:
            continue
        value.type.tensor_type.elem_type = NUMBERS[kind]
        name = free_name(taken, f"{value.name}__float32")
        for node in graph.node:
            replace_names(node.input, {value.name: name})
        first.append(cast(value.name, name, TensorProto.FLOAT, name=name))
    last: list[onnx.NodeProto] = []
    for value in graph.output:
        if value.type.tensor_type.elem_type != TensorProto.FLOAT or value.name in inner | weights:
            continue
        value.type.tensor_type.elem_type = NUMBERS[kind]
        if value.name in inputs:
            continue
        name = free_name(taken, f"{value.name}__float32")
        for node in graph.node:
            replace_names(node.input, {value.name: name})
            replace_names(node.output, {value.name: name})
        last.append(cast(name, value.name, NUMBERS[kind], name=f"{name}__cast"))
    set_nodes(graph, [*first, *graph.node, *last])
    del graph.value_info[:]


# ---- nodes ---------------------------------------------------------------------------------------------------------


class _Rewriting:
    """Rewrites the nodes in one pass, in topological order."""

    def __init__(self, graph: onnx.GraphProto, roles: Roles, kind: Kind) -> None:
        self._graph, self._roles, self._kind = graph, roles, kind
        self._taken = all_names(graph)
        self._out: list[onnx.NodeProto] = []
        self._twins: dict[str, str] = {}  # float32 tensor -> its reduced twin
        self._wide: set[str] = {value.name for value in graph.input} | set(roles.constants)  # present in float32
        self._reduced_inputs = {v.name for v in graph.input if v.type.tensor_type.elem_type == NUMBERS[kind]}
        self._weights: list[onnx.TensorProto] = []

    def run(self) -> None:
        outputs = {value.name for value in self._graph.output}
        for index, node in enumerate(list(self._graph.node)):
            if index in self._roles.reduced:
                self._reduce(node)
            elif self._widens_input(node):
                self._twins[node.output[0]] = node.input[0]
            elif self._narrows_twin(node):
                self._emit(identity(self._twins[node.input[0]], node.output[0], name=node.name))
            else:
                for name in (*node.input, *sorted(inner_reads(node))):
                    self._widen(name)
                self._emit(node)
            for name in node.output:
                if name in outputs:
                    self._widen(name)
        set_nodes(self._graph, self._out)
        self._graph.initializer.extend(self._weights)
        drop_unused(self._graph)  # weights and nodes of which only the twins are still read

    def _reduce(self, node: onnx.NodeProto) -> None:
        reduced = onnx.NodeProto()
        reduced.CopyFrom(node)
        kept = FLOAT32_INPUTS.get(node.op_type, frozenset())
        for index, name in enumerate(node.input):
            if name in self._roles.float32 and index not in kept:
                reduced.input[index] = self._twin(name)
            else:
                self._widen(name)
        for index, name in enumerate(node.output):
            if name in self._roles.float32:
                self._twins[name] = reduced.output[index] = free_name(self._taken, f"{name}__{self._kind}")
            else:
                self._wide.add(name)
        self._out.append(reduced)

    def _widens_input(self, node: onnx.NodeProto) -> bool:
        """Whether a node casts an input of the reduced type to float32: then the input is the twin of its result.

        The node itself may become unnecessary.
        """
        return cast_type(node) == TensorProto.FLOAT and node.input[0] in self._reduced_inputs

    def _narrows_twin(self, node: onnx.NodeProto) -> bool:
        """Whether a node casts a tensor to the reduced type that already has a twin and is not present in float32."""
        name = node.input[0] if cast_type(node) == NUMBERS[self._kind] else None
        return name in self._twins and name not in self._wide

    def _twin(self, name: str) -> str:
        """Return the reduced twin of a float32 tensor, creating it if necessary."""
        if name not in self._twins:
            self._twins[name] = free_name(self._taken, f"{name}__{self._kind}")
            if name in self._roles.constants:
                values = array_of(self._roles.constants[name])
                limit = LIMITS[self._kind]
                finite = np.where(np.isfinite(values), np.clip(values, -limit, limit), values)
                self._weights.append(tensor_of(finite.astype(DTYPES[self._kind]), self._twins[name]))
            else:
                self._out.append(self._cast(name, self._twins[name], NUMBERS[self._kind]))
        return self._twins[name]

    def _widen(self, name: str) -> None:
        """Make sure that a tensor is present in float32 under its own name."""
        if name in self._twins and name not in self._wide:
            self._wide.add(name)
            self._out.append(self._cast(self._twins[name], name, TensorProto.FLOAT))

    def _cast(self, source: str, target: str, number: int) -> onnx.NodeProto:
        return cast(source, target, number, name=free_name(self._taken, f"{target}__cast"))

    def _emit(self, node: onnx.NodeProto) -> None:
        self._out.append(node)
        self._wide.update(node.output)
