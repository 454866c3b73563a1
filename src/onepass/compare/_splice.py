"""Exchange nodes of one ONNX graph for those of another that compute the same tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import external_data_helper, helper, numpy_helper, shape_inference

from onepass.graph import OnnxGraph
from onepass.graph.weights import subgraphs

_PREFIX = "onepass_exchanged/"


def producers(graph: OnnxGraph) -> dict[str, onnx.NodeProto]:
    """Return the node that computes each tensor of the main graph."""
    return {name: node for node in graph.proto.graph.node for name in node.output if name}


def spliced(source: OnnxGraph, target: OnnxGraph, tensors: Sequence[str]) -> OnnxGraph | str:
    """Return `target` with the nodes that compute `tensors` taken from `source`, or say why that cannot be.

    The nodes compute in the source's dtypes: what they read is cast to those, what they give is cast back. Between
    two nodes that are both taken nothing is cast.
    """
    if source.opset != target.opset:
        return f"the graphs are of different opsets, {source.opset} and {target.opset}"
    made = producers(source)
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
        self._made = producers(source)
        self._types = _element_types(source), _element_types(target)
        self._there = {*target.tensor_names}
        self._new: list[onnx.NodeProto] = []
        self._taken: set[str] = set()
        self._copied: set[str] = set()

    def take(self, node: onnx.NodeProto) -> str:
        """Take one node over; return what stands against it, or an empty text."""
        if next(iter(subgraphs(node)), None) is not None:
            return f"{node.op_type} holds graphs of its own"
        mark = f"{_PREFIX}{next(filter(None, node.output))}/"
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{mark}{node.name}"
        for index, name in enumerate(node.input):
            if name:
                place = self._read(name, f"{mark}{index}")
                if place is None:
                    return f"it reads {name!r}, which the second graph does not have"
                copy.input[index] = place
        self._new.append(copy)
        for index, name in enumerate(node.output):
            if name:
                copy.output[index] = f"{_PREFIX}{name}"
            if name in self._there:
                self._new.append(self._cast(copy.output[index], name, self._types[1].get(name)))
                self._taken.add(name)
        return ""

    def _read(self, name: str, place: str) -> str | None:
        """Return what to call an input of a node that is taken over; None if the target has nothing like it."""
        weight = self._weights.get(name)
        if weight is not None:
            self._copy_weight(weight)
            return _PREFIX + name
        if name in self._exchanged:
            return _PREFIX + name
        if name in self._made and self._made[name].op_type == "Constant":
            constant = onnx.NodeProto()
            constant.CopyFrom(self._made[name])
            constant.name, constant.output[0] = place, place
            self._new.append(constant)
            return place
        if name not in self._there:
            return None
        self._new.append(self._cast(name, place, self._types[0].get(name)))
        return place

    def _copy_weight(self, weight: onnx.TensorProto) -> None:
        if weight.name not in self._copied:
            self._copied.add(weight.name)
            copy = _loaded(weight, self._source)
            copy.name = _PREFIX + weight.name
            self._proto.graph.initializer.append(copy)

    def _cast(self, name: str, to: str, element_type: int | None) -> onnx.NodeProto:
        if not element_type:
            return helper.make_node("Identity", [name], [to], name=to)
        return helper.make_node("Cast", [name], [to], name=f"{to}/cast", to=element_type)

    def result(self) -> OnnxGraph | str:
        graph = self._proto.graph
        for node in graph.node:
            for index, name in enumerate(node.output):
                if name in self._taken:
                    node.output[index] = f"{_PREFIX}{name}/dropped"
        ordered = _sorted([*graph.node, *self._new])
        if ordered is None:
            return "the two graphs compute their tensors in different orders"
        del graph.node[:]
        graph.node.extend(ordered)
        return OnnxGraph(self._proto, folder=self._target.folder).select(value.name for value in graph.output)


def _element_types(graph: OnnxGraph) -> dict[str, int]:
    inferred = shape_inference.infer_shapes(graph.proto).graph
    return {
        value.name: value.type.tensor_type.elem_type
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }


def _sorted(nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto] | None:
    """Return nodes so that each comes after what it reads, None if they go round in a circle."""
    waiting = list(nodes)
    made = {name for node in waiting for name in node.output}
    ready: set[str] = set()
    ordered: list[onnx.NodeProto] = []
    while waiting:
        left: list[onnx.NodeProto] = []
        for node in waiting:
            if all(name in ready or name not in made for name in _reads(node)):
                ordered.append(node)
                ready.update(node.output)
            else:
                left.append(node)
        if len(left) == len(waiting):
            return None
        waiting = left
    return ordered


def _reads(node: onnx.NodeProto) -> set[str]:
    names = set(node.input)
    for inner in subgraphs(node):
        names |= {name for each in inner.node for name in _reads(each)}
    return names


def node_differences(
    left: OnnxGraph, right: OnnxGraph, first: onnx.NodeProto, second: onnx.NodeProto
) -> tuple[str, ...]:
    """Say what differs between two nodes that compute the same tensor: operator, attributes, weights."""
    if second.op_type in ("Cast", "Identity"):  # the node itself stands before it, under another name
        return ()
    if first.op_type != second.op_type:
        return (f"operator {first.op_type} against {second.op_type}",)
    found = []
    ours, theirs = ({each.name: each for each in node.attribute} for node in (first, second))
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            a, b = (_attribute_text(group.get(name)) for group in (ours, theirs))
            found.append(f"attribute {name}: {a} against {b}")
    weights = [{tensor.name: tensor for tensor in graph.proto.graph.initializer} for graph in (left, right)]
    for name, other in zip(first.input, second.input, strict=False):
        if name in weights[0] and other in weights[1]:
            text = _weight_difference(_loaded(weights[0][name], left), _loaded(weights[1][other], right))
            if text:
                found.append(f"weight {name}: {text}")
    return tuple(found)


def _attribute_text(attribute: onnx.AttributeProto | None) -> str:
    if attribute is None:
        return "none"
    value = helper.get_attribute_value(attribute)
    return "a tensor" if isinstance(value, onnx.TensorProto) else str(value)[:60]


def _weight_difference(first: onnx.TensorProto, second: onnx.TensorProto) -> str:
    a, b = (numpy_helper.to_array(tensor) for tensor in (first, second))
    if a.shape != b.shape:
        return f"shape {list(a.shape)} against {list(b.shape)}"
    wide = [array.astype(np.float64) for array in (a, b)]
    lost = int(np.count_nonzero(np.isfinite(wide[0]) & ~np.isfinite(wide[1])))
    if lost:
        return f"{lost} of {a.size} are no longer finite in {b.dtype}; the greatest was {np.abs(wide[0]).max():.6g}"
    coarser = max((a.dtype, b.dtype), key=_step)
    rounding = _step(coarser) * np.abs(wide[0]) + float(np.finfo(coarser).tiny if coarser.kind == "f" else 0)
    error = np.abs(wide[0] - wide[1])
    if not np.any(error > rounding):  # nothing but what the coarser type cannot hold
        return ""
    return f"off by up to {error.max():.3g}"


def _step(dtype: np.dtype[Any]) -> float:
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


def _loaded(tensor: onnx.TensorProto, graph: OnnxGraph) -> onnx.TensorProto:
    """Return a copy of a weight with its numbers, read from its file if it has one."""
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    if external_data_helper.uses_external_data(copy) and graph.folder is not None:
        external_data_helper.load_external_data_for_tensor(copy, str(graph.folder))
        copy.data_location = onnx.TensorProto.DEFAULT
        del copy.external_data[:]
    return copy
