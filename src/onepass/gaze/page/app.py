"""The page as an ASGI application, and a server for it."""

from __future__ import annotations

from onepass._optional import optional
from onepass.gaze.estimator import GazeEstimator
from onepass.gaze.page.camera import MAX_FRAME_BYTES
from onepass.gaze.page.session import PageOptions
from onepass.web import Guard, Listening, WebServer
from onepass.web.refusal import App


def page_app(estimator: GazeEstimator, options: PageOptions | None = None) -> App:
    """Return the page as an ASGI application, for a server that calls its lifespan.

    It lets everybody in; `page_server` guards it.

    Args:
        estimator: What finds and reads faces, shared by all pages that are open. It stays the caller's, and has no
            calibration of its own: each page has one.
        options: How to look.

    Raises:
        InputError: The calibration needs head poses, which the finder does not see.
        MissingExtraError: Starlette is not installed.
    """
    routes = optional("onepass.gaze.page._routes", extra="page", purpose="The page")
    application: App = routes.application(estimator, options or PageOptions())
    return application


def page_server(app: App, listening: Listening) -> WebServer:
    """Return a server for the page, guarded; it has taken its port, and answers nobody yet.

    Args:
        app: What `page_app` returned.
        listening: Where it listens, and who may call.

    Raises:
        InputError: The port is taken, or may not be used, or the files for TLS are none.
        MissingExtraError: uvicorn is not installed.
    """
    settings = {
        "ws": "websockets-sansio",
        "ws_max_size": MAX_FRAME_BYTES,
        "ws_per_message_deflate": False,  # JPEG does not get smaller, and answers are short
    }
    guard = Guard(app, listening, in_browser=True)
    return WebServer(guard, listening, extra="page", grace_seconds=2.0, settings=settings)
