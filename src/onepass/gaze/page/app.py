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

    The application does not control access; `page_server` does.

    Args:
        estimator: Finds and reads faces; all open pages share it. The caller keeps ownership, and it must have no
            calibration: each page has its own.
        options: Options for tracking.

    Raises:
        InputError: The calibration needs head poses, which the finder does not provide.
        MissingExtraError: Starlette is not installed.
    """
    routes = optional("onepass.gaze.page._routes", extra="page", purpose="The page")
    application: App = routes.application(estimator, options or PageOptions())
    return application


def page_server(app: App, listening: Listening) -> WebServer:
    """Return a server with access control for the page; its port is open, but it does not serve yet.

    Args:
        app: The result of `page_app`.
        listening: Address, and who may call.

    Raises:
        InputError: The port is in use or not permitted, or the TLS files are invalid.
        MissingExtraError: uvicorn is not installed.
    """
    settings = {
        "ws": "websockets-sansio",
        "ws_max_size": MAX_FRAME_BYTES,
        "ws_per_message_deflate": False,  # JPEG does not compress further, and answers are short
    }
    guard = Guard(app, listening, in_browser=True)
    return WebServer(guard, listening, extra="page", grace_seconds=2.0, settings=settings)
