"""uvicorn's HTTP protocol with limits for slow clients: request headers, unread responses, and refused bodies."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MOST_HEAD_BYTES = 65_536
"""Maximum size of a request's first line and headers."""
HEAD_SECONDS = 10.0
"""Time limit for receiving them, from their first byte or from the start of the connection."""
READ_SECONDS = 15.0
"""How long a client may read nothing of a pending response."""
LINGER_SECONDS = 2.0
"""How long the rest of a refused request is discarded, so that the client can read the response."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _timer: asyncio.TimerHandle | None = None
    _head_bytes: int = 0
    _in_head: bool = True
    _in_body: bool = False
    _deaf: bool = False
    _spoilt: bytes = b""
    _left: float = math.inf
    _reader_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, for a limited time."""
        super().connection_made(transport)
        self._set_timer(HEAD_SECONDS, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers."""
        self._unset_timer()
        self._unset_reader()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Process bytes; the size of the headers is limited."""
        if self._deaf:
            return
        # The limit is approximate: whole reads are counted, so a small body in the same read counts, too.
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._end_with(431, b"the request's first line and headers are too long")

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._set_timer(HEAD_SECONDS, self._late)

    def on_headers_complete(self) -> None:
        """Continue with the body; its reader enforces the time limit."""
        self._in_head, self._in_body = False, True
        self._unset_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the body is complete, even if the application has not read it."""
        self._in_body = False
        self._unset_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Discard the rest of a refused body, for a limited time."""
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():
            self._set_timer(LINGER_SECONDS, self.transport.close)
        elif self._spoilt and self.cycle.response_complete and not self.transport.is_closing():
            self._end_with(400, self._spoilt)

    def pause_writing(self) -> None:
        """Wait until the client has read part of its response, for a limited time."""
        super().pause_writing()
        self._left = math.inf
        self._look_at_reader()

    def resume_writing(self) -> None:
        """Continue: the client reads its response."""
        self._unset_reader()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless its client is still reading a large response."""
        if self._reader_timer is not None:  # the reader timer ends the connection if necessary
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
            return
        # With data left to send, `close` would wait forever for a client that reads nothing.
        (self.transport.abort if self.transport.get_write_buffer_size() else self.transport.close)()

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are not HTTP, after answering the requests before them."""
        self._deaf = True
        answered = getattr(self.cycle, "response_complete", True)  # before the first request there is no cycle
        if self._in_body or (answered and not self.pipeline):
            self._end_with(400, msg.encode())
        else:
            self._spoilt = msg.encode()

    def _look_at_reader(self) -> None:
        """Abort a connection whose client has read nothing of its response for a while."""
        left = self.transport.get_write_buffer_size()
        if left >= self._left:
            self.transport.abort()
            return
        self._left = left
        self._reader_timer = self.loop.call_later(READ_SECONDS, self._look_at_reader)

    def _unset_reader(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _late(self) -> None:
        if self._head_bytes:
            self._end_with(408, b"timed out waiting for the request's headers")
        else:
            self.transport.close()

    def _end_with(self, status: int, sentence: bytes) -> None:
        body = b'{"error": "%s"}' % sentence
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        # Closing at once, with unread bytes, would reset the connection before the response arrives.
        self._deaf = True
        self._set_timer(LINGER_SECONDS, self.transport.close)

    def _set_timer(self, seconds: float, act: Any) -> None:
        self._unset_timer()
        self._timer = self.loop.call_later(seconds, act)

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
