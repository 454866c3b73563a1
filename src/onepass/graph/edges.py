"""A model's inputs and outputs, and how to expose inner tensors as outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx
from onnx import shape_inference

from onepass._errors import OutputNameError, UnsupportedModelError
from onepass.graph.nodes import initializer_names
from onepass.graph.values import inferred
from onepass.tensors import (
    Dim,
    Signature,
    TensorSpec,
    dim_from_onnx,
    dtype_from_onnx,
    has_dtype,
    no_dense_tensor,
    no_such_name,
)


def spec_of(value: onnx.ValueInfoProto) -> TensorSpec:
    """Return name, dtype and shape of an input or output.

    Raises:
        UnsupportedModelError: The value is a sequence, a map, an optional or a sparse tensor, or its type has fewer
            than eight bits.
    """
    if value.type.WhichOneof("value") != "tensor_type":
        raise UnsupportedModelError(no_dense_tensor(value.name, kind_of(value)))
    tensor = value.type.tensor_type
    dtype = dtype_from_onnx(tensor.elem_type, tensor=value.name)
    if not tensor.HasField("shape"):
        return TensorSpec(value.name, dtype, None)
    return TensorSpec(value.name, dtype, tuple(_dim(dim) for dim in tensor.shape.dim))


def kind_of(value: onnx.ValueInfoProto) -> str:
    """Return the kind of an input or output in ONNX's terms: ``float``, ``string``, ``sequence`` …."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return kind.removesuffix("_type").replace("_", " ") if kind else "value without a type"
    number = value.type.tensor_type.elem_type
    names = {each: name for name, each in onnx.TensorProto.DataType.items()}
    return str(names.get(number, f"tensor of element type {number}")).lower()


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    return dim_from_onnx(int(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param)


def inputs_of(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that a caller must give, without weights, which old models list as inputs, too."""
    weights = initializer_names(graph)
    return [value for value in graph.input if value.name not in weights]


def signature_of(model: onnx.ModelProto) -> Signature:
    """Return inputs and outputs in the graph's order; an output that is listed twice counts once.

    Missing output types are inferred by ONNX.

    Raises:
        UnsupportedModelError: An input is not a dense tensor, or no output is.
    """
    outputs = {value.name: value for value in typed_outputs(model)}
    left_out = {name: _left_out_as(value) for name, value in outputs.items() if not is_dense(value)}
    dense = [spec_of(value) for name, value in outputs.items() if name not in left_out]
    if left_out and not dense:
        name, kind = next(iter(left_out.items()))
        raise UnsupportedModelError(no_dense_tensor(name, kind))
    return Signature(tuple(map(spec_of, inputs_of(model.graph))), tuple(dense), left_out)


def typed_outputs(model: onnx.ModelProto) -> Sequence[onnx.ValueInfoProto]:
    """Return the outputs as declared, or those of `true_outputs` if a declaration is unreliable.

    A declaration is unreliable if it has no type, or if it is a scalar: some exporters write that for unknown shapes.
    """
    doubtful = any(not _has_type(value) or _is_scalar(value) for value in model.graph.output)
    return true_outputs(model) if doubtful else model.graph.output


def true_outputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the outputs with missing or contradictory types and shapes replaced by those that ONNX infers."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for value in bare.graph.output:
        value.ClearField("type")
    try:
        known = inferred(bare)
    except (shape_inference.InferenceError, ValueError):  # an invalid model, or one over 2 GB
        known = {}
    # ONNX invents names for sizes that it cannot infer; names of input dimensions are propagated.
    names = {dim.dim_param for value in model.graph.input for dim in value.type.tensor_type.shape.dim} - {""}
    return [_corrected(value, known.get(value.name), names) for value in model.graph.output]


def _has_type(value: onnx.ValueInfoProto) -> bool:
    return value.type.WhichOneof("value") not in (None, "tensor_type") or bool(value.type.tensor_type.elem_type)


def _is_scalar(value: onnx.ValueInfoProto) -> bool:
    tensor = value.type.tensor_type
    return tensor.HasField("shape") and not tensor.shape.dim


def _corrected(
    declared: onnx.ValueInfoProto, known: onnx.ValueInfoProto | None, names: set[str]
) -> onnx.ValueInfoProto:
    """Return an output as declared, with missing information added and impossible sizes corrected.

    Args:
        declared: The output.
        known: The output as inferred by ONNX, if possible.
        names: Names of the inputs' dynamic dimensions.
    """
    if known is None or not _has_type(known):
        return declared
    if not _has_type(declared):
        return known
    if known.type.WhichOneof("value") != "tensor_type" or not known.type.tensor_type.HasField("shape"):
        return declared
    shape, true = declared.type.tensor_type.shape, known.type.tensor_type.shape
    corrected = onnx.ValueInfoProto()
    corrected.CopyFrom(declared)
    if not declared.type.tensor_type.HasField("shape") or len(shape.dim) != len(true.dim):
        corrected.type.tensor_type.shape.CopyFrom(true)
        return corrected
    for dim, was, is_ in zip(corrected.type.tensor_type.shape.dim, shape.dim, true.dim, strict=True):
        if was.HasField("dim_value") and was != is_ and (is_.HasField("dim_value") or is_.dim_param in names):
            dim.CopyFrom(is_)
    return corrected


def is_dense(value: onnx.ValueInfoProto) -> bool:
    """Whether an input or output is a dense tensor of strings or of numbers with at least eight bits."""
    return bool(value.type.WhichOneof("value") == "tensor_type") and has_dtype(value.type.tensor_type.elem_type)


def _left_out_as(value: onnx.ValueInfoProto) -> str:
    is_tensor = value.type.WhichOneof("value") == "tensor_type"
    return f"tensor of {kind_of(value)}" if is_tensor else kind_of(value)


def tensor_names(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Return the names of the inputs and of all computed tensors, in the nodes' order."""
    inputs = (value.name for value in inputs_of(graph))
    return (*inputs, *(name for node in graph.node for name in node.output if name))


def expose(model: onnx.ModelProto, tensors: Iterable[str]) -> None:
    """Add inner tensors of the main graph as outputs, after the existing ones; the model is changed in place.

    Requires: nothing.

    Ensures: every named tensor is an output once, with its type. Nothing else changes; if an error is raised, nothing
    changes at all.

    Raises:
        OutputNameError: The main graph has no tensor with this name.
        UnsupportedModelError: The dtype of a tensor cannot be inferred, or it is not a dense tensor.
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
                "because it depends on a non-standard operator"
            )
        spec_of(values[name])
    model.graph.output.extend(values[name] for name in wanted)
