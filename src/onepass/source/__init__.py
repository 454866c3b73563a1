"""Convert trained networks of other frameworks to ONNX, with every output as its framework computes it.

Each framework has a module that opens a network and returns a `framework.Trained`. The rest is common to all: names and
order of the outputs, batch, layout, clean-up, and parity with the framework itself.
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.source._convert import DEFAULT_TIMEOUT_S as DEFAULT_TIMEOUT_S
    from onepass.source._convert import Conversion as Conversion
    from onepass.source._convert import convert as convert
    from onepass.source._parity import OutputError as OutputError
    from onepass.source.finish import Batch as Batch
    from onepass.source.framework import Request as Request
    from onepass.source.framework import Trained as Trained

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.source._convert": "DEFAULT_TIMEOUT_S Conversion convert",
        "onepass.source._parity": "OutputError",
        "onepass.source.finish": "Batch",
        "onepass.source.framework": "Request Trained",
    },
)
