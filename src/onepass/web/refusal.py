"""A request that is refused, and how that is said."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from onepass._printable import printable

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A request is refused.

    Attributes:
        status: HTTP's status.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, sentence: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Refuse with a sentence: what came, what was expected, what to do."""
        super().__init__(sentence)
        self.status = status
        self.headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer, as an ASGI application does: the sentence as JSON, ``{"error": …}``."""
        body = json.dumps({"error": printable(str(self), lines=True)}).encode()
        fixed = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": [*fixed, *self.headers]})
        await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> str | None:
    """Return the value of a request's header, or None; of several the first."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None
