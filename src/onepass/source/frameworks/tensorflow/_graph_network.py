"""TensorFlow 1: a graph in a session, as in frozen graphs, checkpoints and old SavedModels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import tensorflow as tf

from onepass._errors import UnsupportedModelError
from onepass.outputs import Array
from onepass.source.frameworks.tensorflow._graphdef import export_graph, replace_references
from onepass.source.frameworks.tensorflow._tensors import distinct, spec_of, upstream
from onepass.tensors import Signature

_v1 = tf.compat.v1

# Operators that read training data: if nothing else is fed, they are the network's inputs.
_PLACEHOLDERS = ("Placeholder", "PlaceholderV2")
FEEDS = (*_PLACEHOLDERS, "QueueDequeueManyV2", "QueueDequeueUpToV2", "QueueDequeueV2", "IteratorGetNext")


class GraphNetwork:
    """A graph in a TensorFlow 1 session, with some of its tensors as inputs and outputs.

    Any tensor can be fed, whatever computes it, including the outputs of a training network's queues.
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
                f"{', '.join(unfed)} must be fed as well, but the signature does not list it; export the network with "
                "a signature that lists it, or with a constant instead"
            )
        self.signature = Signature(
            tuple(spec_of(name, tensor) for name, tensor in self._inputs.items()),
            tuple(spec_of(name, tensor) for name, tensor in self._outputs.items()),
        )
        self.examples: Mapping[str, Array] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the unchanged graph in its session."""
        feeds = {tensor: inputs[name] for name, tensor in self._inputs.items()}
        outputs: dict[str, Array] = self._session.run(self._outputs, {**feeds, **self._switches})
        return outputs

    def export(self, opset: int) -> onnx.ModelProto:
        """Convert variables to constants, and translate the graph."""
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


def _is_training_switch(tensor: Any) -> bool:
    """Whether a tensor is the training switch: a boolean that is fed but is not an input."""
    if tensor.dtype.base_dtype != tf.bool or tensor.shape.rank not in (0, None):
        return False
    if tensor.op.type in _PLACEHOLDERS:
        return True
    name = tensor.op.name.lower()
    return tensor.op.type == "PlaceholderWithDefault" and any(word in name for word in ("train", "learning_phase"))
