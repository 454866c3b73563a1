"""The body of a request, if it is not too large and comes in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from onepass.web.refusal import Receive, Refusal, Scope, header


class ClientGoneError(Exception):
    """The client has left before its request was whole; nobody waits for an answer."""


def check_length(scope: Scope, most_bytes: int) -> int | None:
    """Return the length that a request says its body has, None where it says none.

    Raises:
        Refusal: 413, it is longer than that; nothing of it has been read.
    """
    said = header(scope, b"content-length")
    length = int(said) if said is not None and said.isascii() and said.isdigit() else None
    if length is not None and length > most_bytes:
        raise _too_large(f"{length:,} bytes", most_bytes)
    return length


async def parts_of(scope: Scope, receive: Receive, *, most_bytes: int, seconds: float) -> AsyncIterator[bytes]:
    """Read the body of a request part by part, for one that goes to a file.

    Args:
        scope: The request.
        receive: What gives its parts.
        most_bytes: How long it may be. One that says that it is longer is refused before it is read.
        seconds: How long it may take as a whole.

    Raises:
        Refusal: 413, it is too long; 408, it did not come in time.
        ClientGoneError: The client left.
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
            raise _too_large("more", most_bytes)
        more = message.get("more_body", False)
        yield part


async def body_of(scope: Scope, receive: Receive, *, most_bytes: int, seconds: float) -> bytes:
    """Read the whole body of a request; takes and raises what `parts_of` does."""
    return b"".join([part async for part in parts_of(scope, receive, most_bytes=most_bytes, seconds=seconds)])


@contextmanager
def _until(end: float) -> Iterator[None]:
    """Refuse what is not done by then; `asyncio.wait_for` does the same with a task for each part."""
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
            late = "the request's body did not come in time"
            raise Refusal(408, late, headers=((b"connection", b"close"),)) from None
        raise
    finally:
        timer.cancel()


def _too_large(came: str, most_bytes: int) -> Refusal:
    return Refusal(413, f"the request's body has {came}; this server takes {most_bytes:,} bytes at most")
