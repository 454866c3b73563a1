"""Limits: how much a server takes on, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onepass._errors import InputError


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server takes on before it refuses.

    Attributes:
        max_batch: How many rows one pass of a model takes at most; 1 joins no requests.
        max_delay_ms: How long a request waits for others to be computed with, though a pass could begin.
        max_queue: How many requests may wait for one model; who comes then is refused at once.
        max_body_mb: How large a request may be, in MiB.
        body_seconds: How long a request's body may take to come.
        timeout: Seconds after which a pass is ended, for models whose loops may not end; for ONNX models.
        grace_seconds: How long requests under way may go on when the server stops.
        max_connections: How many connections of clients there may be at once.

    Raises:
        InputError: A value is of the wrong type, or out of range.
    """

    max_batch: int = 32
    max_delay_ms: float = 0.0
    max_queue: int = 256
    max_body_mb: float = 64.0
    body_seconds: float = 30.0
    timeout: float | None = None
    grace_seconds: float = 30.0
    max_connections: int = 1024

    def __post_init__(self) -> None:
        for name in ("max_batch", "max_queue", "max_connections"):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is a whole number from 1 up, got {value!r}")
        for name in ("max_delay_ms", "max_body_mb", "body_seconds", "grace_seconds", "timeout"):
            value = getattr(self, name)
            if value is None and name == "timeout":
                continue
            least = name not in ("max_delay_ms", "grace_seconds")
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not (value > 0 if least else value >= 0) or value == float("inf"):
                raise InputError(
                    f"{name} is a number {'above' if least else 'from'} 0{'' if least else ' up'}, got {value!r}"
                )

    @property
    def max_body_bytes(self) -> int:
        """`max_body_mb` in bytes."""
        return int(self.max_body_mb * 2**20)
