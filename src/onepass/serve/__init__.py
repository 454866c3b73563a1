"""Serve models over HTTP and gRPC with the Open Inference Protocol v2: every output by name, in the model's order.

Example::

    from onepass.serve import Server

    with Server({"elg": "elg.onnx"}) as server:
        print(server.address, server.grpc_address)
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.serve.application import app as app
    from onepass.serve.limits import Limits as Limits
    from onepass.serve.models import Models as Models
    from onepass.serve.server import Server as Server

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.serve.application": "app",
        "onepass.serve.limits": "Limits",
        "onepass.serve.models": "Models",
        "onepass.serve.server": "Server",
    },
)
