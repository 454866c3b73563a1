"""uvicorn's reading of HTTP, with an end to what a client may draw out: its head, and a body that nobody wants."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MOST_HEAD_BYTES = 65_536
"""How long the first line and the headers of a request may be."""
HEAD_SECONDS = 10.0
"""How long they may take, from their first byte or from the beginning of the connection."""
READ_SECONDS = 15.0
"""How long a client may take nothing of an answer that waits for it."""
LINGER_SECONDS = 2.0
"""How long the rest of what was refused is thrown away, so that its sender reads the answer."""


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
        """Wait for a head, but not for ever."""
        super().connection_made(transport)
        self._set_timer(HEAD_SECONDS, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._unset_timer()
        self._unset_reader()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head takes no more than so many."""
        if self._deaf:
            return
        # Counted by whole reads, so that a small body in the same read is counted with it: the limit is no exact one.
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._end_with(431, b"the first line and the headers are too long")

    def on_message_begin(self) -> None:
        """Begin with a head."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._set_timer(HEAD_SECONDS, self._late)

    def on_headers_complete(self) -> None:
        """Go on with a body, which whoever reads it watches."""
        self._in_head, self._in_body = False, True
        self._unset_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Know that the body is whole, also where nobody has read it."""
        self._in_body = False
        self._unset_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Throw away what still comes of a body that was refused, but not for ever."""
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():
            self._set_timer(LINGER_SECONDS, self.transport.close)
        elif self._spoilt and self.cycle.response_complete and not self.transport.is_closing():
            self._end_with(400, self._spoilt)

    def pause_writing(self) -> None:
        """Wait until the client has taken some of its answer, but not for ever."""
        super().pause_writing()
        self._left = math.inf
        self._look_at_reader()

    def resume_writing(self) -> None:
        """Go on: the client takes what it asked for."""
        self._unset_reader()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless its client is still taking a large answer."""
        if self._reader_timer is not None:  # which sees to it
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
            return
        # Closed while there is anything to send, a connection whose client takes nothing would stay for ever.
        (self.transport.abort if self.transport.get_write_buffer_size() else self.transport.close)()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, after the requests before it have been answered."""
        self._deaf = True
        answered = getattr(self.cycle, "response_complete", True)  # before the first request there is no cycle
        if self._in_body or (answered and not self.pipeline):
            self._end_with(400, msg.encode())
        else:
            self._spoilt = msg.encode()

    def _look_at_reader(self) -> None:
        """Cut a connection that has taken nothing of its answer for a while."""
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
            self._end_with(408, b"the request's headers did not come in time")
        else:
            self.transport.close()

    def _end_with(self, status: int, sentence: bytes) -> None:
        body = b'{"error": "%s"}' % sentence
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        # Closed at once, with bytes that nobody has read, the connection would be reset before the answer is there.
        self._deaf = True
        self._set_timer(LINGER_SECONDS, self.transport.close)

    def _set_timer(self, seconds: float, act: Any) -> None:
        self._unset_timer()
        self._timer = self.loop.call_later(seconds, act)

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
