"""Receive files dropped on the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from onepass._errors import InputError
from onepass.gaze.page.dropped import MAX_FILE_BYTES
from onepass.gaze.page.sessions import Sessions
from onepass.web import ClientGoneError, Refusal, parts_of

_SECONDS = 3600.0


async def receive_file(sessions: Sessions, request: Request) -> Response | Refusal:
    """Store a picture or a video from a request's body, for its session to open."""
    session = sessions.get(request.path_params["session"])
    if session is None:
        return Refusal(404, "this page's connection has ended; reload the page")
    try:
        path = await asyncio.to_thread(session.place_for, request.query_params.get("name", ""))
        await _write(path, parts_of(request.scope, request.receive, most_bytes=MAX_FILE_BYTES, seconds=_SECONDS))
    except InputError as error:
        return Refusal(400, str(error))
    except Refusal as refusal:
        return refusal
    except OSError as error:  # the disk is full, most likely
        return Refusal(507, f"the server cannot store the file: {error.strerror or error}")
    except ClientGoneError:
        pass
    return Response(status_code=204)


async def _write(path: Path, parts: AsyncIterator[bytes]) -> None:
    """Write a file part by part; remove it on failure."""
    try:
        with path.open("wb") as file:
            async for part in parts:
                await asyncio.to_thread(file.write, part)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
