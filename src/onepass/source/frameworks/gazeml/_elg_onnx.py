"""ELG as an ONNX graph with channels first, the layout that suits ONNX Runtime and TensorRT."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from onepass._errors import UnsupportedModelError
from onepass.source.frameworks.gazeml._elg import BETA, LANDMARK_COUNT, ElgSize, Weights, elg, scale_and_shift
from onepass.source.frameworks.gazeml._elg_numpy import pixel_centres, same_padding
from onepass.tensors import Signature, TensorSpec

_FIRST_OPSET = 13


class _Tensor(NamedTuple):
    """A tensor of the graph by name: [N, channels, height, width], or [N, channels] without `sides`."""

    name: str
    channels: int
    sides: tuple[int, ...] = ()


def elg_signature(size: ElgSize) -> Signature:
    """Return the graph's inputs and outputs, in crop pixels; N is the number of eyes."""
    float32 = np.dtype(np.float32)
    map_height, map_width = size.height_px // size.stride, size.width_px // size.stride
    return Signature(
        (TensorSpec("eye", float32, ("N", 1, size.height_px, size.width_px)),),
        (
            TensorSpec("heatmaps", float32, ("N", LANDMARK_COUNT, map_height, map_width)),
            TensorSpec("landmarks", float32, ("N", LANDMARK_COUNT, 2)),
            TensorSpec("radius", float32, ("N", 1)),
        ),
    )


def elg_graph(weights: Weights, size: ElgSize, *, opset: int) -> onnx.ModelProto:
    """Return ELG as a graph with the signature `elg_signature`.

    Raises:
        UnsupportedModelError: `opset` is below 13, where Resize has another meaning or form.
    """
    if opset < _FIRST_OPSET:
        raise UnsupportedModelError(f"ELG requires opset {_FIRST_OPSET} or later, got {opset}")
    layers = _OnnxLayers(weights)
    outputs = elg(layers, _Tensor("eye", 1, (size.height_px, size.width_px)), size)
    names = {tensor.name: name for name, tensor in outputs.items()}
    for node in layers.nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    inputs, outs = (
        [helper.make_tensor_value_info(spec.name, TensorProto.FLOAT, spec.shape) for spec in specs]
        for specs in (elg_signature(size).inputs, elg_signature(size).outputs)
    )
    graph = helper.make_graph(layers.nodes, "elg", inputs, outs, layers.initializers)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))


class _OnnxLayers:
    """The layers of `elg` as ONNX nodes."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def convolve(self, x: _Tensor, scope: str, features: int, *, kernel: int = 1, stride: int = 1) -> _Tensor:
        """See `Layers`."""
        filters = self._weights(f"{scope}/conv/kernel", (kernel, kernel, x.channels, features)).transpose(3, 2, 0, 1)
        bias = self._weights(f"{scope}/conv/bias", (features,))
        (top, bottom), (left, right) = (same_padding(side, kernel, stride) for side in x.sides)
        name = self._node(
            "Conv", scope, x.name, self._constant(f"{scope}/kernel", filters), self._constant(f"{scope}/bias", bias),
            kernel_shape=[kernel, kernel], strides=[stride, stride], pads=[top, left, bottom, right],
        )  # fmt: skip
        return _Tensor(name, features, tuple(-(-side // stride) for side in x.sides))

    def normalise(self, x: _Tensor, scope: str) -> _Tensor:
        """See `Layers`."""
        shape = (x.channels, *(1 for _ in x.sides))
        scale, shift = (array.reshape(shape) for array in scale_and_shift(self._weights, scope, x.channels))
        name = self._node("Mul", scope, x.name, self._constant(f"{scope}/scale", scale))
        name = self._node("Add", scope, name, self._constant(f"{scope}/shift", shift))
        return x._replace(name=self._node("Relu", scope, name))

    def add(self, x: _Tensor, y: _Tensor) -> _Tensor:
        """See `Layers`."""
        return x._replace(name=self._node("Add", "add", x.name, y.name))

    def halve(self, x: _Tensor) -> _Tensor:
        """See `Layers`."""
        pads = [0, 0, *(side % 2 for side in x.sides)]
        name = self._node("MaxPool", "pool", x.name, kernel_shape=[2, 2], strides=[2, 2], pads=pads)
        return x._replace(name=name, sides=tuple((side + 1) // 2 for side in x.sides))

    def enlarge(self, x: _Tensor, like: _Tensor) -> _Tensor:
        """See `Layers`."""
        scales = [1.0, 1.0, *map(_resize_scale, x.sides, like.sides)]
        name = self._node(
            "Resize", "resize", x.name, "", self._constant(f"{x.name}/scales", np.array(scales)),
            mode="linear", coordinate_transformation_mode="align_corners",
        )  # fmt: skip
        return like._replace(name=name)

    def soft_argmax(self, heatmaps: _Tensor, stride: int) -> _Tensor:
        """See `Layers`."""
        flat = self._constant("flat", np.array([0, LANDMARK_COUNT, -1]), dtype=np.int64)
        name = self._node("Reshape", "softargmax", heatmaps.name, flat)
        name = self._node("Mul", "softargmax", name, self._constant("beta", np.array(BETA)))
        name = self._node("Softmax", "softargmax", name, axis=-1)
        centres = self._constant("pixel_centres", pixel_centres(heatmaps.sides, stride))
        return _Tensor(self._node("MatMul", "softargmax", name, centres), LANDMARK_COUNT)

    def flatten(self, landmarks: _Tensor) -> _Tensor:
        """See `Layers`."""
        name = self._node("Transpose", "radius", landmarks.name, perm=[0, 2, 1])
        return _Tensor(self._node("Flatten", "radius", name, axis=1), 2 * LANDMARK_COUNT)

    def dense(self, x: _Tensor, scope: str, units: int) -> _Tensor:
        """See `Layers`."""
        matrix = self._constant(f"{scope}/kernel", self._weights(f"{scope}/fc/kernel", (x.channels, units)))
        bias = self._constant(f"{scope}/bias", self._weights(f"{scope}/fc/bias", (units,)))
        return _Tensor(self._node("Gemm", scope, x.name, matrix, bias), units)

    def _node(self, kind: str, scope: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return its output's name: scope, kind and number."""
        name = f"{scope}/{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def _constant(self, name: str, values: npt.NDArray[Any], *, dtype: type[np.generic] = np.float32) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype), name))
        return name


def _resize_scale(size: int, larger: int) -> float:
    """Return the smallest float32 factor from `size` to `larger`; ONNX uses the floor of the exact product."""
    scale = np.float32(larger / size)
    return float(scale if float(scale) * size >= larger else np.nextafter(scale, np.float32(np.inf)))
