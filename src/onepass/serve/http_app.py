"""The protocol over HTTP, as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from onepass._printable import printable
from onepass.serve import descriptions
from onepass.serve.faults import Fault, Kind
from onepass.serve.http_format import HEADER_LENGTH, read_request, write_answer
from onepass.serve.models import Served
from onepass.serve.service import LARGE_BYTES, Budget, Caller, Service
from onepass.web import ClientGoneError, body_of, check_length

HEALTH_PATHS = ("/v2/health/live", "/v2/health/ready")

T = TypeVar("T")

_NOT_SERVED = {
    "/v2/systemsharedmemory": "the system shared-memory extension",
    "/v2/cudasharedmemory": "the CUDA shared-memory extension",
    "/v2/repository/models": "loading and unloading models; it serves the models it was started with",
    "/v2/trace": "the trace extension",
    "/v2/logging": "the logging extension",
}
_NO_MORE = Response(status_code=499)  # the client has disconnected


def application(service: Service, lifespan: Any = None) -> Starlette:
    """Return the HTTP application of a service."""
    handlers = _Handlers(service)

    routes = [Route("/v2/models/stats", handlers.statistics)]
    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        routes += [
            Route(f"{path}/infer", handlers.infer, methods=["POST"]),  # first: routes are tried in order
            Route(path, handlers.model),
            Route(f"{path}/ready", handlers.model_ready),
            Route(f"{path}/config", handlers.config),
            Route(f"{path}/stats", handlers.statistics),
        ]
    routes += [
        Route("/v2", handlers.server),
        Route("/v2/health/live", handlers.live),
        Route("/v2/health/ready", handlers.ready),
        Route("/v2/repository/index", handlers.index, methods=["POST"]),
        Route("/metrics", handlers.metrics),
    ]
    for path, what in _NOT_SERVED.items():
        routes.append(Route(f"{path}{{rest:path}}", partial(_refuse, what), methods=["GET", "POST"]))
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={Fault: _fault, HTTPException: _http_error})


class _Handlers:
    """One method per kind of request."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._models = service.models

    async def server(self, _request: Request) -> Response:
        return JSONResponse(descriptions.server_metadata())

    async def live(self, _request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(self, _request: Request) -> Response:
        return _readiness(await self._models.are_ready())

    async def model(self, request: Request) -> Response:
        return JSONResponse(descriptions.model_metadata(self._models, self._served(request)))

    async def model_ready(self, request: Request) -> Response:
        return _readiness(await self._served(request).is_ready())

    async def config(self, request: Request) -> Response:
        return JSONResponse(descriptions.model_config(self._served(request)))

    async def statistics(self, request: Request) -> Response:
        wanted = [self._served(request)] if "name" in request.path_params else list(self._models)
        return JSONResponse({"model_stats": [descriptions.model_statistics(served) for served in wanted]})

    async def index(self, _request: Request) -> Response:
        return JSONResponse(await descriptions.repository_index(self._models, ready_only=False))

    async def metrics(self, _request: Request) -> Response:
        return Response(self._models.metrics.text(), media_type=self._models.metrics.content_type)

    async def infer(self, request: Request) -> Response:
        caller = Caller.of("http", request.headers.get("x-request-id"), request.headers.get("traceparent"))
        headers = {"x-request-id": caller.request_id}
        if caller.trace is not None:
            headers["traceparent"] = caller.trace
        try:
            body, json_length = await self._service.answered(caller, self._infer(request, caller))
        except Fault as fault:
            return _error(fault, headers)
        except ClientGoneError:
            return _NO_MORE
        kind = "application/json" if json_length is None else "application/octet-stream"
        if json_length is not None:
            headers[HEADER_LENGTH] = str(json_length)
        if len(body) < LARGE_BYTES:
            return Response(body, media_type=kind, headers=headers)
        return _LargeResponse(body, self._service.budget, media_type=kind, headers=headers)

    async def _infer(self, request: Request, caller: Caller) -> tuple[bytes, int | None]:
        service, limits = self._service, self._service.limits
        served = service.find(request.path_params["name"], request.path_params.get("version", ""), caller)
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise Fault(Kind.ENCODING, f"unsupported content encoding {encoding[:40]!r}; send the body unencoded")
        length = check_length(request.scope, limits.max_body_bytes)
        with service.budget.taking(limits.max_body_bytes if length is None else length):
            body = await body_of(
                request.scope, request.receive, most_bytes=limits.max_body_bytes, seconds=limits.body_seconds
            )
            read = partial(read_request, body, request.headers.get(HEADER_LENGTH))
            return await _unless_gone(request, service.infer(served, read, write_answer, caller))

    def _served(self, request: Request) -> Served:
        return self._models.find(request.path_params["name"], request.path_params.get("version", ""))


class _LargeResponse(Response):
    """A large response, whose memory counts until the client has received nearly all of it."""

    def __init__(self, body: bytes, budget: Budget, **rest: Any) -> None:
        super().__init__(body, **rest)
        self._budget = budget

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        release = self._budget.hold(len(self.body))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})  # waits until the send buffer has room again
        finally:
            release()


async def _unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Await a request's work, unless the client disconnects first.

    Raises:
        ClientGoneError: The client has disconnected; the work was cancelled.
    """
    task = asyncio.current_task()
    leaving = asyncio.ensure_future(request.receive())  # after the body, only a disconnect can arrive

    def left(_: object) -> None:
        if task is not None and not leaving.cancelled():
            task.cancel()

    leaving.add_done_callback(left)
    try:
        return await work
    except asyncio.CancelledError:
        if leaving.done() and not leaving.cancelled():
            raise ClientGoneError from None
        raise
    finally:
        leaving.cancel()


def _readiness(ready: bool) -> Response:
    return JSONResponse({"ready": ready}, 200 if ready else 503)


async def _refuse(what: str, _request: Request) -> Response:
    raise Fault(Kind.UNSUPPORTED, f"this server does not support {what}")


def _error(fault: Fault, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": printable(str(fault), lines=True)}, fault.kind.status, headers)


async def _fault(_request: Request, error: Exception) -> Response:
    return _error(error) if isinstance(error, Fault) else Response(status_code=500)


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer an unknown path, or a method that the path does not support."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    sentence = f"{request.method} {request.url.path[:200]} is not part of this server's API; see GET /v2"
    return JSONResponse({"error": printable(sentence)}, status, headers)
