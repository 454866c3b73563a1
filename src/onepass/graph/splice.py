"""Replace nodes of one graph by nodes of another that compute the same tensors."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from onepass._errors import ModelFormatError
from onepass.graph.arrays import loaded
from onepass.graph.casts import cast, identity, is_standard
from onepass.graph.model import OnnxGraph
from onepass.graph.nodes import producers, set_nodes, subgraphs
from onepass.graph.sort import sort_nodes
from onepass.graph.values import element_types

_PREFIX = "onepass_exchanged/"


def spliced(source: OnnxGraph, target: OnnxGraph, tensors: Sequence[str]) -> OnnxGraph | str:
    """Return `target` with the nodes that compute `tensors` taken from `source`, or the reason why this is impossible.

    The nodes compute in the source's dtypes: their inputs are cast to these, and their results are cast back. There are
    no casts between two taken nodes.

    Requires: nodes of the source compute `tensors`.

    Ensures: the outputs and their order are those of the target; its unused nodes are gone. The given graphs are not
    changed.
    """
    if source.opset != target.opset:
        return f"the graphs have different opsets, {source.opset} and {target.opset}"
    made = producers(source.proto.graph.node)
    chosen = list({id(made[name]): made[name] for name in tensors}.values())
    splice = _Splice(source, target, {name for node in chosen for name in node.output if name})
    for node in chosen:
        problem = splice.take(node)
        if problem:
            return problem
    return splice.result()


class _Splice:
    def __init__(self, source: OnnxGraph, target: OnnxGraph, exchanged: set[str]) -> None:
        self._source, self._target, self._exchanged = source, target, exchanged
        self._proto = onnx.ModelProto()
        self._proto.CopyFrom(target.proto)
        self._weights = {tensor.name: tensor for tensor in source.proto.graph.initializer}
        self._made = producers(source.proto.graph.node)
        self._types = element_types(source.proto), element_types(target.proto)
        self._there = {*target.tensor_names}
        self._new: list[onnx.NodeProto] = []
        self._taken: set[str] = set()
        self._copied: set[str] = set()

    def take(self, node: onnx.NodeProto) -> str:
        """Take one node over; return the reason why this is impossible, or an empty string."""
        if next(iter(subgraphs(node)), None) is not None:
            return f"{node.op_type} contains inner graphs"
        mark = f"{_PREFIX}{next(filter(None, node.output))}/"
        taken = onnx.NodeProto()
        taken.CopyFrom(node)
        taken.name = f"{mark}{node.name}"
        for index, name in enumerate(node.input):
            if name:
                place = self._read(name, f"{mark}{index}")
                if place is None:
                    return f"it reads {name!r}, which the second graph does not have"
                taken.input[index] = place
        self._new.append(taken)
        for index, name in enumerate(node.output):
            if name:
                taken.output[index] = f"{_PREFIX}{name}"
            if name in self._there:
                self._new.append(_cast(taken.output[index], name, self._types[1].get(name)))
                self._taken.add(name)
        return ""

    def _read(self, name: str, place: str) -> str | None:
        """Return the new name of a taken node's input, or None if the target has no such tensor."""
        weight = self._weights.get(name)
        if weight is not None:
            self._copy_weight(weight)
            return _PREFIX + name
        if name in self._exchanged:
            return _PREFIX + name
        if name in self._made and is_standard(self._made[name], "Constant"):
            constant = onnx.NodeProto()
            constant.CopyFrom(self._made[name])
            constant.name, constant.output[0] = place, place
            self._new.append(constant)
            return place
        if name not in self._there:
            return None
        self._new.append(_cast(name, place, self._types[0].get(name)))
        return place

    def _copy_weight(self, weight: onnx.TensorProto) -> None:
        if weight.name not in self._copied:
            self._copied.add(weight.name)
            numbers = loaded(weight, self._source.folder)
            numbers.name = _PREFIX + weight.name
            self._proto.graph.initializer.append(numbers)

    def result(self) -> OnnxGraph | str:
        graph = self._proto.graph
        for node in graph.node:
            for index, name in enumerate(node.output):
                if name in self._taken:
                    node.output[index] = f"{_PREFIX}{name}/dropped"
        set_nodes(graph, [*graph.node, *self._new])
        try:
            sort_nodes(graph)
        except ModelFormatError:
            return "the two graphs compute their tensors in different orders"
        return OnnxGraph(self._proto, folder=self._target.folder).select(value.name for value in graph.output)


def _cast(name: str, to: str, element_type: int | None) -> onnx.NodeProto:
    if not element_type:
        return identity(name, to, name=to)
    return cast(name, to, element_type, name=f"{to}/cast")
