"""A request and its response, independent of transport and encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.serve.faults import Fault, Kind

# Parameters of protocol extensions; ignoring them would silently change the meaning of the response.
_REFUSED = {
    "shared_memory_region": "shared memory", "shared_memory_offset": "shared memory",
    "shared_memory_byte_size": "shared memory", "classification": "classification",
    "sequence_id": "sequences", "sequence_start": "sequences", "sequence_end": "sequences",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One inference request.

    Attributes:
        inputs: Arrays by input name, of any dtype and shape that the protocol supports.
        outputs: Names of the requested outputs; None for all.
        id: The client's id for the request; empty if there is none.
        timeout_seconds: Time limit for the response; None for no limit.
    """

    inputs: Mapping[str, Array]
    outputs: tuple[str, ...] | None
    id: str = ""
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The outputs of one request, in the model's order.

    Attributes:
        model: The model's name.
        version: Its version.
        id: The id from the request.
        outputs: Arrays by name.
    """

    model: str
    version: str
    id: str
    outputs: Mapping[str, Array]


def check_parameters(parameters: Mapping[str, Any], *, of: str) -> None:
    """Reject parameters of unsupported extensions; parameters without effect are ignored.

    Args:
        parameters: The parameters of the request.
        of: The object that they belong to, for the message.

    Raises:
        Fault: A parameter is unsupported; the message names it.
    """
    for name, value in parameters.items():
        if name in _REFUSED and value not in (0, "", False, None):
            raise Fault(
                Kind.UNSUPPORTED,
                f"{of}: the parameter {name!r} belongs to the {_REFUSED[name]} extension, which this server does not "
                "support; send tensors in the request, and omit the parameter",
            )


def timeout_of(parameters: Mapping[str, Any]) -> float | None:
    """Return the parameter ``timeout``, given in microseconds, in seconds; None if it is missing or 0.

    Raises:
        InputError: The value is not a whole number of microseconds.
    """
    value = parameters.get("timeout", 0)
    if type(value) is not int or not 0 <= value < 2**63:
        raise InputError(f"the parameter 'timeout' must be a whole number of microseconds, got {str(value)[:40]!r}")
    return value / 1e6 if value else None


def once(names: list[str], *, what: str) -> None:
    """Check that no name occurs twice.

    Raises:
        InputError: A name occurs twice.
    """
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{what} {twice!r} is given twice")
