"""Adapt a graph's inputs and outputs to TensorRT, which silently renames some and does not support others.

- An output that is also an input (TensorRT would rename the *input*) or a weight becomes a copy with its own name.
- If TensorRT lacks a dtype, the tensor gets a wider one, the carrier, and the model's own cast at this place is done on
  the host. If this is not exact, the model is rejected.
- An input of unknown rank gets the rank of the shape that it is built for.
- Exporters' placeholders for unknown sizes, such as ``?``, are removed: they are not names that dimensions share.
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
# A dtype that holds all values of another, so that casting there and back changes nothing.
_CARRIERS: Mapping[DType, DType] = {
    _INT8: _INT32,
    np.dtype(np.int16): _INT32,
    np.dtype(np.uint16): _INT32,
    np.dtype(np.uint32): _INT64,
    np.dtype(ml_dtypes.bfloat16): _FLOAT32,
}
# Dtypes whose values float32 holds exactly: float64 cast from them can be carried as float32.
_WITHIN_FLOAT32 = frozenset(
    map(np.dtype, (np.float32, np.float16, ml_dtypes.bfloat16, np.int8, np.uint8, np.int16, np.uint16, np.bool_))
)


class Prepared(NamedTuple):
    """A graph that TensorRT can read, and how its inputs and outputs map to the model's."""

    graph: OnnxGraph
    inputs: tuple[Edge, ...]
    outputs: tuple[Edge, ...]


def prepare(graph: OnnxGraph, flavor: Flavor, profile: Profile) -> Prepared:
    """Return a graph that a flavour of TensorRT reads with the same meaning.

    Raises:
        UnsupportedModelError: TensorRT does not support the dtype of an input or output; the message names it.
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
    """The changes to one model, input by input and output by output."""

    def __init__(self, proto: onnx.ModelProto, flavor: Flavor) -> None:
        self._proto, self._graph, self._flavor = proto, proto.graph, flavor
        self._taken = all_names(proto.graph)
        self._changed: set[str] = set()
        self._types: dict[str, int] | None = None
        self._weights = initializer_names(proto.graph)
        has_int8 = not flavor.precision_flags or is_quantized(proto.graph)
        native = flavor.edge_dtypes - set(_FLOAT8)
        # Networks that are not strongly typed treat int8 as quantised and require a scale.
        self._native = native if has_int8 else native - {_INT8}

    def input_edge(self, spec: TensorSpec, profile: Profile) -> Edge:
        """Adapt one input."""
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
                raise self._refusal("input", spec, "only Cast nodes may use it" if carrier in self._native else "")
            assert carrier is not None  # noqa: S101 - None is never a native dtype
            value.type.tensor_type.elem_type = onnx_from_dtype(carrier)
        return Edge(spec, spec.name, carrier)

    def output_edge(self, spec: TensorSpec, index: int, inputs: Mapping[str, Edge]) -> Edge:
        """Adapt one output."""
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
        """Drop the model's type information for inner tensors whose type has changed."""
        kept = [value for value in self._graph.value_info if value.name not in self._changed]
        if len(kept) < len(self._graph.value_info):
            del self._graph.value_info[:]
            self._graph.value_info.extend(kept)

    # ---- helpers -----------------------------------------------------------------------------------------------

    def _carrier(self, spec: TensorSpec) -> DType | None:
        """Return the dtype in the engine if the graph need not change, otherwise None."""
        if spec.dtype in self._native:
            return spec.dtype
        # The parsers of TensorRT versions without int64 read it as int32.
        return _INT32 if spec.dtype == _INT64 else None

    def _without_its_cast(self, spec: TensorSpec) -> tuple[str, DType]:
        """Change the Cast before an output so that it produces the carrier; return the output's name and dtype."""
        node = producers(self._graph.node).get(spec.name)
        carrier = _CARRIERS.get(spec.dtype)
        if node is None or node.op_type != "Cast" or spec.dtype in _FLOAT8:
            raise self._refusal(
                "output", spec, "a Cast must produce it" if carrier in self._native or spec.dtype == _DOUBLE else ""
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
        """Split a Cast between uint8 and another integer into two via float32, which TensorRT up to 10 requires."""
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
        """Return the ONNX type number of an inner tensor, as inferred by ONNX."""
        if self._types is None:
            self._types = element_types(self._proto)
        number = self._types.get(name, TensorProto.UNDEFINED)
        if number == TensorProto.UNDEFINED:
            raise UnsupportedModelError(f"ONNX cannot infer the dtype of tensor {name!r}, which {self._flavor} needs")
        return number

    def _refusal(self, kind: str, spec: TensorSpec, hint: str) -> UnsupportedModelError:
        if spec.dtype == STRING:
            return UnsupportedModelError(
                f"{kind} {spec.name!r} is a string tensor, which GPUs do not support; select outputs that do not need "
                "strings: outputs=[…]"
            )
        held = ", ".join(sorted(dtype.name for dtype in self._native))
        return UnsupportedModelError(
            f"{kind} {spec.name!r} is {spec.dtype}, which {self._flavor} does not support for inputs and outputs"
            + (f" (another type could carry it, but {hint})" if hint else "")
            + f"; supported: {held}. Cast it in the model to one of these"
        )


def _is_captured(graph: onnx.GraphProto, name: str) -> bool:
    return any(name in inner_reads(node) for node in graph.node)


def _drop_false_names(graph: onnx.GraphProto) -> None:
    """Remove placeholders such as ``?`` from sizes: TensorRT treats dimensions with the same name as equal."""
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
