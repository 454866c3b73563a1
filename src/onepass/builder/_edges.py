"""A graph made ready for TensorRT at its edges: what it would rename, or cannot hold, without a word.

- An output that is an input (TensorRT would rename the *input*), or a weight, becomes a copy with a name of its own.
- Where TensorRT has no such dtype, the value crosses the edge in another one that holds every value of it, the carrier,
  and the cast that the model has there anyway is done on the host. Where that is not exact, the model is refused.
- An input without a rank gets that of the shape it is built for.
- What exporters write for sizes that they do not know, ``?`` and its like, is no name that sizes share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto

from onepass._errors import UnsupportedModelError
from onepass.builder._roles import is_quantized
from onepass.engine.flavor import Flavor
from onepass.engine.plan import Edge
from onepass.engine.shapes import Profile
from onepass.graph import OnnxGraph
from onepass.graph.casts import cast, cast_type, identity, set_cast_type
from onepass.graph.nodes import all_names, consumers, free_name, initializer_names, inner_reads, name_nodes, producers
from onepass.graph.sort import sort_nodes
from onepass.graph.values import element_types
from onepass.tensors import STRING, TensorSpec, dim_from_onnx, dtype_from_onnx, onnx_from_dtype

DType = np.dtype[Any]
_FLOAT32, _INT32, _INT64 = np.dtype(np.float32), np.dtype(np.int32), np.dtype(np.int64)
_UINT8, _INT8, _DOUBLE = np.dtype(np.uint8), np.dtype(np.int8), np.dtype(np.float64)
_FLOAT8 = tuple(
    np.dtype(kind)
    for kind in (
        ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2, ml_dtypes.float8_e5m2fnuz,
        ml_dtypes.float8_e8m0fnu,
    )
)  # fmt: skip
# What holds every value of a dtype; the cast there and back changes none.
_CARRIERS: Mapping[DType, DType] = {
    _INT8: _INT32,
    np.dtype(np.int16): _INT32,
    np.dtype(np.uint16): _INT32,
    np.dtype(np.uint32): _INT64,
    np.dtype(ml_dtypes.bfloat16): _FLOAT32,
}
# What float32 holds exactly: float64 made from it is not lost by taking it over as float32.
_WITHIN_FLOAT32 = frozenset(
    map(np.dtype, (np.float32, np.float16, ml_dtypes.bfloat16, np.int8, np.uint8, np.int16, np.uint16, np.bool_))
)


class Prepared(NamedTuple):
    """A graph that TensorRT can read, and how its edges stand for those of the model."""

    graph: OnnxGraph
    inputs: tuple[Edge, ...]
    outputs: tuple[Edge, ...]


def prepare(graph: OnnxGraph, flavor: Flavor, profile: Profile) -> Prepared:
    """Return a graph that a flavour of TensorRT takes as it is meant.

    Raises:
        UnsupportedModelError: TensorRT has no way to take or give a tensor's dtype; the message names it.
    """
    signature = graph.signature
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    sort_nodes(proto.graph)
    name_nodes(proto.graph)
    _drop_false_names(proto.graph)
    work = _Work(proto, flavor)
    inputs = tuple(work.input_edge(spec, profile) for spec in signature.inputs)
    by_name = {edge.spec.name: edge for edge in inputs}
    outputs = tuple(work.output_edge(spec, index, by_name) for index, spec in enumerate(signature.outputs))
    work.forget_types()
    return Prepared(OnnxGraph(proto, folder=graph.folder), inputs, outputs)


class _Work:
    """The changes to one model, edge by edge."""

    def __init__(self, proto: onnx.ModelProto, flavor: Flavor) -> None:
        self._proto, self._graph, self._flavor = proto, proto.graph, flavor
        self._taken = all_names(proto.graph)
        self._changed: set[str] = set()
        self._types: dict[str, int] | None = None
        self._weights = initializer_names(proto.graph)
        has_int8 = not flavor.precision_flags or is_quantized(proto.graph)
        native = flavor.edge_dtypes - set(_FLOAT8)
        # Networks that are not strongly typed take int8 for quantised, and want to know its scale.
        self._native = native if has_int8 else native - {_INT8}

    def input_edge(self, spec: TensorSpec, profile: Profile) -> Edge:
        """Make one input fit."""
        value = next(value for value in self._graph.input if value.name == spec.name)
        if spec.shape is None:
            _give_rank(value, profile.shapes[spec.name].min)
            spec = TensorSpec(spec.name, spec.dtype, (None,) * len(profile.shapes[spec.name].min))
        if spec.dtype == _UINT8 and self._flavor.precision_flags:
            self._cast_uint8_by_way_of_float(spec.name)
        carrier = self._carrier(spec)
        if carrier is None:
            casts = consumers(self._graph.node, spec.name)
            carrier = _FLOAT32 if spec.dtype in (_DOUBLE, *_FLOAT8) else _CARRIERS.get(spec.dtype)
            exact = all(node.op_type == "Cast" for node in casts) and not _is_captured(self._graph, spec.name)
            if spec.dtype == _DOUBLE:
                exact = exact and all(cast_type(node) == TensorProto.FLOAT for node in casts)
            if carrier not in self._native or not exact:
                raise self._refusal("input", spec, "its only use has to be a Cast" if carrier in self._native else "")
            assert carrier is not None  # noqa: S101 - None is in no set of dtypes
            value.type.tensor_type.elem_type = onnx_from_dtype(carrier)
        return Edge(spec, spec.name, carrier)

    def output_edge(self, spec: TensorSpec, index: int, inputs: Mapping[str, Edge]) -> Edge:
        """Make one output fit."""
        value = self._graph.output[index]
        if spec.name in inputs or spec.name in self._weights:
            name = self._copy_of(spec.name)
            carrier = inputs[spec.name].carrier if spec.name in inputs else self._carrier(spec)
            if carrier is None:
                raise self._refusal("output", spec, "")
            spec = replace(spec, shape=inputs[spec.name].spec.shape) if spec.name in inputs else spec
            self._declare(value, name, carrier)
            return Edge(spec, name, carrier)
        carrier = self._carrier(spec)
        if carrier is None:
            name, carrier = self._without_its_cast(spec)
            self._declare(value, name, carrier)
            return Edge(spec, name, carrier)
        if spec.dtype == _UINT8 and self._flavor.precision_flags:
            self._cast_by_way_of_float(producers(self._graph.node).get(spec.name))
        return Edge(spec, spec.name, carrier)

    def forget_types(self) -> None:
        """Drop what the model says of the types of inner tensors that have changed."""
        kept = [value for value in self._graph.value_info if value.name not in self._changed]
        if len(kept) < len(self._graph.value_info):
            del self._graph.value_info[:]
            self._graph.value_info.extend(kept)

    # ---- helpers -----------------------------------------------------------------------------------------------

    def _carrier(self, spec: TensorSpec) -> DType | None:
        """Return the dtype in the engine where the graph need not change; None where it must."""
        if spec.dtype in self._native:
            return spec.dtype
        # Parsers of TensorRT without int64 read it as int32 throughout.
        return _INT32 if spec.dtype == _INT64 else None

    def _without_its_cast(self, spec: TensorSpec) -> tuple[str, DType]:
        """Leave out the Cast that makes an output, or let it make the carrier; return name and dtype of the output."""
        node = producers(self._graph.node).get(spec.name)
        carrier = _CARRIERS.get(spec.dtype)
        if node is None or node.op_type != "Cast" or spec.dtype in _FLOAT8:
            raise self._refusal(
                "output", spec, "a Cast has to make it" if carrier in self._native or spec.dtype == _DOUBLE else ""
            )
        if spec.dtype == _DOUBLE:
            source = dtype_from_onnx(self._type_of(node.input[0]), tensor=node.input[0])
            carrier = source if source in _WITHIN_FLOAT32 | {_INT32} else None
        if carrier is None or carrier not in self._native:
            raise self._refusal("output", spec, "")
        if consumers(self._graph.node, spec.name) or _is_captured(self._graph, spec.name):
            another = self._graph.node.add()
            another.CopyFrom(node)
            node = another
            node.name = free_name(self._taken, f"{spec.name}_as_{carrier.name}")
            node.output[0] = free_name(self._taken, f"{spec.name}__out")
        self._changed.add(node.output[0])
        set_cast_type(node, onnx_from_dtype(carrier))
        return node.output[0], carrier

    def _copy_of(self, name: str) -> str:
        target = free_name(self._taken, f"{name}__out")
        self._graph.node.append(identity(name, target, name=target))
        return target

    def _declare(self, value: onnx.ValueInfoProto, name: str, carrier: DType) -> None:
        value.name = name
        value.type.tensor_type.elem_type = onnx_from_dtype(carrier)

    def _cast_uint8_by_way_of_float(self, name: str) -> None:
        for node in consumers(self._graph.node, name):
            if node.op_type == "Cast":
                self._cast_by_way_of_float(node)
        sort_nodes(self._graph)

    def _cast_by_way_of_float(self, node: onnx.NodeProto | None) -> None:
        """Let a Cast between uint8 and another integer go over float32; TensorRT up to version 10 has no other."""
        if node is None or node.op_type != "Cast":
            return
        ends = {cast_type(node), self._type_of(node.input[0])}
        if ends & {TensorProto.FLOAT, TensorProto.FLOAT16}:
            return
        between = free_name(self._taken, f"{node.output[0]}__float")
        first = cast(node.input[0], between, TensorProto.FLOAT, name=between)
        node.input[0] = between
        self._graph.node.append(first)
        sort_nodes(self._graph)

    def _type_of(self, name: str) -> int:
        """Return ONNX's number of the type of an inner tensor, as ONNX infers it."""
        if self._types is None:
            self._types = element_types(self._proto)
        number = self._types.get(name, TensorProto.UNDEFINED)
        if number == TensorProto.UNDEFINED:
            raise UnsupportedModelError(
                f"ONNX cannot infer the dtype of tensor {name!r}, which {self._flavor} has to know"
            )
        return number

    def _refusal(self, kind: str, spec: TensorSpec, hint: str) -> UnsupportedModelError:
        if spec.dtype == STRING:
            return UnsupportedModelError(
                f"{kind} {spec.name!r} holds strings, which have no place in a GPU's memory; choose outputs that do "
                "without: outputs=[…]"
            )
        held = ", ".join(sorted(dtype.name for dtype in self._native))
        return UnsupportedModelError(
            f"{kind} {spec.name!r} is {spec.dtype}, which {self._flavor} cannot hold at an engine's edge"
            + (f" (it could be carried in another type, but {hint})" if hint else "")
            + f"; it holds {held}. Cast it in the model to one of these"
        )


def _is_captured(graph: onnx.GraphProto, name: str) -> bool:
    return any(name in inner_reads(node) for node in graph.node)


def _drop_false_names(graph: onnx.GraphProto) -> None:
    """Take ``?`` and its like from sizes: TensorRT takes those of one name to be equal."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_param") and dim_from_onnx(dim.dim_param) is None:
                dim.ClearField("dim_param")


def _give_rank(value: onnx.ValueInfoProto, shape: Iterable[int]) -> None:
    tensor = value.type.tensor_type
    tensor.shape.Clear()
    for _ in shape:
        tensor.shape.dim.add()
    tensor.SetInParent()
