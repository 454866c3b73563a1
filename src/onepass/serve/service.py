"""What a server does with a request, whichever transport it came by."""

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
"""Answers from this size up count as memory until they are sent."""
# Made-up ids: this process, and its requests.
_MARK, _NUMBERS = secrets.token_hex(4), count(1)


@dataclass(slots=True)
class Caller:
    """Who asked, for metrics and the log.

    Attributes:
        transport: ``http`` or ``grpc``.
        request_id: As the client calls the request, or made up.
        trace: The trace context that the client gave, as W3C's ``traceparent`` has it; None where it gave none.
        served: The model that was found.
        begun: When the request was there.
    """

    transport: str
    request_id: str
    trace: str | None = None
    served: Served | None = None
    begun: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, transport: str, request_id: str | None, trace: str | None) -> Caller:
        """Return a caller with what its headers say, if that can be passed on as it is."""
        fits = request_id is not None and _REQUEST_ID.fullmatch(request_id)
        known = trace is not None and len(trace) < 200 and _TRACE.fullmatch(trace)
        return cls(transport, str(request_id) if fits else f"{_MARK}-{next(_NUMBERS):x}", trace if known else None)

    def fields(self) -> dict[str, Any]:
        """Return what a line of the log says of a request."""
        found: dict[str, Any] = {"request_id": self.request_id, "transport": self.transport}
        if self.trace is not None:
            found["trace_id"] = self.trace.split("-")[1]
        if self.served is not None:
            found |= {"model": self.served.name, "version": self.served.version}
        return found


class Budget:
    """How much memory requests and answers under way may have together: so many of the largest requests."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    @contextmanager
    def taking(self, count: int) -> Iterator[None]:
        """Take memory for a body.

        Raises:
            Fault: There is no more; later there is again.
        """
        if count > self._left:
            raise Fault(Kind.OVERLOADED, "requests under way take all the memory they may; try again in a while")
        self._left -= count
        try:
            yield
        finally:
            self._left += count

    def hold(self, count: int) -> Callable[[], None]:
        """Count the memory of an answer until the function returned is called.

        It is never refused: what is computed is sent. Requests that come meanwhile find that there is less.
        """
        self._left -= count

        def release() -> None:
            self._left += count

        return release


class Service:
    """The models of a server, and what all transports do with them alike."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.limits = models.limits
        self.budget = Budget(_BODIES_AT_ONCE * self.limits.max_body_bytes)

    def find(self, name: str, version: str, caller: Caller) -> Served:
        """Return the model that a request is for, if it has room for one more.

        Raises:
            Fault: There is no such model, or no room.
        """
        caller.served = self.models.find(name, version)
        caller.served.batcher.check_room()
        return caller.served

    async def infer(
        self, served: Served, read: Callable[[], tuple[Call, Any]], write: Callable[[Answer, Any], T], caller: Caller
    ) -> T:
        """Read a request, compute, and write its answer.

        Args:
            served: The model.
            read: Returns the request, and what else its answer depends on.
            write: Takes the answer, and that.
            caller: Who asked.

        Raises:
            OnepassError: The request is wrong, or the model failed.
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
        """Do a request's work; count and log how it ended.

        Raises:
            Fault: It failed; whatever happened, this is what the client is told.
        """
        try:
            result = await work
        except (asyncio.CancelledError, ClientGoneError):
            self._ended(caller, "left")
            log.info("the client left", extra={"fields": caller.fields()})
            raise
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                log.exception("a fault of onepass", extra={"fields": caller.fields()})
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
            Kind.EXPIRED, f"the request was not answered in the {seconds * 1e6:.0f} microseconds it gave"
        ) from None
