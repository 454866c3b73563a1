"""The mapping from exceptions to errors for clients: one table for both transports, metrics and logs."""

from __future__ import annotations

from enum import Enum

from onepass._errors import (
    BackendError,
    InputError,
    OnepassError,
    OutputNameError,
    RunTimeoutError,
    SessionClosedError,
    UnsupportedModelError,
)
from onepass.web import Refusal


class Kind(Enum):
    """Why a request failed: name in metrics, HTTP status, gRPC code."""

    INVALID = ("invalid", 400, "INVALID_ARGUMENT")
    UNSUPPORTED = ("unsupported", 400, "UNIMPLEMENTED")
    UNKNOWN = ("unknown", 404, "NOT_FOUND")
    LATE_CLIENT = ("late_client", 408, "DEADLINE_EXCEEDED")
    TOO_LARGE = ("too_large", 413, "RESOURCE_EXHAUSTED")
    ENCODING = ("encoding", 415, "UNIMPLEMENTED")
    FAILED = ("failed", 500, "INTERNAL")
    OVERLOADED = ("overloaded", 503, "UNAVAILABLE")
    STOPPING = ("stopping", 503, "UNAVAILABLE")
    EXPIRED = ("expired", 504, "DEADLINE_EXCEEDED")

    def __init__(self, word: str, status: int, code: str) -> None:
        self.word = word
        self.status = status
        self.code = code


class Fault(OnepassError):  # noqa: N818 - it is a response
    """A request failed; the message is for its client.

    Attributes:
        kind: The reason.
    """

    def __init__(self, kind: Kind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


# The first match counts.
_KINDS: tuple[tuple[type[Exception], Kind], ...] = (
    (InputError, Kind.INVALID),
    (OutputNameError, Kind.INVALID),
    (UnsupportedModelError, Kind.UNSUPPORTED),
    (RunTimeoutError, Kind.EXPIRED),
    (SessionClosedError, Kind.STOPPING),
    (BackendError, Kind.FAILED),
)
_REFUSALS = {408: Kind.LATE_CLIENT, 413: Kind.TOO_LARGE}


def fault_of(error: Exception) -> Fault | None:
    """Return the error that a client gets for an exception; None for internal errors, which are only logged."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, Refusal):
        return Fault(_REFUSALS.get(error.status, Kind.INVALID), str(error))
    if isinstance(error, MemoryError):
        return Fault(Kind.OVERLOADED, "not enough memory for this request; send fewer rows at once")
    for kind_of_error, kind in _KINDS:
        if isinstance(error, kind_of_error):
            return Fault(kind, str(error))
    return None


OURS = Fault(Kind.FAILED, "internal server error; the server's log has the details under the request's id")
"""The error that a client gets when onepass itself fails."""
