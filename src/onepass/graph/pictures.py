"""Make an input accept pictures as a decoder returns them, by moving the preprocessing into the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from onepass._errors import InputError, UnsupportedModelError
from onepass.graph.arrays import tensor_of
from onepass.graph.model import OnnxGraph
from onepass.graph.nodes import all_names, free_name, rename_tensors, set_nodes
from onepass.tensors import no_such_name

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}
_CHANNELS = (1, 3, 4)


def with_picture_input(
    graph: OnnxGraph, name: str, *, reverse: bool = False, mean: Sequence[float] = (0,), std: Sequence[float] = (1,)
) -> OnnxGraph:
    """Return a graph with an input that takes pictures, uint8 [N, H, W, C].

    The graph computes ``(pixels / 255 - mean) / std`` in float32 and moves the channels to the model's position.

    Args:
        graph: A model with a floating-point input [N, C, H, W] or [N, H, W, C], with C = 1, 3 or 4.
        name: Name of the input.
        reverse: Whether to reverse the channel order: for BGR pictures and an RGB model.
        mean: Mean to subtract, for pixels from 0 to 1: one number, or one per channel in the model's order.
        std: Standard deviation to divide by, likewise.

    Raises:
        InputError: The input does not exist, the number of means or deviations is wrong, or a deviation is 0.
        UnsupportedModelError: The input cannot take pictures.
    """
    inputs = {value.name: value for value in graph.proto.graph.input}
    if name not in inputs:
        raise InputError(no_such_name("input", name, tuple(inputs)))
    channels, is_first = _channels(graph, name)
    scale, offset = _line(name, channels, mean, std)
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    taken = all_names(proto.graph)
    inner = free_name(taken, f"{name}__prepared")
    rename_tensors(proto.graph, {name: inner})
    value = next(value for value in proto.graph.input if value.name == inner)
    value.name, number = name, value.type.tensor_type.elem_type
    _as_picture(value, is_first=is_first)
    chain = _Chain(name, taken)
    chain.then("Cast", to=TensorProto.FLOAT)
    if is_first:
        chain.then("Transpose", perm=[0, 3, 1, 2])
    if reverse and channels > 1:
        order = [2, 1, 0, *range(3, channels)]  # a fourth channel is not a colour
        chain.then("Gather", np.array(order, np.int64), axis=1 if is_first else 3)
    shape = [1, channels, 1, 1] if is_first else [channels]
    chain.then("Mul", scale.reshape(shape))
    chain.then("Add", offset.reshape(shape))
    if number != TensorProto.FLOAT:
        chain.then("Cast", to=number)
    chain.nodes[-1].output[0] = inner
    proto.graph.initializer.extend(chain.weights)
    set_nodes(proto.graph, [*chain.nodes, *proto.graph.node])
    return OnnxGraph(proto, folder=graph.folder)


class _Chain:
    """A chain of nodes with their constants, all under unused names."""

    def __init__(self, first: str, taken: set[str]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._first, self._last, self._taken = first, first, taken

    def then(self, operator: str, *constants: np.ndarray, **attributes: Any) -> None:
        """Append a node that reads the last result and constants."""
        name = free_name(self._taken, f"{self._first}__{operator}")
        names = [free_name(self._taken, f"{name}_by") for _ in constants]
        self.weights += [tensor_of(array, each) for array, each in zip(constants, names, strict=True)]
        result = free_name(self._taken, f"{name}_made")
        self.nodes.append(helper.make_node(operator, [self._last, *names], [result], name, **attributes))
        self._last = result


def _channels(graph: OnnxGraph, name: str) -> tuple[int, bool]:
    """Return the number of channels of an input, and whether they come before height and width."""
    value = next(value for value in graph.proto.graph.input if value.name == name)
    spec = next(spec for spec in graph.signature.inputs if spec.name == name)
    sizes = spec.shape or ()
    if name in {output.name for output in graph.proto.graph.output}:
        raise UnsupportedModelError(f"input {name!r} cannot take pictures: it is also an output, which would change")
    if value.type.tensor_type.elem_type in _FLOATS and len(sizes) == 4:
        for axis in (1, 3):
            if sizes[axis] in _CHANNELS:
                return int(sizes[axis] or 0), axis == 1
    raise UnsupportedModelError(
        f"input {name!r} cannot take pictures: expected a floating-point input [N, C, H, W] or [N, H, W, C] with 1, 3 "
        f"or 4 channels, got {spec}"
    )


def _line(name: str, channels: int, mean: Sequence[float], std: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and offset of each channel, computed in float64."""
    for what, numbers in (("mean", mean), ("standard deviation", std)):
        if len(numbers) not in (1, channels) or not np.all(np.isfinite(numbers)):
            raise InputError(
                f"the {what} of input {name!r} must be one number, or {channels}, one per channel; got {numbers}"
            )
    if not np.all(std):
        raise InputError(f"input {name!r}: standard deviations must not be 0, got {std}")
    means, deviations = (np.broadcast_to(np.asarray(each, np.float64), (channels,)) for each in (mean, std))
    return (1 / (255 * deviations)).astype(np.float32), (-means / deviations).astype(np.float32)


def _as_picture(value: onnx.ValueInfoProto, *, is_first: bool) -> None:
    tensor = value.type.tensor_type
    tensor.elem_type = TensorProto.UINT8
    if is_first:
        batch, channels, height, width = (onnx.TensorShapeProto.Dimension() for _ in range(4))
        for target, dim in zip((batch, channels, height, width), tensor.shape.dim, strict=True):
            target.CopyFrom(dim)
        del tensor.shape.dim[:]
        tensor.shape.dim.extend([batch, height, width, channels])
