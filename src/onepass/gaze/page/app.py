"""The page as an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from onepass._optional import optional
from onepass.gaze.estimator import GazeEstimator
from onepass.gaze.page.session import PageOptions

_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]
Application: TypeAlias = Callable[[_Message, _Receive, _Send], Awaitable[None]]


def page_app(estimator: GazeEstimator, options: PageOptions | None = None) -> Application:
    """Return the page as an ASGI application, for a server that calls its lifespan.

    It lets everybody in: put `onepass.web.Guard` in front of it, as ``onepass gaze page`` does.

    Args:
        estimator: What finds and reads faces, shared by all pages that are open. It stays the caller's, and has no
            calibration of its own: each page has one.
        options: How to look.

    Raises:
        InputError: The calibration needs head poses, which the finder does not see.
        MissingExtraError: Starlette is not installed.
    """
    routes = optional("onepass.gaze.page._routes", extra="page", purpose="The page")
    application: Application = routes.application(estimator, options or PageOptions())
    return application
