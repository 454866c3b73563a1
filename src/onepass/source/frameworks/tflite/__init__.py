"""TFLite: float networks are translated here, others by tf2onnx with TensorFlow; LiteRT runs all of them."""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.source.frameworks.tflite._light import open_ as open_

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.source.frameworks.tflite._light": "open_",
    },
)
