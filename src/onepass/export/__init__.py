"""Export models for other servers: a model repository for NVIDIA's Triton.

Example::

    from onepass.export import to_triton

    to_triton("elg.onnx", "models", name="elg", max_batch=32)
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.export.triton.repository import Exported as Exported
    from onepass.export.triton.repository import to_triton as to_triton

__getattr__, __dir__, __all__ = _lazy(__name__, {"onepass.export.triton.repository": "Exported to_triton"})
