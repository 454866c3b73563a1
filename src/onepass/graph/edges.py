"""A model's inputs and outputs: what they are, and inner tensors made outputs."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from onepass._errors import OutputNameError, UnsupportedModelError
from onepass.graph.nodes import initializer_names
from onepass.graph.values import inferred
from onepass.tensors import Dim, Signature, TensorSpec, dtype_from_onnx, no_dense_tensor, no_such_name


def spec_of(value: onnx.ValueInfoProto) -> TensorSpec:
    """Return name, dtype and shape of an input or output.

    Raises:
        UnsupportedModelError: It is a string, a sequence, an optional or a sparse tensor.
    """
    if value.type.WhichOneof("value") != "tensor_type":
        raise UnsupportedModelError(no_dense_tensor(value.name, kind_of(value)))
    tensor = value.type.tensor_type
    dtype = dtype_from_onnx(tensor.elem_type, tensor=value.name)
    if not tensor.HasField("shape"):
        return TensorSpec(value.name, dtype, None)
    return TensorSpec(value.name, dtype, tuple(_dim(dim) for dim in tensor.shape.dim))


def kind_of(value: onnx.ValueInfoProto) -> str:
    """Say what an input or output is, in ONNX's words: ``float``, ``string``, ``sequence`` …."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return kind.removesuffix("_type") if kind else "value without a type"
    return str(onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)).lower()


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    # Some exporters write -1 for a dynamic dimension, which ONNX has no such number for.
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    return dim.dim_param or None


def inputs_of(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return what a caller has to give; old models list their weights among the inputs, too."""
    weights = initializer_names(graph)
    return [value for value in graph.input if value.name not in weights]


def signature_of(graph: onnx.GraphProto) -> Signature:
    """Return inputs and outputs in the graph's order.

    Raises:
        UnsupportedModelError: One of them is a string, a sequence, an optional or a sparse tensor.
    """
    return Signature(tuple(map(spec_of, inputs_of(graph))), tuple(map(spec_of, graph.output)))


def tensor_names(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Return the inputs and every tensor that a node computes, in the nodes' order."""
    inputs = (value.name for value in inputs_of(graph))
    return (*inputs, *(name for node in graph.node for name in node.output if name))


def expose(model: onnx.ModelProto, tensors: Iterable[str]) -> None:
    """Add inner tensors of the main graph as outputs, after those there are; the model is changed in place.

    Requires: nothing.

    Ensures: every tensor named is an output, with its type, once. Nothing else changes, and nothing at all where an
    error is raised.

    Raises:
        OutputNameError: The main graph computes no tensor of that name.
        UnsupportedModelError: The dtype of a tensor cannot be inferred, or it is no dense tensor of numbers.
    """
    there = {value.name for value in model.graph.output}
    wanted = [name for name in dict.fromkeys(tensors) if name not in there]
    known = tensor_names(model.graph)
    for name in wanted:
        if name not in known:
            raise OutputNameError(no_such_name("tensor", name, known))
    values = inferred(model) if wanted else {}
    for name in wanted:
        if name not in values or not values[name].type.WhichOneof("value"):
            raise UnsupportedModelError(
                f"tensor {name!r} cannot become an output: ONNX cannot infer its dtype, "
                "because an operator before it is not a standard one"
            )
        spec_of(values[name])
    model.graph.output.extend(values[name] for name in wanted)
