"""Open GazeML's trained weights without TensorFlow or GazeML."""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.source.frameworks.gazeml._elg import ElgSize as ElgSize
    from onepass.source.frameworks.gazeml._folder import open_ as open_

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.source.frameworks.gazeml._elg": "ElgSize",
        "onepass.source.frameworks.gazeml._folder": "open_",
    },
)
