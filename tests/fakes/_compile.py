"""From an ONNX model to a fake engine: what TensorRT's parser and builder make of names, dtypes and shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import shape_inference

from tests.fakes._core import member_of
from tests.fakes._onnx import Network, Shape
from tests.fakes._plan import EngineFile, TensorInfo, Triple
from tests.fakes.facts import tensorrt_facts

_KIND = {True: " in", False: " out"}
# Loops and conditions run on the device, which a CUDA graph cannot hold.
_NOT_CAPTURABLE = {"If", "Loop", "Scan"}
# How inspectors write a type: up to 8 in words, later in one.
_OLD_FORM = "Row major linear {} format"
_NEW_FORM = {
    "FP32": "Float", "FP16": "Half", "BF16": "BFloat16", "Int8": "Int8", "Int32": "Int32", "Int64": "Int64",
    "Bool": "Bool", "UInt8": "UInt8", "FP8": "FP8", "Other": "Other",
}  # fmt: skip
_TEXT = {
    "FLOAT": "FP32", "FLOAT16": "FP16", "BFLOAT16": "BF16", "INT8": "Int8", "INT32": "Int32", "INT64": "Int64",
    "BOOL": "Bool", "UINT8": "UInt8", "FLOAT8E4M3FN": "FP8",
}  # fmt: skip

Profile = Mapping[str, Triple]


class Unsupported(Exception):  # noqa: N818 - becomes an entry in the parser's list of errors
    """Why a tensor cannot be at the edge of an engine."""


def fake_engine(api: str, onnx_bytes: bytes, profiles: Sequence[Profile] | None = None, **fields: Any) -> bytes:
    """Return the bytes of an engine that a TensorRT of that version reads, without building it.

    Args:
        api: Out of `facts.TENSORRT`; for lean and dispatch it is one that they can load.
        onnx_bytes: The model.
        profiles: For each optimisation profile, input name -> minimum, optimum and maximum shape (of shape tensors:
            values). By default one, in which each dynamic size, and each value, goes from 0 over 4 to 256.
        fields: Any of `EngineFile`: ``compute="8.6"``, ``streamable=1 << 20``, ``capturable=False`` …
    """
    network = Network(onnx_bytes)
    full = api.removeprefix("lean-").removeprefix("dispatch-")
    fields = {"version_compatible": full != api, **fields}
    return compile_engine(full, network, profiles or [default_profile(network)], **fields).to_bytes()


def default_profile(network: Network) -> Profile:
    """Return a profile that lets every dynamic size be from 0 to 256."""
    profile: dict[str, Triple] = {}
    for name, (_, shape) in network.inputs.items():
        if name in network.host_inputs:
            count = int(np.prod(shape or (), dtype=np.int64))
            profile[name] = ((0,) * count, (4,) * count, (256,) * count)
        else:
            low, best, high = (tuple(size if one < 0 else one for one in shape or ()) for size in (0, 4, 256))
            profile[name] = (low, best, high)
    return profile


def compile_engine(
    api: str,
    network: Network,
    profiles: Sequence[Profile],
    *,
    names: Mapping[str, str] | None = None,
    reduced: Mapping[str, str] | None = None,
    **fields: Any,
) -> EngineFile:
    """Return the engine.

    Args:
        api: Which TensorRT it is for.
        network: The model.
        profiles: As in `fake_engine`, complete.
        names: What tensors are called in the engine, where that differs from what the parser calls them.
        reduced: Layers that compute in half precision, by name: ``"FP16"`` or ``"BF16"``.
        fields: Any of `EngineFile`.

    Raises:
        Unsupported: A tensor at the edge cannot be one of TensorRT's.
    """
    names = names or {}
    inputs, outputs = edges(api, network)
    # TensorRT promises no order of outputs; this one is the model's own only by chance.
    outputs = sorted((_with_rank(network, one, profiles[0]) for one in outputs), key=lambda one: one.source)
    tensors = tuple(
        replace(one, name=names.get(one.source + _KIND[one.is_input], one.name)) for one in inputs + outputs
    )
    called = {one.source: one.name for one in tensors if one.is_input}
    own = tuple({called[name]: triple for name, triple in profile.items()} for profile in profiles)
    fields.setdefault("capturable", not any(node.op_type in _NOT_CAPTURABLE for node in network.proto.graph.node))
    return EngineFile(
        built_by=api, tensors=tensors, profiles=own, onnx=network.data,
        layers=tuple(_layers(network, reduced or {}, old=api.startswith("8"))), **fields,
    )  # fmt: skip


def edges(api: str, network: Network) -> tuple[list[TensorInfo], list[TensorInfo]]:
    """Return inputs and outputs as the parser makes them, in the model's order.

    Raises:
        Unsupported: One of them cannot be a tensor of that TensorRT.
    """
    members = tensorrt_facts(api)["DataType"][1:]
    return (
        [_tensor(network, name, members, is_input=True) for name in network.inputs],
        [_tensor(network, name, members, is_input=False) for name in network.outputs],
    )


def inner_tensors(api: str, network: Network) -> list[TensorInfo]:
    """Return what the nodes compute, as far as their types are known; FLOAT where they are not."""
    members = tensorrt_facts(api)["DataType"][1:]
    graph = shape_inference.infer_shapes(network.proto).graph
    known = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output, *graph.input)}
    found = []
    for name in (name for node in graph.node for name in node.output if name):
        dtype = onnx.helper.tensor_dtype_to_np_dtype(known.get(name) or onnx.TensorProto.FLOAT)
        found.append(TensorInfo(name, name, False, member_of(dtype, members) or "FLOAT", ()))
    return found


def edge_key(one: TensorInfo) -> str:
    """Return what `compile_engine` takes as a key of `names`: an input and an output may have one source."""
    return one.source + _KIND[one.is_input]


def _tensor(network: Network, name: str, members: Sequence[str], *, is_input: bool) -> TensorInfo:
    dtype, shape = (network.inputs if is_input else network.outputs)[name]
    member = member_of(dtype, members)
    if member is None:
        raise Unsupported(
            f'Assertion failed: convertDtype(onnxDtype.elem_type(), &trtDtype) && "Failed to convert ONNX date type '
            f'to TensorRT data type." ({name}: {dtype})'
        )
    if is_input and shape is None:
        raise Unsupported(f"Assertion failed: the rank of input {name} must be known")
    # The parser gives an input that is also an output another name, and puts a layer between the two.
    renamed = f"__{name}" if is_input and name in network.outputs else name
    on_host = is_input and name in network.host_inputs
    return TensorInfo(renamed, name, is_input, member, shape or (), on_host)


def _with_rank(network: Network, one: TensorInfo, profile: Profile) -> TensorInfo:
    """Return an output with as many dimensions as it has, which the ONNX model need not say."""
    if network.outputs[one.source][1] is not None:
        return one
    shapes: dict[str, Shape] = {}
    values: dict[str, np.ndarray[Any, Any]] = {}
    for name, (dtype, declared) in network.inputs.items():
        if name in network.host_inputs:
            shapes[name] = declared or ()
            values[name] = np.array(profile[name][1], dtype).reshape(shapes[name])
        else:
            shapes[name] = profile[name][1]
    rank = len(network.output_shapes(shapes, values)[one.source])
    return TensorInfo(one.name, one.source, one.is_input, one.dtype, (-1,) * rank, one.on_host)


def _layers(network: Network, reduced: Mapping[str, str], *, old: bool) -> list[dict[str, Any]]:
    """Return what an engine inspector tells of each layer; here each node is one."""
    graph = shape_inference.infer_shapes(network.proto).graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.output, *graph.value_info)}
    types |= {one.name: one.data_type for one in graph.initializer}

    def tensor(name: str, lower: str | None) -> dict[str, Any]:
        kind = _TEXT.get(onnx.TensorProto.DataType.Name(types.get(name, 1)), "Other")
        kind = lower if lower and kind == "FP32" else kind
        return {"Name": name, "Dimensions": [], "Format/Datatype": _OLD_FORM.format(kind) if old else _NEW_FORM[kind]}

    return [
        {
            "Name": layer_name(node, number),
            "LayerType": node.op_type,
            "Inputs": [tensor(name, reduced.get(layer_name(node, number))) for name in node.input if name],
            "Outputs": [tensor(name, reduced.get(layer_name(node, number))) for name in node.output if name],
        }
        for number, node in enumerate(graph.node)
    ]


def layer_name(node: onnx.NodeProto, number: int) -> str:
    """Return the name of the layer that a node becomes."""
    return node.name or f"{node.op_type}_{number}"
