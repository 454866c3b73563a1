"""A request and its answer, whichever transport and encoding they come and go by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.serve.faults import Fault, Kind

# What extensions of the protocol put into parameters, and would silently change the meaning of what is answered.
_REFUSED = {
    "shared_memory_region": "shared memory", "shared_memory_offset": "shared memory",
    "shared_memory_byte_size": "shared memory", "classification": "classification",
    "sequence_id": "sequences", "sequence_start": "sequences", "sequence_end": "sequences",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One request for outputs.

    Attributes:
        inputs: Arrays by the input's name; of any dtype and shape that the protocol has.
        outputs: Names of the outputs asked for; None for all.
        id: What the client calls the request; empty if it does not.
        timeout_seconds: How long it may wait for its turn; None for as long as it takes.
    """

    inputs: Mapping[str, Array]
    outputs: tuple[str, ...] | None
    id: str = ""
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Outputs of one request, in the model's order.

    Attributes:
        model: The model's name.
        version: Its version.
        id: As the client said it.
        outputs: Arrays by name.
    """

    model: str
    version: str
    id: str
    outputs: Mapping[str, Array]


def check_parameters(parameters: Mapping[str, Any], *, of: str) -> None:
    """Refuse parameters of extensions that are not served; those that change nothing are passed over.

    Args:
        parameters: As they came.
        of: What they belong to, for the message.

    Raises:
        Fault: One of them is refused, by name.
    """
    for name, value in parameters.items():
        if name in _REFUSED and value not in (0, "", False, None):
            raise Fault(
                Kind.UNSUPPORTED,
                f"{of}: the parameter {name!r} belongs to the {_REFUSED[name]} extension, which this server has not; "
                "send tensors in the request, and leave the parameter out",
            )


def timeout_of(parameters: Mapping[str, Any]) -> float | None:
    """Return the seconds that the parameter ``timeout``, in microseconds, gives a request; None where there is none.

    Raises:
        InputError: It is no number of microseconds.
    """
    value = parameters.get("timeout", 0)
    if type(value) is not int or not 0 <= value < 2**63:
        raise InputError(f"the parameter 'timeout' is a whole number of microseconds, got {str(value)[:40]!r}")
    return value / 1e6 if value else None


def once(names: list[str], *, what: str) -> None:
    """Check that no name is given twice.

    Raises:
        InputError: One is.
    """
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{what} {twice!r} is given twice")
