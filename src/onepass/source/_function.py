"""TensorFlow 2: a function with named inputs and named outputs, as SavedModels and Keras models are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from onepass.outputs import Array
from onepass.source._graphdef import distinct, export_graph, in_order, spec_of
from onepass.source.framework import example_shapes
from onepass.tensors import Signature


class FunctionNetwork:
    """A concrete function that takes tensors by keyword and returns a dictionary of them.

    Args:
        function: The ``tf.ConcreteFunction``.
        keep: What holds the function's variables, kept alive with it.
        framework: Name and version of who wrote it, where that is not TensorFlow.
        input_order: Names of the inputs in the model's order; sorted where None, since a SavedModel keeps none.
        output_order: The same for the outputs.
    """

    def __init__(
        self,
        function: Any,
        *,
        keep: Any,
        framework: tuple[str, str] = ("TensorFlow", str(tf.__version__)),
        input_order: list[str] | None = None,
        output_order: list[str] | None = None,
    ) -> None:
        self.framework, self.version = framework
        self._function = function
        self._keep = keep
        specs = function.structured_input_signature[1]
        outputs = function.structured_outputs
        self._outputs = {name: outputs[name] for name in output_order or in_order(outputs)}
        # A result that has an input's name and is computed is not that input.
        self._names = dict(zip(distinct(dict.fromkeys(specs), self._outputs), self._outputs, strict=True))
        self.signature = Signature(
            tuple(spec_of(name, specs[name]) for name in input_order or in_order(specs)),
            tuple(spec_of(name, self._outputs[old]) for name, old in self._names.items()),
        )
        self.shapes = example_shapes(self.signature)
        self.examples: Mapping[str, Array] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Call the function as it was loaded, with its variables."""
        results = self._function(**{name: tf.constant(array) for name, array in inputs.items()})
        return {name: np.asarray(results[old]) for name, old in self._names.items()}

    def export(self, opset: int) -> onnx.ModelProto:
        """Make the variables constants, and translate."""
        frozen = convert_variables_to_constants_v2(self._function, lower_control_flow=False, aggressive_inlining=True)
        # Both are in the order in which TensorFlow flattens dictionaries: by key.
        inputs = dict(zip(sorted(self._function.structured_input_signature[1]), frozen.inputs, strict=True))
        outputs = dict(zip(sorted(self._outputs), frozen.outputs, strict=True))
        return export_graph(
            frozen.graph.as_graph_def(),
            {spec.name: inputs[spec.name].name for spec in self.signature.inputs},
            {name: outputs[old].name for name, old in self._names.items()},
            signature=self.signature,
            opset=opset,
        )
