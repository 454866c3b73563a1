"""Refused requests, and the response to them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from onepass._printable import printable

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Refusal(Exception):  # noqa: N818 - it is a response
    """A refused request.

    Attributes:
        status: HTTP status.
        headers: Additional response headers.
    """

    def __init__(self, status: int, sentence: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Refuse with a message: what came, what was expected, what to do."""
        super().__init__(sentence)
        self.status = status
        self.headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Respond as an ASGI application, with the message as JSON: ``{"error": …}``."""
        body = json.dumps({"error": printable(str(self), lines=True)}).encode()
        fixed = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": [*fixed, *self.headers]})
        await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first value of a request header; None if it is missing."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None
