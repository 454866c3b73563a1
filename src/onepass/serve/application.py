"""An ASGI application that serves models and can be mounted in other applications."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from onepass._optional import optional
from onepass.serve.limits import Limits
from onepass.serve.models import Model, Models, opened
from onepass.serve.service import Service


def app(models: Models | Mapping[str, Model | Mapping[str, Model]], *, limits: Limits | None = None) -> Any:
    """Return an ASGI application that serves models over HTTP with the Open Inference Protocol v2.

    The application can be mounted in another one. It checks no host, origin or token: the outer application has to
    control access. `Server` checks all three.

    Args:
        models: Open `Models`, or a mapping as `Models` takes it; models opened here are closed when the application
            ends.
        limits: Limits for requests and queues; cannot be combined with open `Models`, which have their own.

    Raises:
        OnepassError: See `Models`.
        MissingExtraError: Starlette is not installed.
    """
    application = optional("onepass.serve.http_app", extra="serve", purpose="Serving").application
    all_models, own = opened(models, limits)

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        yield
        if own:
            all_models.close()

    return application(Service(all_models), lifespan)
