"""ONNX graphs, looked at and changed without running them."""

from typing import TYPE_CHECKING

from onepass._lazy import lazy

if TYPE_CHECKING:
    from onepass.graph.model import OnnxGraph as OnnxGraph

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "onepass.graph.model": "OnnxGraph",
    },
)
