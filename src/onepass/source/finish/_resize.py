"""Repair Resize and Upsample scales that float32 rounded down, which makes the result one pixel too small.

To enlarge 5 pixels to 9, an exporter writes the scale 9/5, which float32 rounds to 1.79999995; in ONNX, the size is the
floor of the product, 8. TensorRT builds such a network without a warning.
"""

from __future__ import annotations

import numpy as np
import onnx

from onepass.graph.arrays import array_of
from onepass.graph.values import constants, read_other, shapes
from onepass.outputs import Array

_NEAR = 1e-3  # sizes this close to an integer are meant to be that integer


def repair_scales(proto: onnx.ModelProto) -> None:
    """Round these scales up; the model is changed in place."""
    # One at a time, because sizes after a wrong one are wrong, too.
    while _repair_first(proto):
        pass


def _repair_first(proto: onnx.ModelProto) -> bool:
    nodes = [node for node in proto.graph.node if node.op_type in ("Resize", "Upsample")]
    known, sizes = (constants(proto.graph), shapes(proto)) if nodes else ({}, {})
    for node in nodes:
        attribute = next((each for each in node.attribute if each.name == "scales"), None)  # up to opset 8
        place = 2 if len(node.input) > 2 else 1  # from opset 11; in opsets 9 and 10
        if attribute is not None:
            scales = np.array(attribute.floats, np.float32)
        elif place < len(node.input) and node.input[place] in known:
            scales = array_of(known[node.input[place]])
        else:
            continue
        raised = _raised(scales, sizes.get(node.input[0], ()))
        if np.array_equal(scales, raised):
            continue
        if attribute is not None:
            attribute.floats[:] = raised
        else:
            read_other(proto.graph, node, place, raised, mark="raised")
        return True
    return False


def _raised(scales: Array, sizes: tuple[int | None, ...]) -> Array:
    raised = scales.astype(np.float32)
    for axis, (scale, size) in enumerate(zip(scales.tolist(), sizes, strict=False)):
        meant = round((size or 0) * scale)
        if size is None or abs(size * scale - meant) > _NEAR:
            continue
        while int(float(raised[axis]) * size) < meant:  # if it holds in double precision, it holds in single
            raised[axis] = np.nextafter(raised[axis], np.float32(np.inf))
    return raised
