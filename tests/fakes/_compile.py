"""From an ONNX model to a fake engine: what TensorRT's parser and builder make of names, dtypes and shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import shape_inference

from tests.fakes._core import member_of
from tests.fakes._onnx import Network, Shape
from tests.fakes._plan import EngineFile, TensorInfo, Triple
from tests.fakes.facts import tensorrt_facts

# What TensorRT computes in half precision when it is allowed to.
_COMPUTE = {"Conv", "ConvTranspose", "Gemm", "MatMul"}

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
    api: str, network: Network, profiles: Sequence[Profile], *, half: bool = False, **fields: Any
) -> EngineFile:
    """Return the engine.

    Args:
        api: Which TensorRT it is for.
        network: The model.
        profiles: As in `fake_engine`, complete.
        half: Whether layers that gain from it compute in half precision.
        fields: Any of `EngineFile`.

    Raises:
        Unsupported: A tensor at the edge cannot be one of TensorRT's.
    """
    members = tensorrt_facts(api)["DataType"][1:]
    inputs = [_tensor(network, name, members, is_input=True) for name in network.inputs]
    # TensorRT promises no order of outputs; this one is the models' own only by chance.
    outputs = [_tensor(network, name, members, is_input=False) for name in sorted(network.outputs)]
    settled = tuple(_with_rank(network, one, profiles[0]) for one in outputs)
    names = {one.source: one.name for one in inputs}
    own = tuple({names[name]: triple for name, triple in profile.items()} for profile in profiles)
    return EngineFile(
        built_by=api, tensors=(*inputs, *settled), profiles=own, onnx=network.data,
        layers=tuple(_layers(network, half=half)), **fields,
    )  # fmt: skip


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


def _layers(network: Network, *, half: bool) -> list[dict[str, Any]]:
    """Return what an engine inspector tells of each layer; here each node is one."""
    proto = shape_inference.infer_shapes(network.proto)
    graph = proto.graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.output, *graph.value_info)}
    types |= {one.name: one.data_type for one in graph.initializer}

    def tensor(name: str, *, reduced: bool) -> dict[str, Any]:
        kind = onnx.TensorProto.DataType.Name(types.get(name, 1))
        text = {"FLOAT": "FP16" if reduced else "FP32", "FLOAT16": "FP16", "BFLOAT16": "BF16"}.get(kind, kind.title())
        return {"Name": name, "Dimensions": [], "Format/Datatype": f"Row major linear {text} format"}

    layers = []
    for number, node in enumerate(graph.node):
        reduced = half and node.op_type in _COMPUTE
        layers.append({
            "Name": node.name or f"{node.op_type}_{number}",
            "LayerType": node.op_type,
            "Inputs": [tensor(name, reduced=reduced) for name in node.input if name],
            "Outputs": [tensor(name, reduced=reduced) for name in node.output if name],
        })  # fmt: skip
    return layers
