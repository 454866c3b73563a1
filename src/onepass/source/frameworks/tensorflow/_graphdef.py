"""TensorFlow graphs: brought into the form that tf2onnx translates, whatever they were written for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import tensorflow as tf

from onepass._errors import UnsupportedModelError
from onepass.outputs import Array
from onepass.source._edges import with_edges
from onepass.source.framework import example_shapes
from onepass.source.frameworks.tensorflow._tf2onnx import translated
from onepass.tensors import Signature, TensorSpec, no_dense_tensor

_v1 = tf.compat.v1

# What changes a variable, or passes it on by reference, and what stands for it where variables are constants. A graph
# made for training has these in branches that inference does not take; they must be sound all the same.
_BY_VALUE = {
    "RefSwitch": "Switch",
    "RefMerge": "Merge",
    "RefIdentity": "Identity",
    "RefEnter": "Enter",
    "RefExit": "Exit",
    "RefNextIteration": "NextIteration",
    "AssignSub": "Sub",
    "AssignAdd": "Add",
}
_ONLY_BY_REFERENCE = ("use_locking", "validate_shape")
# Operators that hand out what a training loop reads: where nothing else is fed, they are the network's inputs.
_PLACEHOLDERS = ("Placeholder", "PlaceholderV2")
FEEDS = (*_PLACEHOLDERS, "QueueDequeueManyV2", "QueueDequeueUpToV2", "QueueDequeueV2", "IteratorGetNext")


class GraphNetwork:
    """A graph in a session of TensorFlow 1, with tensors of it for inputs and outputs.

    Any tensor can be fed, whatever computes it: also the outputs of queues that a network for training reads from.
    """

    framework = "TensorFlow"
    version = str(tf.__version__)

    def __init__(self, session: Any, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        self._session = session
        self._inputs = dict(inputs)
        self._outputs = distinct(inputs, outputs)
        needed = list(upstream(self._outputs.values(), stop=self._inputs.values()))
        self._switches = {tensor: np.False_ for tensor in needed if _is_training_switch(tensor)}
        unfed = [each.op.name for each in needed if each.op.type in _PLACEHOLDERS and each not in self._switches]
        if unfed:
            raise UnsupportedModelError(
                f"{', '.join(unfed)} has to be fed as well, and the signature does not list it; export the network "
                "with one that does, or with a constant"
            )
        self.signature = Signature(
            tuple(spec_of(name, tensor) for name, tensor in self._inputs.items()),
            tuple(spec_of(name, tensor) for name, tensor in self._outputs.items()),
        )
        self.shapes = example_shapes(self.signature)
        self.examples: Mapping[str, Array] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph as it is, in its session."""
        feeds = {tensor: inputs[name] for name, tensor in self._inputs.items()}
        outputs: dict[str, Array] = self._session.run(self._outputs, {**feeds, **self._switches})
        return outputs

    def export(self, opset: int) -> onnx.ModelProto:
        """Make the variables constants, and translate."""
        frozen = _v1.graph_util.convert_variables_to_constants(
            self._session, self._session.graph.as_graph_def(), [tensor.op.name for tensor in self._outputs.values()]
        )
        replace_references(frozen)
        return export_graph(
            frozen,
            {name: tensor.name for name, tensor in self._inputs.items()},
            {name: tensor.name for name, tensor in self._outputs.items()},
            constants={tensor.name: value for tensor, value in self._switches.items()},
            signature=self.signature,
            opset=opset,
        )


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

    It is imported into a graph of its own, where a placeholder stands in for each input whatever computed it before,
    and a node of its own for each output, so that two outputs are never one tensor.

    Args:
        frozen: A ``tf.GraphDef``.
        inputs: Name of each input to its tensor.
        outputs: Name of each output to its tensor.
        signature: dtypes and shapes of these.
        opset: ONNX's operators to translate to.
        constants: Tensors to hold at a value.
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


def distinct(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outputs under names that mean one tensor each.

    An output that has the name of an input is that input where it is a copy of it, and gets ``_out`` behind its name
    where it is something else.
    """
    named = {}
    for name, tensor in outputs.items():
        if name not in inputs:
            named[name] = tensor
        elif _original(tensor).name == inputs[name].name:
            named[name] = inputs[name]
        else:
            named[f"{name}_out"] = tensor
    return named


def _original(tensor: Any) -> Any:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def in_order(names: Any) -> list[str]:
    """Sort names as people do, numbers by their value: TensorFlow itself keeps no order."""
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


def upstream(tensors: Iterable[Any], *, stop: Iterable[Any] = ()) -> Iterator[Any]:
    """Yield every tensor that these are computed from, each once, not looking behind those in `stop`."""
    ends = {tensor.name for tensor in stop}
    seen: set[str] = set()
    ahead = list(tensors)
    while ahead:
        tensor = ahead.pop()
        if tensor.name in seen or tensor.name in ends:
            continue
        seen.add(tensor.name)
        yield tensor
        ahead.extend(tensor.op.inputs)


def spec_of(name: str, tensor: Any) -> TensorSpec:
    """Return name, dtype and shape of a tensor of TensorFlow.

    Raises:
        UnsupportedModelError: It holds strings, or is a resource.
    """
    dtype = tensor.dtype.base_dtype
    if dtype in (tf.string, tf.resource, tf.variant) or dtype.is_quantized:
        raise UnsupportedModelError(no_dense_tensor(name, dtype.name))
    shape = None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    return TensorSpec(name, np.dtype(dtype.as_numpy_dtype), shape)


def _is_training_switch(tensor: Any) -> bool:
    """Whether a tensor says if the network is in training: a truth value that is to be fed, and is no input."""
    if tensor.dtype.base_dtype != tf.bool or tensor.shape.rank not in (0, None):
        return False
    if tensor.op.type in _PLACEHOLDERS:
        return True
    name = tensor.op.name.lower()
    return tensor.op.type == "PlaceholderWithDefault" and any(word in name for word in ("train", "learning_phase"))


def replace_references(frozen: Any) -> None:
    """Make a graph sound again whose variables have become constants; changed in place."""
    for node in frozen.node:
        if node.op not in _BY_VALUE:
            continue
        node.op = _BY_VALUE[node.op]
        for name in _ONLY_BY_REFERENCE:
            node.attr.pop(name, None)
