"""Call an ASGI application as a server would, without one."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping, Sequence
from typing import Any


def call(
    app: Any, path: str = "/", *, headers: dict[str, str] | None = None, parts: Sequence[bytes] = (b"",),
    query: str = "", method: str = "GET", kind: str = "http",
) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
    """Return status, headers and body of an answer; of a WebSocket that is refused, its code.

    Args:
        app: The application.
        path: What is asked for.
        headers: The request's headers.
        parts: Parts of its body, one message each.
        query: What follows the question mark.
        method: Of HTTP.
        kind: ``http`` or ``websocket``.
    """
    sent: list[MutableMapping[str, Any]] = []
    pending = [{"type": "http.request", "body": part, "more_body": n < len(parts)} for n, part in enumerate(parts, 1)]

    async def receive() -> MutableMapping[str, Any]:
        return pending.pop(0) if pending else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    names = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {
        "type": kind, "method": method, "path": path, "query_string": query.encode(), "headers": names,
        "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    if sent[0]["type"] == "websocket.close":
        return sent[0]["code"], {}, b""
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], fields, b"".join(each["body"] for each in sent[1:])
