"""TensorFlow 2: functions with named inputs and outputs, as in SavedModels and Keras models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from onepass._errors import UnsupportedModelError
from onepass.outputs import Array
from onepass.source.frameworks.tensorflow._graphdef import export_graph
from onepass.source.frameworks.tensorflow._tensors import distinct, in_order, spec_of, untranslated
from onepass.tensors import Signature, no_dense_tensor


class FunctionNetwork:
    """A concrete function with keyword arguments that returns a dictionary of tensors.

    Args:
        function: The ``tf.ConcreteFunction``.
        keep: The owner of the function's variables, kept alive with it.
        framework: Name and version of the original framework, if it is not TensorFlow.
        input_order: Input names in the model's order; None sorts them, because a SavedModel stores no order.
        output_order: Output names, likewise.
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
        specs, results = function.structured_input_signature[1], function.structured_outputs
        self._frozen = convert_variables_to_constants_v2(function, lower_control_flow=False, aggressive_inlining=True)
        if len(self._frozen.inputs) != len(specs):
            rest = ", ".join(tensor.name for tensor in self._frozen.inputs[len(specs) :])
            raise UnsupportedModelError(
                f"the network reads resources other than variables (usually lookup tables): {rest}. Remove them, and "
                "pass the looked-up values as inputs"
            )
        # TensorFlow flattens dictionaries in sorted order.
        self._inputs = dict(zip(sorted(specs), self._frozen.inputs, strict=True))
        frozen = dict(zip(sorted(results), self._frozen.outputs, strict=True))
        left_out = {name: kind for name in results if (kind := untranslated(results[name])) is not None}
        order = [name for name in output_order or in_order(results) if name not in left_out]
        if not order:
            raise UnsupportedModelError(no_dense_tensor(*next(iter(left_out.items()))))
        self._outputs = distinct(self._inputs, {name: frozen[name] for name in order})
        self._results = dict(zip(self._outputs, order, strict=True))
        self.signature = Signature(
            tuple(spec_of(name, specs[name]) for name in input_order or in_order(specs)),
            tuple(spec_of(name, results[old]) for name, old in self._results.items()),
            left_out,
        )
        self.examples: Mapping[str, Array] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Call the loaded function, with its variables."""
        results = self._function(**{name: tf.constant(array) for name, array in inputs.items()})
        return {name: np.asarray(results[old]) for name, old in self._results.items()}

    def export(self, opset: int) -> onnx.ModelProto:
        """Translate the function, with its variables as constants."""
        return export_graph(
            self._frozen.graph.as_graph_def(),
            {spec.name: self._inputs[spec.name].name for spec in self.signature.inputs},
            {name: tensor.name for name, tensor in self._outputs.items()},
            signature=self.signature,
            opset=opset,
        )
