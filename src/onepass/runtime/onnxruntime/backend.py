"""ONNX Runtime, the backend that needs no GPU: ordinary sessions, called with host arrays."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onepass._optional import import_onnxruntime
from onepass._programs import usable_cores
from onepass.formats import Format
from onepass.outputs import Array
from onepass.runtime.backend import BackendBase
from onepass.runtime.onnxruntime._edges import HostRun, signature_of
from onepass.runtime.onnxruntime._ending import RunOptions, Runs
from onepass.runtime.onnxruntime.sessions import CPU, Sessions, short_name

if TYPE_CHECKING:
    import onnxruntime
else:
    onnxruntime = import_onnxruntime()

_MAX_PARTS = 8
_MAX_CONCURRENCY = 4


class OnnxRuntimeBackend(BackendBase):
    """Runs an ONNX model with ONNX Runtime.

    Only requested outputs are computed: the first call for a subset prepares a session with the needed part of the
    graph, which later calls reuse. The most recently used parts are kept, at most eight.
    """

    def __init__(self, sessions: Sessions, *, eager_because: str | None = None) -> None:
        """Prepare the model; see `onepass.load` for the errors.

        Args:
            sessions: Opens the model.
            eager_because: On a GPU, why the model's passes are not frozen.
        """
        self._sessions = sessions
        self._eager_because = eager_because
        self._handle = sessions.handle
        self._session = sessions.open(self._handle.onnx())
        self.signature = signature_of(self._session, self._handle)
        self.concurrency = min(_MAX_CONCURRENCY, usable_cores())
        self._names = self.signature.output_names
        self._parts: OrderedDict[tuple[str, ...], _Part] = OrderedDict()
        self._lock = threading.Lock()
        self._runs = Runs(onnxruntime.RunOptions)
        self._host_run = HostRun(self.signature, self._runs)
        providers = self._session.get_providers()
        self.survives_fork = sessions.threads == 1 and providers == [CPU]
        if providers[0] != CPU:
            self.place = f"ONNX Runtime's provider {short_name(providers[0])!r}"

    def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> Sequence[Array]:
        """Compute the outputs `names`; see `Backend.run`."""
        return self._run(feeds, names, self._runs.options)

    def run_within(self, feeds: Mapping[str, Array], names: Sequence[str], seconds: float) -> Sequence[Array]:
        """Compute with a timeout; see `BackendBase.run_within`."""
        with self._runs.limited(seconds) as options:
            return self._run(feeds, names, options)

    def stop(self, reason: str) -> None:
        """Stop running calls, each after its current node; further calls fail."""
        self._runs.stop(reason)

    def report(self) -> Mapping[str, Any]:
        """Return ONNX Runtime's version, the providers in use and the number of threads."""
        report = {
            "backend": "onnxruntime",
            "version": onnxruntime.__version__,
            "device": short_name(self._session.get_providers()[0]),
            **self._sessions.report(self._session),
        }
        return report if self._eager_because is None else {**report, "eager_because": self._eager_because}

    def close(self) -> None:
        """Drop all sessions, which frees their memory."""
        self._parts.clear()
        del self._session

    def _run(self, feeds: Mapping[str, Array], names: Sequence[str], options: RunOptions) -> Sequence[Array]:
        session = self._session
        if len(names) != len(self._names):
            session = self._part(tuple(names))
            feeds = {node.name: feeds[node.name] for node in session.get_inputs()}
        return self._host_run(session, feeds, names, options)

    def _part(self, names: tuple[str, ...]) -> onnxruntime.InferenceSession:
        """Return the session of the part of the graph that `names` need, preparing it on first use."""
        with self._lock:
            part = self._parts.setdefault(names, _Part())
            self._parts.move_to_end(names)
            if len(self._parts) > _MAX_PARTS:
                self._parts.popitem(last=False)
        with part.lock:
            if part.session is None:
                part.session = self._prepare_part(names)
            return part.session

    def _prepare_part(self, names: tuple[str, ...]) -> onnxruntime.InferenceSession:
        """Prepare the part of the graph that `names` need, unless they need the complete graph."""
        if self._handle.format is Format.ORT:  # a final format, from which no parts can be taken
            return self._session
        graph = self._handle.graph()
        part = graph.select(names)
        if len(part.proto.graph.node) == len(graph.proto.graph.node):
            return self._session
        return self._sessions.open(part)


class _Part:
    """The session of a part of the graph, prepared on first use."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.session: onnxruntime.InferenceSession | None = None
