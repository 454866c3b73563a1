"""The protocol over gRPC, in the web server's event loop."""

from __future__ import annotations

import hmac
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from onepass._errors import InputError
from onepass._printable import printable
from onepass.serve import descriptions
from onepass.serve._messages import HEALTH_SERVICE, SERVICE, message
from onepass.serve.call import Answer
from onepass.serve.faults import OURS, Fault, Kind, fault_of
from onepass.serve.grpc_format import parsed_request, read_request, write_answer
from onepass.serve.service import LARGE_BYTES, Caller, Service
from onepass.web import Listening

_SERVING, _NOT_SERVING = 1, 2
_NOT_SERVED = (
    "RepositoryModelLoad", "RepositoryModelUnload", "SystemSharedMemoryStatus", "SystemSharedMemoryRegister",
    "SystemSharedMemoryUnregister", "CudaSharedMemoryStatus", "CudaSharedMemoryRegister", "CudaSharedMemoryUnregister",
    "TraceSetting", "LogSettings",
)  # fmt: skip
_OPEN = {f"/{SERVICE}/ServerLive", f"/{SERVICE}/ServerReady", f"/{HEALTH_SERVICE}/Check"}
_MOST_DETAILS = 4000  # many clients truncate longer gRPC headers


class GrpcServer:
    """The protocol's gRPC service on its own port; it implements `onepass.web.Beside`.

    Attributes:
        address: Host and port, once the server has started.
    """

    def __init__(self, service: Service, listening: Listening) -> None:
        """Prepare the server; `start` opens the port.

        Args:
            service: Handles the requests.
            listening: Address, and who may call.
        """
        self._service = service
        self._listening = listening
        self._server: Any = None
        self.address = ""

    async def start(self) -> None:
        """Open the port and serve.

        Raises:
            InputError: The port is in use or not permitted.
        """
        limits, listening = self._service.limits, self._listening
        # gRPC binds the port itself and never says why binding failed, so try it first.
        listening.bind(option="grpc_port").close()
        token = listening.token
        self._server = grpc.aio.server(
            interceptors=[] if token is None else [_TokenGuard(token)],
            maximum_concurrent_rpcs=limits.max_connections,
            options=[
                ("grpc.max_receive_message_length", limits.max_body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
                ("grpc.max_metadata_size", 16_384),
            ],
        )
        self._server.add_generic_rpc_handlers(_handlers(self._service))
        where = f"{f'[{listening.host}]' if ':' in listening.host else listening.host}:{listening.port}"
        credentials = _credentials(listening)
        port = (
            self._server.add_insecure_port(where)
            if credentials is None
            else self._server.add_secure_port(where, credentials)
        )
        self.address = f"{where.rpartition(':')[0]}:{port}"
        await self._server.start()

    async def stop(self, seconds: float) -> None:
        """Accept no new requests; end when all are answered, or after this many seconds."""
        await self._server.stop(seconds)


class _TokenGuard(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc is untyped
    """Admit callers that know the token."""

    def __init__(self, token: str) -> None:
        self._word = f"Bearer {token}".encode()
        self._refusal = grpc.unary_unary_rpc_method_handler(_refuse_stranger)

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Return the handler for a call."""
        given = dict(details.invocation_metadata).get("authorization", "")
        word = given.encode() if isinstance(given, str) else given
        allowed = details.method in _OPEN or hmac.compare_digest(word, self._word)
        return await continuation(details) if allowed else self._refusal


async def _refuse_stranger(_request: bytes, context: Any) -> None:
    await context.abort(
        grpc.StatusCode.UNAUTHENTICATED, "this server requires a token; send the metadata authorization: Bearer TOKEN"
    )


def _credentials(listening: Listening) -> Any:
    if listening.tls_cert is None or listening.tls_key is None:
        return None
    listening.tls()  # its errors explain problems with the files
    key, certificate = (Path(os.fspath(file)).read_bytes() for file in (listening.tls_key, listening.tls_cert))
    return grpc.ssl_server_credentials([(key, certificate)])


def _handlers(service: Service) -> tuple[Any, ...]:
    calls = _Calls(service)
    named: dict[str, tuple[Callable[[Any], Awaitable[Any]], str]] = {
        "ServerLive": (calls.live, "Empty"),
        "ServerReady": (calls.ready, "Empty"),
        "ModelReady": (calls.model_ready, "ModelRequest"),
        "ServerMetadata": (calls.server, "Empty"),
        "ModelMetadata": (calls.model, "ModelRequest"),
        "ModelConfig": (calls.config, "ModelRequest"),
        "ModelStatistics": (calls.statistics, "ModelRequest"),
        "RepositoryIndex": (calls.index, "RepositoryIndexRequest"),
        **{name: (partial(calls.refuse, name), "Empty") for name in _NOT_SERVED},
    }
    methods = {name: _unary(work, message(request)) for name, (work, request) in named.items()}
    # These handlers parse the bytes themselves, so that they can report malformed messages.
    methods["ModelInfer"] = grpc.unary_unary_rpc_method_handler(calls.infer, None, _serialized)
    methods["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(calls.stream, None, _serialized)
    health = {"Check": _unary(calls.check, message("HealthCheckRequest"))}
    return (
        grpc.method_handlers_generic_handler(SERVICE, methods),
        grpc.method_handlers_generic_handler(HEALTH_SERVICE, health),
    )


def _serialized(answer: Any) -> bytes:
    data: bytes = answer.SerializeToString()
    return data


def _unary(work: Callable[[Any], Awaitable[Any]], request: Any) -> Any:
    """Return the handler of a call that reports errors by status code."""

    async def handle(data: bytes, context: Any) -> Any:
        try:
            return await work(_parsed(request.FromString, data))
        except Exception as error:  # noqa: BLE001 - the last place that can report it
            await _abort(context, error)

    return grpc.unary_unary_rpc_method_handler(handle, None, _serialized)


def _parsed(parse: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return parse(data)
    except DecodeError as error:
        raise InputError("the request is not a valid message for this call") from error


async def _abort(context: Any, error: Exception) -> None:
    fault = fault_of(error) or OURS
    code = getattr(grpc.StatusCode, fault.kind.code)
    await context.abort(code, printable(str(fault), lines=True)[:_MOST_DETAILS])


class _Calls:
    """One method per call of the service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._models = service.models

    async def live(self, _request: Any) -> Any:
        return message("ServerLiveResponse")(live=True)

    async def ready(self, _request: Any) -> Any:
        return message("ServerReadyResponse")(ready=await self._models.are_ready())

    async def check(self, request: Any) -> Any:
        """Answer a gRPC health check."""
        if request.service not in ("", SERVICE):
            raise Fault(Kind.UNKNOWN, f"unknown service {request.service[:100]!r}; this server has {SERVICE}")
        status = _SERVING if await self._models.are_ready() else _NOT_SERVING
        return message("HealthCheckResponse")(status=status)

    async def model_ready(self, request: Any) -> Any:
        served = self._models.find(request.name, request.version)
        return message("ModelReadyResponse")(ready=await served.is_ready())

    async def server(self, _request: Any) -> Any:
        return message("ServerMetadataResponse")(**descriptions.server_metadata())

    async def model(self, request: Any) -> Any:
        served = self._models.find(request.name, request.version)
        return message("ModelMetadataResponse")(**descriptions.model_metadata(self._models, served))

    async def config(self, request: Any) -> Any:
        config = descriptions.model_config(self._models.find(request.name, request.version))
        for tensor in (*config["input"], *config["output"]):
            tensor["data_type"] = descriptions.datatype_number(tensor["data_type"])
        return message("ModelConfigResponse")(config=config)

    async def statistics(self, request: Any) -> Any:
        wanted = [self._models.find(request.name, request.version)] if request.name else list(self._models)
        return message("ModelStatisticsResponse")(model_stats=[descriptions.model_statistics(each) for each in wanted])

    async def index(self, request: Any) -> Any:
        models = await descriptions.repository_index(self._models, ready_only=request.ready)
        return message("RepositoryIndexResponse")(models=models)

    async def refuse(self, name: str, _request: Any) -> Any:
        raise Fault(
            Kind.UNSUPPORTED,
            f"this server does not support the call {name}: requests carry their tensors, and models load at startup",
        )

    async def infer(self, data: bytes, context: Any) -> Any:
        caller = _caller(context)
        context.set_trailing_metadata((("x-request-id", caller.request_id),))
        try:
            answer = await self._service.answered(caller, self._infer(data, caller))
        except Fault as fault:
            await _abort(context, fault)
        size = answer.ByteSize()
        if size >= LARGE_BYTES:
            release = self._service.budget.hold(size)
            context.add_done_callback(lambda _: release())  # sent, or the client has disconnected
        return answer

    async def stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
        """Answer the requests of a stream in order."""
        async for data in requests:
            caller = _caller(context)
            try:
                answer = await self._service.answered(caller, self._infer(data, caller))
            except Fault as fault:
                yield message("ModelStreamInferResponse")(error_message=printable(str(fault), lines=True))
            else:
                yield message("ModelStreamInferResponse")(infer_response=answer)

    async def _infer(self, data: bytes, caller: Caller) -> Any:
        request = _parsed(parsed_request, data)
        served = self._service.find(request.model_name, request.model_version, caller)
        with self._service.budget.taking(len(data)):
            return await self._service.infer(served, lambda: (read_request(request), None), _written, caller)


def _written(answer: Answer, _how: None) -> Any:
    return write_answer(answer)


def _caller(context: Any) -> Caller:
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    return Caller.of("grpc", metadata.get("x-request-id"), metadata.get("traceparent"))
