"""Keras models, ``.keras`` and ``.h5``, with the TensorFlow backend."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from onepass._errors import ModelFormatError, UnsupportedModelError
from onepass.source.framework import Request, Trained
from onepass.source.frameworks._nested import named_leaves

os.environ["KERAS_BACKEND"] = "tensorflow"  # tf2onnx supports no other


def open_(source: Path, request: Request) -> Trained:  # noqa: ARG001 - every framework's function takes both
    """Open a Keras model; inputs and outputs keep the model's names.

    Raises:
        ModelFormatError: The file is damaged.
        UnsupportedModelError: The model has custom layers, or does not know the shapes of its inputs.
    """
    import keras  # noqa: PLC0415 - after the backend is set above

    try:
        model = keras.saving.load_model(source, compile=False, safe_mode=True)
    except (OSError, EOFError, KeyError) as error:
        raise ModelFormatError(f"{source} is damaged or truncated: {_brief(error)}") from error
    except (TypeError, ValueError) as error:
        raise UnsupportedModelError(
            f"Keras {keras.__version__} cannot load {source}: {_brief(error)}. The file does not contain custom layers "
            "written in Python; export a SavedModel where they are available (model.export), and convert it"
        ) from error
    return _network(keras, model, source)


def _network(keras: Any, model: Any, source: Path) -> Trained:
    import tensorflow as tf  # noqa: PLC0415

    from onepass.source.frameworks.tensorflow import FunctionNetwork  # noqa: PLC0415

    inputs = model.inputs if model.built else None
    if not inputs:
        raise UnsupportedModelError(
            f"{source} does not contain the shapes of its inputs; call the model once on real inputs before saving it"
        )
    if isinstance(model, keras.Sequential):  # it has no output names
        model = keras.Model(inputs, model.outputs)
    input_names = [tensor.name for tensor in inputs]

    def forward(**given: Any) -> dict[str, Any]:
        arguments = keras.tree.pack_sequence_as(model.input, [given[name] for name in input_names])
        return dict(_named(keras, model, model(arguments, training=False)))

    specs = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in inputs}
    function = tf.function(forward, autograph=False).get_concrete_function(**specs)
    return FunctionNetwork(
        function,
        keep=model,
        framework=("Keras", f"{keras.__version__} with TensorFlow {tf.__version__}"),
        input_order=input_names,
        output_order=[name for name, _ in _named(keras, model, model.output)],
    )


def _named(keras: Any, model: Any, results: Any) -> list[tuple[str, Any]]:
    """Return results with their names: dictionary keys, or the names of the layers that compute them."""
    if _has_names(results):
        return list(named_leaves(results))
    values = keras.tree.flatten(results)
    names = model.output_names
    return [
        (name if names.count(name) == 1 else f"{name}.{names[:index].count(name)}", value)
        for index, (name, value) in enumerate(zip(names, values, strict=True))
    ]


def _has_names(results: Any) -> bool:
    return isinstance(results, dict) or (isinstance(results, (list, tuple)) and any(map(_has_names, results)))


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
