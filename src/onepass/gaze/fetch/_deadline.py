"""A time limit for whole HTTP requests, including slowly sent headers, chunk sizes and trailers."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from types import TracebackType
from typing import Any
from urllib.request import (
    AbstractHTTPHandler,
    BaseHandler,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
)


class Deadline:
    """A time limit after which all connections made by `opener` are shut down; a context manager, for single use.

    A socket's timeout applies to a single read and restarts with every byte. Reading from a connection that was shut
    down looks like the end of the data, so the reader must also check the time.
    """

    def __init__(self, seconds: float) -> None:
        self.opener: OpenerDirector = build_opener(*_handlers(self))
        self._open: list[HTTPConnection | socket.socket | None] = []
        self._lock = threading.Lock()
        self._over = False
        self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()

    def watch(self, connection: HTTPConnection | socket.socket | None) -> None:
        """Add a connection to those that are shut down after the time limit."""
        with self._lock:
            self._open.append(connection)
            if self._over:
                _shut(connection)

    def _cut(self) -> None:
        with self._lock:
            self._over = True
            for connection in self._open:
                _shut(connection)


def _shut(connection: HTTPConnection | socket.socket | None) -> None:
    # A connection hands its socket over to the response, and has none before it connects.
    held = connection.sock if isinstance(connection, HTTPConnection) else connection
    if held is not None:
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)


def _handlers(deadline: Deadline) -> tuple[BaseHandler, ...]:
    """Return urllib's HTTP and HTTPS handlers, with connections that the deadline watches."""

    class _Watching(AbstractHTTPHandler):
        def do_open(self, http_class: Any, req: Request, **arguments: Any) -> HTTPResponse:
            class Watched(http_class):  # type: ignore[misc] # the base class is only known at run time
                def connect(self) -> None:
                    deadline.watch(self)
                    super().connect()
                    deadline.watch(self.sock)

            return super().do_open(Watched, req, **arguments)

    class _Http(_Watching, HTTPHandler):
        pass

    class _Https(_Watching, HTTPSHandler):
        pass

    return _Http(), _Https()
