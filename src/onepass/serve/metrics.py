"""Server metrics, for Prometheus and for the protocol's statistics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onepass._optional import optional

_SECONDS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_STAGES = ("decode", "queue", "compute", "encode")
_LABELS = ("model", "version")


class Metrics:
    """One server's metrics, in its own registry: other servers in the process have theirs."""

    def __init__(self) -> None:
        self._client = client = optional("prometheus_client", extra="serve", purpose="Serving")
        self._registry = registry = client.CollectorRegistry()
        self.content_type: str = client.CONTENT_TYPE_LATEST
        self.requests = client.Counter(
            "onepass_requests", "Requests by outcome: ok, left (client disconnected), or the kind of error.",
            (*_LABELS, "transport", "outcome"), registry=registry,
        )  # fmt: skip
        self.stages = client.Histogram(
            "onepass_stage_seconds", "Duration of each stage of successful requests.", (*_LABELS, "stage"),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.rows = client.Histogram("onepass_pass_rows", "Rows per pass.", _LABELS, buckets=_ROWS, registry=registry)
        self.passes = client.Histogram(
            "onepass_pass_seconds", "Duration of a pass.", _LABELS, buckets=_SECONDS, registry=registry
        )
        self.queue = client.Gauge("onepass_queue", "Requests waiting for a pass.", _LABELS, registry=registry)

    def of(self, model: str, version: str) -> ModelMetrics:
        """Return the metrics of one version of a model."""
        return ModelMetrics(self, model, version)

    def refused(self, transport: str, outcome: str) -> None:
        """Count a request that reached no model; names chosen by clients never become labels."""
        self.requests.labels("", "", transport, outcome).inc()

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        text: bytes = self._client.generate_latest(self._registry)
        return text


@dataclass
class Statistics:
    """Totals since the server started: counts and nanoseconds.

    Attributes:
        succeeded: Successful requests.
        succeeded_ns: Total duration of successful requests.
        failed: Failed requests.
        failed_ns: Total duration of failed requests.
        queue_ns: Total queue time of successful requests.
        compute_ns: Total pass time of successful requests.
        rows: Rows computed.
        passes: Number of passes.
        last_ms: End of the last pass, in milliseconds since 1970; 0 before the first.
    """

    succeeded: int = 0
    succeeded_ns: int = 0
    failed: int = 0
    failed_ns: int = 0
    queue_ns: int = 0
    compute_ns: int = 0
    rows: int = 0
    passes: int = 0
    last_ms: int = 0


class ModelMetrics:
    """The metrics of one version of a model."""

    def __init__(self, metrics: Metrics, model: str, version: str) -> None:
        self._labels = (model, version)
        self._metrics = metrics
        self._stages = [metrics.stages.labels(model, version, stage) for stage in _STAGES]
        self._rows = metrics.rows.labels(model, version)
        self._passes = metrics.passes.labels(model, version)
        self.statistics = Statistics()

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Report the queue length whenever metrics are collected."""
        self._metrics.queue.labels(*self._labels).set_function(length)

    def passed(self, rows: int, seconds: float, *, worked: bool) -> None:
        """Count a pass, and whether it succeeded."""
        self._rows.observe(rows)
        self._passes.observe(seconds)
        if worked:
            self.statistics.rows += rows
            self.statistics.last_ms = int(time.time() * 1e3)
        self.statistics.passes += 1

    def answered(self, transport: str, seconds: Sequence[float]) -> None:
        """Count a successful request; `seconds` has the duration of each stage."""
        self._metrics.requests.labels(*self._labels, transport, "ok").inc()
        for stage, took in zip(self._stages, seconds, strict=True):
            stage.observe(took)
        numbers = self.statistics
        numbers.succeeded += 1
        numbers.succeeded_ns += int(sum(seconds) * 1e9)
        numbers.queue_ns += int(seconds[1] * 1e9)
        numbers.compute_ns += int(seconds[2] * 1e9)

    def ended(self, transport: str, outcome: str, seconds: float) -> None:
        """Count a failed request."""
        self._metrics.requests.labels(*self._labels, transport, outcome).inc()
        self.statistics.failed += 1
        self.statistics.failed_ns += int(seconds * 1e9)
