"""Starlette routes: the page's files, its socket, uploads, and recordings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onepass.gaze.estimator import GazeEstimator
from onepass.gaze.page._socket import serve_socket
from onepass.gaze.page._uploads import receive_file
from onepass.gaze.page.recording import table_names
from onepass.gaze.page.session import PageOptions
from onepass.gaze.page.sessions import Sessions
from onepass.web import Refusal

_STATIC = Path(__file__).parent / "static"

# No content from other servers, no inline code, no framing by other pages.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "permissions-policy": "camera=(self), display-capture=(self), fullscreen=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


def application(estimator: GazeEstimator, options: PageOptions) -> Starlette:
    """Return the application.

    Raises:
        InputError: The calibration needs head poses, which the finder does not provide.
    """
    sessions = Sessions(estimator, options)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with sessions.with_folder():
            yield

    routes = [
        Route("/", _page),
        WebSocketRoute("/session", partial(serve_socket, sessions)),
        Route("/sessions/{session}/dropped", partial(receive_file, sessions), methods=["POST"]),
        Route("/sessions/{session}/{number:int}/{file}", partial(_recorded, sessions)),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(_Headers)])


async def _page(_: Request) -> Response:
    return FileResponse(_STATIC / "index.html")


async def _recorded(sessions: Sessions, request: Request) -> Response | Refusal:
    """Return a table of a finished recording."""
    session, number, name = (request.path_params[key] for key in ("session", "number", "file"))
    path = sessions.recorded(session, number, name) if name in table_names() else None
    if path is None:
        return Refusal(404, "the recording does not exist, or is no longer available")
    return FileResponse(path, filename=name)


class _Headers:
    """Add security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._added]
            try:
                await send(message)
            except RuntimeError as error:
                if "the handler is closed" not in str(error):  # uvloop's error if the client has disconnected
                    raise

        await self._app(scope, receive, sending)
