"""A server of models, over HTTP and gRPC."""

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
"""How long the event loop may keep the interpreter from the thread of a pass: at Python's own 5 ms, a model that takes
less than that waits longer for its turn than it computes."""


class Server:
    """Models served by the Open Inference Protocol, version 2; of one use.

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
        """Open the models; nobody is answered yet.

        Args:
            models: What to serve; what `Models` takes, or such, which then stay open at the end.
            listening: Where, and who may call. Where other machines can, a token is made up if none is given; see
                `Listening.guarded`.
            grpc_port: The port of gRPC, on the same address; 0 takes one that is free, and None leaves gRPC out.
            limits: How much is taken on; not beside `Models`, which have theirs.

        Raises:
            OnepassError: As `Models` and `onepass.web.WebServer` raise it.
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
        """Address of HTTP."""
        return self._web.address

    @property
    def grpc_address(self) -> str | None:
        """Host and port of gRPC, once the server runs; None where it is left out."""
        return None if self.grpc is None else str(self.grpc.address)

    def run(self, ready: Callable[[], Any]) -> None:
        """Serve in this thread, which is the main one, until SIGINT or SIGTERM; a second one waits for nobody.

        Args:
            ready: Called once requests are answered.
        """
        try:
            with _process_tuned():
                self._web.run(ready)
        finally:
            self._close()

    def start(self) -> str:
        """Serve in a thread; return the address of HTTP once requests are answered."""
        return self._web.start()

    def stop(self) -> None:
        """Take nothing new, answer what is under way, end, and close the models that were opened here."""
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
    """Tune the interpreter for a process that does nothing but serve.

    What there is by now stays: the garbage collector need not look at it again, which takes tens of milliseconds.
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
