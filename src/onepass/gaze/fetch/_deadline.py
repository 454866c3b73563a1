"""Connections that are cut when time is up, whatever a server drips: headers, sizes of chunks, trailers."""

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
    """So many seconds, after which all connections that `opener` made are cut; a context manager, once.

    The timeouts of sockets are for one read each, and begin anew with every byte. Whoever reads from a connection that
    was cut finds it at its end, as if all had come, and has to look at the clock.
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
        """Cut this one, too."""
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
    # A connection gives its socket away when the answer begins, and has none before it is made.
    held = connection.sock if isinstance(connection, HTTPConnection) else connection
    if held is not None:
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)


def _handlers(deadline: Deadline) -> tuple[BaseHandler, ...]:
    """Return urllib's handlers of HTTP and HTTPS, whose connections the deadline watches."""

    class _Watching(AbstractHTTPHandler):
        def do_open(self, http_class: Any, req: Request, **arguments: Any) -> HTTPResponse:
            class Watched(http_class):  # type: ignore[misc] # the base is known at run time only
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
