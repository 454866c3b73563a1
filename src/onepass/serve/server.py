"""A model server for HTTP and gRPC."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any

from onepass._optional import optional
from onepass.serve.limits import Limits
from onepass.serve.models import Model, Models, opened
from onepass.serve.service import Service
from onepass.web import Guard, Listening, WebServer

_GRPC_PORT = 8001
_SWITCH_SECONDS = 1e-4
"""How long the event loop may keep the interpreter lock from a pass's thread. With Python's default of 5 ms, a model
that takes less than 5 ms waits longer for the lock than it computes."""


class Server:
    """Serve models with the Open Inference Protocol v2. A server can be started once.

    Example::

        from onepass.serve import Server
        from onepass.web import Listening

        with Server({"elg": "elg.onnx"}, Listening(port=0), grpc_port=0) as server:
            print(server.address, server.grpc_address)
    """

    def __init__(
        self,
        models: Models | Mapping[str, Model | Mapping[str, Model]],
        listening: Listening | None = None,
        *,
        grpc_port: int | None = _GRPC_PORT,
        limits: Limits | None = None,
    ) -> None:
        """Open the models; `start` or `run` begins to serve.

        Args:
            models: A mapping as `Models` takes it, or open `Models`, which the server does not close.
            listening: Address, and who may call. If other machines can reach the address and no token is given, a
                token is generated; see `Listening.guarded`.
            grpc_port: The gRPC port, on the same address; 0 picks a free one, and None disables gRPC.
            limits: Limits for requests and queues; cannot be combined with open `Models`, which have their own.

        Raises:
            OnepassError: See `Models` and `onepass.web.WebServer`.
        """
        self.listening = (listening or Listening()).guarded()
        self.models, self._owns_models = opened(models, limits)
        self.grpc: Any = None
        try:
            http = optional("onepass.serve.http_app", extra="serve", purpose="Serving over HTTP")
            service = Service(self.models)
            if grpc_port is not None:
                module = optional("onepass.serve.grpc_server", extra="serve", purpose="Serving over gRPC")
                self.grpc = module.GrpcServer(service, replace(self.listening, port=grpc_port))
            guard = Guard(http.application(service), self.listening, open_paths=http.HEALTH_PATHS)
            self._web = WebServer(
                guard, self.listening, beside=[self.grpc] if self.grpc else [],
                grace_seconds=service.limits.grace_seconds, most_connections=service.limits.max_connections,
            )  # fmt: skip
        except BaseException:
            self._close()
            raise

    @property
    def address(self) -> str:
        """The HTTP address."""
        return self._web.address

    @property
    def grpc_address(self) -> str | None:
        """Host and port of gRPC, once the server runs; None if gRPC is disabled."""
        return None if self.grpc is None else str(self.grpc.address)

    def run(self, ready: Callable[[], Any]) -> None:
        """Serve in this thread, the main thread, until SIGINT or SIGTERM; a second signal ends the server at once.

        Args:
            ready: Called once the server accepts requests.
        """
        try:
            with _process_tuned():
                self._web.run(ready)
        finally:
            self._close()

    def start(self) -> str:
        """Serve in a thread; return the HTTP address once the server accepts requests."""
        return self._web.start()

    def stop(self) -> None:
        """Accept no new requests, answer those in flight, end, and close the models opened here."""
        self._web.stop()
        self._close()

    def _close(self) -> None:
        if self._owns_models:
            self.models.close()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def _process_tuned() -> Iterator[None]:
    """Tune the interpreter for a process that only serves.

    Objects that exist at startup stay: freezing them spares the garbage collector scans of tens of milliseconds.
    """
    former = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(former)
