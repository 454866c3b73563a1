"""Channels first: convert selected inputs and outputs to NCHW, reusing the network's own transpositions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx
from onnx import helper

from onepass._errors import InputError
from onepass.graph.arrays import array_of
from onepass.graph.nodes import all_names, free_name, reads, rename_tensors
from onepass.tensors import Dim, Signature, no_such_name, shape_text

Shape = tuple[Dim, ...]


def to_first(rank: int) -> tuple[int, ...]:
    """Return the permutation that moves channels from the last axis to the second."""
    return (0, rank - 1, *range(1, rank - 1))


def to_last(rank: int) -> tuple[int, ...]:
    """Return the permutation that moves channels from the second axis to the last."""
    return (0, *range(2, rank), 1)


def check_names(names: Iterable[str], signature: Signature) -> None:
    """Check that the names belong to pictures.

    Raises:
        InputError: There is no input or output of this name, or it has no channels.
    """
    shapes = {spec.name: spec.shape for spec in (*signature.inputs, *signature.outputs)}
    for name in names:
        if name not in shapes:
            raise InputError(f"channels_first: {no_such_name('input or output', name, tuple(shapes))}")
        shape = shapes[name]
        if shape is None or len(shape) < 3:
            raise InputError(
                f"channels_first: {name!r}: expected a shape [N, height, width, channels], got {shape_text(shape)}"
            )


def put_channels_first(proto: onnx.ModelProto, names: Iterable[str]) -> None:
    """Move the channels of these inputs and outputs to the second axis; the model is changed in place."""
    graph = proto.graph
    for name in names:
        inputs = [value for value in graph.input if value.name == name]
        outputs = [value for value in graph.output if value.name == name]
        for value in inputs:
            _transpose_input(graph, value)
        for value in outputs:
            if inputs:  # the output is this input, whose layout has changed already
                value.type.CopyFrom(inputs[0].type)
            else:
                _transpose_output(graph, value)


def _transpose_input(graph: onnx.GraphProto, value: onnx.ValueInfoProto) -> None:
    name, shape = value.name, _permute(value)
    rank = len(shape)
    users = [node for node in graph.node if name in reads(node)]
    bypassed = {node.output[0]: name for node in users if _moves(graph, node, to_first(rank), shape)}
    rest = [node for node in users if node.output[0] not in bypassed]
    ends = {output.name for output in graph.output}
    if rest or bypassed.keys() & ends:
        # Remaining readers, and outputs with names of their own, get the original layout.
        bypassed = {old: new for old, new in bypassed.items() if old not in ends}
        last = free_name(all_names(graph), f"{name}_channels_last")
        for node in users:
            if node.output[0] not in bypassed:
                _read_instead(node, name, last)
        graph.node.insert(0, helper.make_node("Transpose", [name], [last], perm=to_last(rank)))
    _drop(graph, bypassed)
    rename_tensors(graph, bypassed)


def _transpose_output(graph: onnx.GraphProto, value: onnx.ValueInfoProto) -> None:
    name, before = value.name, _shape(value)
    rank = len(_permute(value))
    maker = next((node for node in graph.node if name in node.output), None)
    used = any(name in reads(node) for node in graph.node)
    free = maker is not None and _is_free(graph, maker.input[0])
    if maker is not None and not used and free and _moves(graph, maker, to_last(rank), before):
        inner = maker.input[0]
        _drop(graph, {name: inner})
        rename_tensors(graph, {inner: name})
        return
    inner = free_name(all_names(graph), f"{name}_channels_last")
    rename_tensors(graph, {name: inner})
    value.name = name
    graph.node.append(helper.make_node("Transpose", [inner], [name], perm=to_first(rank)))


def _is_free(graph: onnx.GraphProto, tensor: str) -> bool:
    """Whether a tensor can be renamed: it is computed, and not an output itself."""
    edges = {value.name for value in (*graph.output, *graph.input)}
    return tensor not in edges and any(tensor in node.output for node in graph.node)


def _moves(graph: onnx.GraphProto, node: onnx.NodeProto, permutation: Sequence[int], shape: Shape) -> bool:
    """Whether a node is just this permutation, which exporters write as a Reshape for a single channel."""
    if node.op_type == "Transpose":
        perm = next((tuple(each.ints) for each in node.attribute if each.name == "perm"), None)
        return perm == tuple(permutation)
    if node.op_type != "Reshape":
        return False
    target = next((tensor for tensor in graph.initializer if tensor.name == node.input[1]), None)
    if target is None:
        return False
    wanted = array_of(target).tolist()
    channels = shape[1] if permutation == to_first(len(shape)) else shape[-1]
    same = len(wanted) == len(shape) and all(
        size in (-1, dim) or (size == 0 and axis == 0)
        for axis, (size, dim) in enumerate(zip(wanted, shape, strict=True))
    )
    return channels == 1 and same and wanted.count(-1) <= 1


def _read_instead(node: onnx.NodeProto, old: str, new: str) -> None:
    holder = onnx.GraphProto()
    holder.node.add().CopyFrom(node)
    outputs = list(node.output)
    rename_tensors(holder, {old: new})
    node.CopyFrom(holder.node[0])
    node.output[:] = outputs


def _drop(graph: onnx.GraphProto, outputs: Iterable[str]) -> None:
    """Remove the nodes that compute these tensors."""
    gone = set(outputs)
    kept = [node for node in graph.node if not gone.intersection(node.output)]
    del graph.node[:]
    graph.node.extend(kept)


def _shape(value: onnx.ValueInfoProto) -> Shape:
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in dims)


def _permute(value: onnx.ValueInfoProto) -> Shape:
    """Move the channels of a declared shape to the second axis, and return the shape."""
    dims = list(value.type.tensor_type.shape.dim)
    order = to_first(len(dims))
    copies = [onnx.TensorShapeProto.Dimension.FromString(dims[axis].SerializeToString()) for axis in order]
    del value.type.tensor_type.shape.dim[:]
    value.type.tensor_type.shape.dim.extend(copies)
    return _shape(value)
