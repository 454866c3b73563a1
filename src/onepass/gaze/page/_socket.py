"""A page's WebSocket: it receives frames and commands, and sends answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from onepass._errors import InputError
from onepass._version import __version__
from onepass.gaze.page.commands import command_of
from onepass.gaze.page.session import PageSession
from onepass.gaze.page.sessions import MAX_SESSIONS, Sessions

_TRY_AGAIN_LATER, _POLICY_VIOLATION = 1013, 1008


async def serve_socket(sessions: Sessions, socket: WebSocket) -> None:
    """Open a session for a page, process its messages until it disconnects, and close the session."""
    await socket.accept()
    if sessions.count >= MAX_SESSIONS:
        await socket.close(_TRY_AGAIN_LATER, f"the limit of {MAX_SESSIONS} open pages is reached")
        return
    loop = asyncio.get_running_loop()
    one_at_a_time = asyncio.Lock()  # keeps a picture and its message together

    async def send(message: Mapping[str, Any], picture: bytes | None) -> None:
        async with one_at_a_time:
            if picture is not None:
                await socket.send_bytes(picture)
            await socket.send_text(json.dumps({**message, "pages": sessions.count}))

    def tell(message: Mapping[str, Any], /, picture: bytes | None = None) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # the page is gone: its reader ends the session
            asyncio.run_coroutine_threadsafe(send(message, picture), loop).result()

    name, session = sessions.open(tell)
    try:
        await send({**sessions.facts, "type": "hello", "session": name, "version": __version__}, None)
        await _obey(session, socket)
    except WebSocketDisconnect:
        pass
    except InputError as error:
        await socket.close(_POLICY_VIOLATION, str(error)[:120])
    finally:
        await sessions.close(name)


async def _obey(session: PageSession, socket: WebSocket) -> None:
    """Pass on frames and commands until the page disconnects.

    Raises:
        WebSocketDisconnect: The page has disconnected.
        InputError: A message is invalid.
    """
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes") is not None:
            session.take_frame(message["bytes"])
        else:
            await asyncio.to_thread(session.do, command_of(message.get("text") or ""))
