"""TensorFlow: SavedModels, frozen graphs and checkpoints, and parts that Keras and TFLite share."""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.source.frameworks.tensorflow._function import FunctionNetwork as FunctionNetwork
    from onepass.source.frameworks.tensorflow._open import open_ as open_
    from onepass.source.frameworks.tensorflow._tf2onnx import translated as translated

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.source.frameworks.tensorflow._function": "FunctionNetwork",
        "onepass.source.frameworks.tensorflow._open": "open_",
        "onepass.source.frameworks.tensorflow._tf2onnx": "translated",
    },
)
