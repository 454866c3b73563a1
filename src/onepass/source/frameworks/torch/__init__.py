"""PyTorch: exported programs, TorchScript, and modules in memory."""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.source.frameworks.torch._open import open_ as open_

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.source.frameworks.torch._open": "open_",
    },
)
