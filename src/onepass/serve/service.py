"""How a server handles a request, independent of its transport."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from onepass.serve.call import Answer, Call
from onepass.serve.faults import OURS, Fault, Kind, fault_of
from onepass.serve.models import Models, Served
from onepass.web import ClientGoneError

T = TypeVar("T")

log = logging.getLogger("onepass.serve")

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", re.ASCII)
_BODIES_AT_ONCE = 8
LARGE_BYTES = 65_536
"""Responses of at least this size count towards the memory budget until they are sent."""
# Generated request ids: a prefix for this process, then a counter.
_MARK, _NUMBERS = secrets.token_hex(4), count(1)


@dataclass(slots=True)
class Caller:
    """The origin of a request, for metrics and logs.

    Attributes:
        transport: ``http`` or ``grpc``.
        request_id: The client's request id, or a generated one.
        trace: The client's trace context, in the format of W3C ``traceparent``; None if the client sent none.
        served: The requested model, once found.
        begun: When the request arrived.
    """

    transport: str
    request_id: str
    trace: str | None = None
    served: Served | None = None
    begun: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, transport: str, request_id: str | None, trace: str | None) -> Caller:
        """Return a caller with the ids from its headers, if they are safe to pass on unchanged."""
        fits = request_id is not None and _REQUEST_ID.fullmatch(request_id)
        known = trace is not None and len(trace) < 200 and _TRACE.fullmatch(trace)
        return cls(transport, str(request_id) if fits else f"{_MARK}-{next(_NUMBERS):x}", trace if known else None)

    def fields(self) -> dict[str, Any]:
        """Return the request's fields for a log line."""
        found: dict[str, Any] = {"request_id": self.request_id, "transport": self.transport}
        if self.trace is not None:
            found["trace_id"] = self.trace.split("-")[1]
        if self.served is not None:
            found |= {"model": self.served.name, "version": self.served.version}
        return found


class Budget:
    """Memory budget shared by all requests and responses in flight: a multiple of the largest request size."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    @contextmanager
    def taking(self, count: int) -> Iterator[None]:
        """Reserve memory for a body.

        Raises:
            Fault: The budget is exhausted; the client can retry.
        """
        if count > self._left:
            raise Fault(Kind.OVERLOADED, "the memory limit for requests in flight is reached; retry later")
        self._left -= count
        try:
            yield
        finally:
            self._left += count

    def hold(self, count: int) -> Callable[[], None]:
        """Count the memory of a response until the returned function is called.

        A response is never refused: it is already computed. Requests that arrive meanwhile have less memory left.
        """
        self._left -= count

        def release() -> None:
            self._left += count

        return release


class Service:
    """A server's models, and the request handling that all transports share."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.limits = models.limits
        self.budget = Budget(_BODIES_AT_ONCE * self.limits.max_body_bytes)

    def find(self, name: str, version: str, caller: Caller) -> Served:
        """Return the requested model, if its queue has room.

        Raises:
            Fault: The model does not exist, or its queue is full.
        """
        caller.served = self.models.find(name, version)
        caller.served.batcher.check_room()
        return caller.served

    async def infer(
        self, served: Served, read: Callable[[], tuple[Call, Any]], write: Callable[[Answer, Any], T], caller: Caller
    ) -> T:
        """Read a request, run the model, and write the response.

        Args:
            served: The model.
            read: Returns the request, and any other value that `write` needs.
            write: Takes the response and that value.
            caller: The origin of the request.

        Raises:
            OnepassError: The request is invalid, or the model failed.
        """
        begun = time.perf_counter()
        call, how = read()
        names = (
            served.signature.output_names if call.outputs is None else served.signature.ordered_outputs(call.outputs)
        )
        served.check_datatypes(call.inputs)
        decoded = time.perf_counter()
        done = await _within(call.timeout_seconds, served.batcher.run(call.inputs, names))
        computed = time.perf_counter()
        written = write(Answer(served.name, served.version, call.id, done.outputs), how)
        served.metrics.answered(
            caller.transport,
            (decoded - begun, done.queue_seconds, done.pass_seconds, time.perf_counter() - computed),
        )
        return written

    async def answered(self, caller: Caller, work: Awaitable[T]) -> T:
        """Await a request's work; count and log its outcome.

        Raises:
            Fault: The request failed; the fault carries the message for the client, whatever the cause.
        """
        try:
            result = await work
        except (asyncio.CancelledError, ClientGoneError):
            self._ended(caller, "left")
            log.info("client disconnected", extra={"fields": caller.fields()})
            raise
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                log.exception("internal error", extra={"fields": caller.fields()})
                fault = OURS
            elif fault.kind is Kind.FAILED:
                log.warning("the model failed: %s", fault, extra={"fields": caller.fields()})
            else:
                log.info("refused: %s", fault, extra={"fields": {**caller.fields(), "kind": fault.kind.word}})
            self._ended(caller, fault.kind.word)
            raise fault from error
        if log.isEnabledFor(logging.DEBUG):
            took = time.perf_counter() - caller.begun
            log.debug("answered", extra={"fields": {**caller.fields(), "seconds": round(took, 6)}})
        return result

    def _ended(self, caller: Caller, outcome: str) -> None:
        if caller.served is None:
            self.models.metrics.refused(caller.transport, outcome)
        else:
            caller.served.metrics.ended(caller.transport, outcome, time.perf_counter() - caller.begun)


async def _within(seconds: float | None, work: Awaitable[T]) -> T:
    if seconds is None:
        return await work
    try:
        return await asyncio.wait_for(work, seconds)
    except asyncio.TimeoutError:
        raise Fault(
            Kind.EXPIRED,
            f"the request timed out after {seconds * 1e6:.0f} microseconds, as its timeout parameter asked",
        ) from None
