"""Prepare TensorFlow graphs without variables for tf2onnx, and translate them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
import tensorflow as tf

from onepass.source._edges import with_edges
from onepass.source.frameworks.tensorflow._tf2onnx import translated
from onepass.tensors import Signature

_v1 = tf.compat.v1

# Operators that change variables or pass them by reference, and their replacements once variables are constants. A
# training graph has them in branches that inference does not take, but they must still be valid.
_BY_VALUE = {
    "RefSwitch": "Switch",
    "RefMerge": "Merge",
    "RefIdentity": "Identity",
    "RefEnter": "Enter",
    "RefExit": "Exit",
    "RefNextIteration": "NextIteration",
    "AssignSub": "Sub",
    "AssignAdd": "Add",
    "StatefulPartitionedCall": "PartitionedCall",
}
_ONLY_BY_REFERENCE = ("use_locking", "validate_shape")


def export_graph(
    frozen: Any,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    *,
    signature: Signature,
    opset: int,
    constants: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """Translate a graph without variables.

    The graph is imported into a new one, with a placeholder for each input, whatever computed it before, and a separate
    node for each output, so that two outputs are never one tensor.

    Args:
        frozen: A ``tf.GraphDef``.
        inputs: Maps input names to tensors.
        outputs: Maps output names to tensors.
        signature: Their dtypes and shapes.
        opset: ONNX opset version.
        constants: Tensors to replace by constants.
    """
    passed = {name for name, tensor in outputs.items() if name in inputs and inputs[name] == tensor}
    specs = {spec.name: spec for spec in signature.inputs}
    with tf.Graph().as_default() as graph:
        stand_ins = {
            name: _v1.placeholder(specs[name].dtype, specs[name].shape, name=f"onepass_input_{index}")
            for index, name in enumerate(inputs)
        }
        there = {node.name for node in frozen.node}
        mapped = {tensor: stand_ins[name] for name, tensor in inputs.items() if tensor.split(":")[0] in there}
        mapped |= {tensor: tf.constant(value) for tensor, value in (constants or {}).items()}
        own = {name: tensor for name, tensor in outputs.items() if name not in passed}
        wanted = [tensor for tensor in own.values() if tensor not in mapped]
        found = tf.graph_util.import_graph_def(frozen, input_map=mapped, return_elements=wanted, name="")
        tensors = {**mapped, **dict(zip(wanted, found, strict=True))}
        results = {
            name: tf.identity(tensors[tensor], f"onepass_output_{i}") for i, (name, tensor) in enumerate(own.items())
        }
        definition = graph.as_graph_def(add_shapes=True)
    definition = _v1.graph_util.extract_sub_graph(
        definition, [tensor.op.name for tensor in (*results.values(), *stand_ins.values())]
    )
    model = translated(
        "graph_def",
        definition,
        opset=opset,
        extra="tensorflow",
        input_names=[tensor.name for tensor in stand_ins.values()],
        output_names=[tensor.name for tensor in results.values()],
    )
    model = with_edges(
        model,
        inputs={tensor.name: name for name, tensor in stand_ins.items()},
        outputs={tensor.name: name for name, tensor in results.items()},
    )
    by_name = {value.name: value for value in model.graph.input}
    model.graph.output.extend(by_name[name] for name in passed)
    return model


def replace_references(frozen: Any) -> None:
    """Make a graph valid after its variables became constants; the graph is changed in place."""
    for node in (*frozen.node, *(node for each in frozen.library.function for node in each.node_def)):
        if node.op not in _BY_VALUE:
            continue
        node.op = _BY_VALUE[node.op]
        for name in _ONLY_BY_REFERENCE:
            node.attr.pop(name, None)
