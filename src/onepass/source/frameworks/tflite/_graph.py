"""Build an ONNX graph whose pictures are in TFLite's layout or channels first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from onepass._errors import UnsupportedModelError
from onepass.graph.arrays import tensor_of
from onepass.outputs import Array
from onepass.source._edges import with_edges
from onepass.source.frameworks.tflite._file import Tensor, TFLiteFile
from onepass.tensors import onnx_from_dtype

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Permutations to channels first, and back to channels last."""


class GraphInTheMaking:
    """Nodes and weights, and the available layouts of each tensor.

    TFLite's pictures are [N, height, width, channels]; ONNX convolutions need [N, channels, height, width]. A tensor is
    transposed when an operator first needs its other layout, so there are no transpositions between convolutions.
    """

    def __init__(self, file: TFLiteFile) -> None:
        self.tensors = file.tensors
        self.nodes: list[onnx.NodeProto] = []
        self._file = file
        self._weights: list[onnx.TensorProto] = []
        self._as_it_is = {index: f"input_{place}" for place, index in enumerate(file.inputs.values())}
        self._first: dict[int, str] = {}
        self._constants = {index: each.data for index, each in enumerate(file.tensors) if each.data is not None}

    def shape(self, index: int) -> tuple[int | None, ...]:
        """Return a tensor's shape in the file."""
        return self.tensors[index].shape

    def constant(self, index: int) -> Array | None:
        """Return the values of a constant tensor; None for others."""
        return self._constants.get(index)

    def set_constant(self, index: int, values: Array) -> None:
        """Replace a computed tensor by a constant."""
        self._constants[index] = values

    def is_first(self, index: int) -> bool:
        """Whether a tensor is available only with channels first."""
        return index in self._first and index not in self._as_it_is

    def read(self, index: int) -> str:
        """Return the name of a tensor in the file's own layout."""
        if index not in self._as_it_is:
            values = self._constants.get(index)
            if values is not None:
                self._as_it_is[index] = self.weight(values)
            elif index in self._first:
                self._as_it_is[index] = self.add("Transpose", [self._first[index]], perm=LAST)
            else:
                raise UnsupportedModelError(f"tensor {self.tensors[index].name!r} is used before it is computed")
        return self._as_it_is[index]

    def read_first(self, index: int) -> str:
        """Return the name of a picture with channels first, or of a constant broadcast to such pictures."""
        if index not in self._first:
            values = self._constants.get(index)
            if values is None:
                self._first[index] = self.add("Transpose", [self.read(index)], perm=FIRST)
            else:
                wide = values.reshape((1,) * (4 - values.ndim) + values.shape) if values.ndim else values
                self._first[index] = self.weight(wide.transpose(FIRST) if wide.ndim else wide)
        return self._first[index]

    def read_flat(self, index: int) -> str:
        """Return the name of a tensor with elements in the file's order, in any layout, for a following Reshape."""
        if self.is_first(index):
            sizes = self.shape(index)
            if sizes[3] == 1 or sizes[1:3] == (1, 1):
                return self._first[index]
        return self.read(index)

    def computed(self, index: int, name: str, *, first: bool = False) -> None:
        """Record the graph tensor that holds a file tensor."""
        (self._first if first else self._as_it_is)[index] = name

    def weight(self, values: Array) -> str:
        """Add a constant and return its name."""
        name = f"weight_{len(self._weights)}"
        self._weights.append(tensor_of(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        output = f"node_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def model(self, opset: int) -> onnx.ModelProto:
        """Return the graph as a model, with the names of the file's inputs and outputs."""
        inputs = {name: self._as_it_is[index] for name, index in self._file.inputs.items()}
        outputs: dict[str, str] = {}
        for name, index in self._file.outputs.items():
            if name in inputs:  # the output is this input
                continue
            made = self.read(index)
            computed = any(made in node.output for node in self.nodes) and made not in outputs.values()
            outputs[name] = made if computed else self.add("Identity", [made])
        graph = helper.make_graph(
            self.nodes,
            "tflite",
            [_value(made, self.tensors[self._file.inputs[name]]) for name, made in inputs.items()],
            [_value(made, self.tensors[self._file.outputs[name]]) for name, made in outputs.items()],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        model = with_edges(
            model,
            inputs={made: name for name, made in inputs.items()},
            outputs={made: name for name, made in outputs.items()},
        )
        model.graph.output.extend(value for value in model.graph.input if value.name in self._file.outputs)
        return model


def _value(name: str, tensor: Tensor) -> onnx.ValueInfoProto:
    spec = tensor.spec(name)
    return helper.make_tensor_value_info(name, onnx_from_dtype(spec.dtype), spec.shape)
