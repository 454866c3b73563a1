"""An ASGI application that serves models, to be mounted anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from onepass._optional import optional
from onepass.serve.limits import Limits
from onepass.serve.models import Model, Models, opened
from onepass.serve.service import Service


def app(models: Models | Mapping[str, Model | Mapping[str, Model]], *, limits: Limits | None = None) -> Any:
    """Return an ASGI application that serves models by the Open Inference Protocol, version 2, over HTTP.

    It can be mounted in another application, and looks at no host, origin or token: whoever mounts it says who may
    call; `Server` does.

    Args:
        models: The models, opened already, or what `Models` takes; those that are opened here are closed at the
            application's end.
        limits: How much is taken on; not beside `Models`, which have theirs.

    Raises:
        OnepassError: As `Models` raises it.
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
