"""TFLite picture operators: convolutions, pooling, resizing."""

from __future__ import annotations

from typing import Any

import numpy as np

from onepass._errors import UnsupportedModelError
from onepass.source.frameworks.tflite._file import Operator
from onepass.source.frameworks.tflite._graph import FIRST, GraphInTheMaking
from onepass.source.frameworks.tflite._simple import activated

_SAME = 0  # in the schema's enumeration Padding


def convolution(graph: GraphInTheMaking, operator: Operator) -> None:
    """CONV_2D: weights are [outputs, height, width, inputs]."""
    weights = graph.constant(operator.inputs[1])
    channels = graph.shape(operator.inputs[0])[3]
    if weights is None or channels is None:
        raise UnsupportedModelError("weights that are computed")
    _convolve(graph, operator, weights.transpose(FIRST), groups=channels // weights.shape[3])


def depthwise_convolution(graph: GraphInTheMaking, operator: Operator) -> None:
    """DEPTHWISE_CONV_2D: weights are [1, height, width, outputs], with the outputs of each channel adjacent."""
    weights, channels = graph.constant(operator.inputs[1]), graph.shape(operator.inputs[0])[3]
    if weights is None or channels is None:
        raise UnsupportedModelError("weights that are computed")
    _convolve(graph, operator, weights.transpose(3, 0, 1, 2), groups=channels)


def _convolve(graph: GraphInTheMaking, operator: Operator, weights: Any, *, groups: int) -> None:
    options, picture = operator.options, operator.inputs[0]
    kernel = weights.shape[2:]
    strides, dilations = (options.StrideH(), options.StrideW()), (options.DilationHFactor(), options.DilationWFactor())
    inputs = [graph.read_first(picture), graph.weight(weights)]
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        inputs.append(graph.read(operator.inputs[2]))
    made = graph.add(
        "Conv", inputs, kernel_shape=kernel, strides=strides, dilations=dilations, group=groups,
        pads=_padding(graph, operator, kernel, strides, dilations),
    )  # fmt: skip
    activated(graph, operator, made, first=True)


def pooling(graph: GraphInTheMaking, operator: Operator) -> None:
    """MAX_POOL_2D and AVERAGE_POOL_2D; the padding does not count."""
    options = operator.options
    kernel, strides = (options.FilterHeight(), options.FilterWidth()), (options.StrideH(), options.StrideW())
    made = graph.add(
        "MaxPool" if operator.kind == "MAX_POOL_2D" else "AveragePool", [graph.read_first(operator.inputs[0])],
        kernel_shape=kernel, strides=strides, pads=_padding(graph, operator, kernel, strides, (1, 1)),
    )  # fmt: skip
    activated(graph, operator, made, first=True)


def _padding(graph: GraphInTheMaking, operator: Operator, kernel: Any, strides: Any, dilations: Any) -> list[int]:
    """Return the padding of a picture: top, left, bottom, right."""
    if operator.options.Padding() != _SAME:
        return [0, 0, 0, 0]
    before, after = [], []
    for size, window, stride, dilation in zip(
        graph.shape(operator.inputs[0])[1:3], kernel, strides, dilations, strict=True
    ):
        if size is None:
            raise UnsupportedModelError("pictures of any size")
        missing = max((-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size, 0)
        before.append(missing // 2)
        after.append(missing - missing // 2)
    return before + after


def resizing(graph: GraphInTheMaking, operator: Operator) -> None:
    """RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR."""
    options, sizes = operator.options, graph.constant(operator.inputs[1])
    before = graph.shape(operator.inputs[0])[1:3]
    if sizes is None or None in before:
        raise UnsupportedModelError("pictures of any size")
    scales = np.array([1, 1, *(size / (old or 1) for size, old in zip(sizes, before, strict=True))], np.float32)
    middle, corners = options.HalfPixelCenters(), options.AlignCorners()
    how = {"coordinate_transformation_mode": "align_corners" if corners else "half_pixel" if middle else "asymmetric"}
    if operator.kind == "RESIZE_BILINEAR":
        how["mode"] = "linear"
    else:
        how |= {"mode": "nearest", "nearest_mode": "round_prefer_ceil" if corners or middle else "floor"}
    made = graph.add("Resize", [graph.read_first(operator.inputs[0]), "", graph.weight(scales)], **how)
    graph.computed(operator.outputs[0], made, first=True)


def depth_to_space(graph: GraphInTheMaking, operator: Operator) -> None:
    """DEPTH_TO_SPACE."""
    picture = graph.read_first(operator.inputs[0])
    made = graph.add("DepthToSpace", [picture], blocksize=operator.options.BlockSize(), mode="DCR")
    graph.computed(operator.outputs[0], made, first=True)
