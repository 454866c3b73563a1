"""A web server in this process, in the foreground until a signal, or in a thread."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Protocol

from onepass._errors import InputError
from onepass._optional import optional
from onepass.web.listening import Listening
from onepass.web.refusal import App

_KEEP_ALIVE_S = 30


class Beside(Protocol):
    """A second service in the server's event loop, started before the first request and stopped after the last."""

    async def start(self) -> None:
        """Start."""

    async def stop(self, seconds: float) -> None:
        """Stop: accept no new requests, and let running ones continue for at most this many seconds."""


class WebServer:
    """An ASGI application on its own port. A server can be started once.

    Example::

        with WebServer(app, Listening(port=0)) as server:
            urlopen(server.address)
    """

    def __init__(
        self,
        app: App,
        listening: Listening,
        *,
        extra: str = "serve",
        beside: Sequence[Beside] = (),
        grace_seconds: float = 30.0,
        most_connections: int = 1024,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Open the port; `start` or `run` begins to serve.

        Args:
            app: The application to serve.
            listening: The address.
            extra: The extra that installs uvicorn, for the message if it is missing.
            beside: Services in the same event loop.
            grace_seconds: How long requests in flight may continue at shutdown.
            most_connections: Maximum concurrent connections; further ones get status 503.
            settings: Additional uvicorn settings, such as those for WebSockets.

        Raises:
            InputError: The port is in use or not permitted, or the TLS files are invalid.
            MissingExtraError: uvicorn is not installed.
        """
        self._uvicorn = optional("uvicorn", extra=extra, purpose="A web server")
        protocol = optional("onepass.web._protocol", extra=extra, purpose="A web server").BoundedProtocol
        tls = listening.tls()
        self._socket = listening.bind()
        self.address = listening.address(self._socket.getsockname()[1])
        self._beside = beside
        self._grace_seconds = grace_seconds
        ours = {
            "http": protocol, "log_config": None, "access_log": False, "server_header": False, "proxy_headers": False,
            "lifespan": "on", "limit_concurrency": most_connections, "timeout_keep_alive": _KEEP_ALIVE_S,
            "timeout_graceful_shutdown": max(1, round(grace_seconds)),
            "ssl_context_factory": None if tls is None else lambda *_: tls,
        }  # fmt: skip
        config = self._uvicorn.Config(app, **{**ours, **(settings or {})})
        self._server = _without_signals(self._uvicorn.Server)(config)
        self._new_loop: Callable[[], asyncio.AbstractEventLoop] = config.get_loop_factory() or asyncio.new_event_loop
        self._stop: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None

    def run(self, ready: Callable[[], Any]) -> None:
        """Serve in this thread, the main thread, until SIGINT or SIGTERM; a second signal ends the server at once.

        Args:
            ready: Called once the server accepts requests.
        """
        with _signals(self._end):
            self._run(ready)

    def start(self) -> str:
        """Serve in a thread; return the address once the server accepts requests.

        Raises:
            Exception: The application's error at startup.
        """
        if self._thread is not None:
            raise InputError("the server was started already; create a new one")
        begun, failed = threading.Event(), list[BaseException]()

        def serve() -> None:
            try:
                self._run(begun.set)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that starts the server
                failed.append(error)
            finally:
                begun.set()

        self._thread = threading.Thread(target=serve, name="onepass-web", daemon=True)
        self._thread.start()
        begun.wait()
        if failed:
            raise failed[0]
        return self.address

    def stop(self) -> None:
        """Accept no new requests, answer those in flight, and end. Further calls do nothing."""
        self._end()
        if self._thread is not None:
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> WebServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self) -> None:
        self._stop()

    def _run(self, ready: Callable[[], Any]) -> None:
        loop = self._new_loop()
        try:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(self._serve(ready))
        finally:
            with suppress(RuntimeError):
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
            asyncio.set_event_loop(None)
            loop.close()

    async def _serve(self, ready: Callable[[], Any]) -> None:
        loop, server, stopped = asyncio.get_running_loop(), self._server, asyncio.Event()

        def stop() -> None:
            server.force_exit = stopped.is_set()
            stopped.set()

        def stop_soon() -> None:
            with suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(stop)

        self._stop = stop_soon
        begun: list[Beside] = []
        try:
            for each in self._beside:
                await each.start()
                begun.append(each)
            serving = asyncio.ensure_future(server.serve(sockets=[self._socket]))
            while not server.started and not serving.done():  # uvicorn has no other signal
                await asyncio.sleep(0.005)
            if server.started:
                ready()
                await stopped.wait()
                server.should_exit = True
            await asyncio.gather(serving, *(each.stop(self._grace_seconds) for each in begun))
        finally:
            self._socket.close()


def _without_signals(base: Any) -> Any:
    """Return uvicorn's server class without signal handling, which would end the process by the signal."""

    class Server(base):  # type: ignore[misc]
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server


@contextmanager
def _signals(act: Callable[[], None]) -> Iterator[None]:
    former = {number: signal.signal(number, lambda *_: act()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
