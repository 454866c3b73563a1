"""Limits: a server's limits as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onepass._errors import InputError


@dataclass(frozen=True, slots=True)
class Limits:
    """How much load a server accepts before it refuses requests.

    Attributes:
        max_batch: Maximum rows per pass of a model; 1 disables batching.
        max_delay_ms: How long a request waits for others to share its batch although a pass could start.
        max_queue: Maximum requests waiting for one model; further requests are refused at once.
        max_body_mb: Maximum request size in MiB.
        body_seconds: Time limit for receiving a request's body.
        timeout: Seconds after which a pass is stopped, for models whose loops may never end; ONNX models only.
        grace_seconds: How long requests in flight may continue when the server stops.
        max_connections: Maximum concurrent client connections.

    Raises:
        InputError: A value has the wrong type or is out of range.
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
                raise InputError(f"{name} must be a whole number ≥ 1, got {value!r}")
        for name in ("max_delay_ms", "max_body_mb", "body_seconds", "grace_seconds", "timeout"):
            value = getattr(self, name)
            if value is None and name == "timeout":
                continue
            least = name not in ("max_delay_ms", "grace_seconds")
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not (value > 0 if least else value >= 0) or value == float("inf"):
                raise InputError(f"{name} must be a number {'>' if least else '≥'} 0, got {value!r}")

    @property
    def max_body_bytes(self) -> int:
        """`max_body_mb` in bytes."""
        return int(self.max_body_mb * 2**20)
