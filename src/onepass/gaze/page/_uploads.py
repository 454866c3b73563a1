"""Files that are dropped on the page, on their way to the disk."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from onepass._errors import InputError
from onepass.gaze.page.dropped import MAX_FILE_BYTES
from onepass.gaze.page.sessions import Sessions


async def receive_file(sessions: Sessions, request: Request) -> Response:
    """Take a picture or a video, as the body of a request, for a session that then opens it."""
    name = request.path_params["session"]
    if name not in sessions:
        return JSONResponse({"error": "the connection of this page has ended; load it again"}, 404)
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_FILE_BYTES:
        return _too_large()
    try:
        path = await asyncio.to_thread(sessions[name].place_for, request.query_params.get("name", ""))
    except InputError as error:
        return JSONResponse({"error": str(error)}, 400)
    taken = 0
    try:
        with path.open("wb") as file:
            async for part in request.stream():
                taken += len(part)
                if taken > MAX_FILE_BYTES:
                    path.unlink()
                    return _too_large()
                await asyncio.to_thread(file.write, part)
    except ClientDisconnect:
        path.unlink(missing_ok=True)
    except OSError as error:  # the disk is full, most likely
        path.unlink(missing_ok=True)
        return JSONResponse({"error": f"the file cannot be kept here while it is looked at: {error.strerror}"}, 507)
    return Response(status_code=204)


def _too_large() -> Response:
    return JSONResponse({"error": f"files may have {MAX_FILE_BYTES >> 30} GB here; `onepass gaze FILE` takes any"}, 413)
