"""Read request bodies with limits for size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from onepass.web.refusal import Receive, Refusal, Scope, header


class ClientGoneError(Exception):
    """The client disconnected before its request was complete, or before it got a response."""


def check_length(scope: Scope, most_bytes: int) -> int | None:
    """Return the declared length of a request's body; None if it is not declared.

    Raises:
        Refusal: 413, the body is too large; nothing has been read.
    """
    said = header(scope, b"content-length")
    length = int(said) if said is not None and said.isascii() and said.isdigit() else None
    if length is not None and length > most_bytes:
        raise _too_large(f"{length:,} bytes", most_bytes)
    return length


async def parts_of(scope: Scope, receive: Receive, *, most_bytes: int, seconds: float) -> AsyncIterator[bytes]:
    """Yield a request's body in parts, for writing it to a file.

    Args:
        scope: The request.
        receive: The ASGI function that returns the parts.
        most_bytes: Maximum size. A body that declares a larger size is refused before it is read.
        seconds: Time limit for the whole body.

    Raises:
        Refusal: 413, the body is too large; 408, the body did not arrive in time.
        ClientGoneError: The client disconnected.
    """
    check_length(scope, most_bytes)
    size, more = 0, True
    end = asyncio.get_running_loop().time() + seconds
    while more:
        with _until(end):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > most_bytes:
            raise _too_large(f"more than {most_bytes:,} bytes", most_bytes)
        more = message.get("more_body", False)
        yield part


async def body_of(scope: Scope, receive: Receive, *, most_bytes: int, seconds: float) -> bytes:
    """Return a request's whole body; for arguments and errors see `parts_of`."""
    return b"".join([part async for part in parts_of(scope, receive, most_bytes=most_bytes, seconds=seconds)])


@contextmanager
def _until(end: float) -> Iterator[None]:
    """Refuse a block that runs past `end`; `asyncio.wait_for` would need a task for each part."""
    loop, task, expired = asyncio.get_running_loop(), asyncio.current_task(), False

    def expire() -> None:
        nonlocal expired
        if task is not None:
            expired = task.cancel()

    timer = loop.call_at(end, expire)
    try:
        yield
    except asyncio.CancelledError:
        if expired:
            late = "timed out waiting for the request's body"
            raise Refusal(408, late, headers=((b"connection", b"close"),)) from None
        raise
    finally:
        timer.cancel()


def _too_large(came: str, most_bytes: int) -> Refusal:
    return Refusal(413, f"the request's body has {came}; this server accepts at most {most_bytes:,} bytes")
