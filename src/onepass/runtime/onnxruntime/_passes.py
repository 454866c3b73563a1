"""The passes of a model with ONNX Runtime's CUDA provider, frozen if possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onepass.formats import Format
from onepass.runtime.cuda.device import Device
from onepass.runtime.gpu.budget import KeptMemory
from onepass.runtime.gpu.compute_queue import ComputeQueue, Lane
from onepass.runtime.gpu.frozen_pass import Pass
from onepass.runtime.gpu.passes import Passes
from onepass.runtime.gpu.passing import Feed, Passing
from onepass.runtime.onnxruntime._binding import CudaSession
from onepass.runtime.onnxruntime._edges import HostRun, signature_of
from onepass.runtime.onnxruntime._ending import Runs
from onepass.runtime.onnxruntime._loose import LoosePass
from onepass.runtime.onnxruntime._operators import operators_obstacle
from onepass.runtime.onnxruntime._setup import SessionSetup, try_out
from onepass.runtime.onnxruntime.sessions import Sessions
from onepass.tensors import STRING

_KNOWN = 256
"""Number of sets of input shapes for which a session remembers the result of `try_out` and has memory."""
_HOST = ("Cpu", "CudaPinned")


class SessionPasses(Passes):
    """A model on a GPU, with one session per queue.

    Attributes:
        options: The options of the sessions, as plain JSON values.
    """

    options: dict[str, Any]

    def __init__(self, sessions: Sessions, device: Device, kept: KeptMemory, runs: Runs, *, contexts: int) -> None:
        """Start without passes.

        Args:
            sessions: Opens the model.
            device: The GPU.
            kept: Memory for results.
            runs: The runs that are not frozen, which can be stopped.
            contexts: Maximum number of passes that compute concurrently; each needs its own memory for the weights.
        """
        super().__init__(device, limit=contexts)
        self._sessions = sessions
        self._kept = kept
        self._runs = runs
        self._obstacle: str | None = None
        self._is_open = False

    def new_queue(self) -> ComputeQueue[Passing]:
        """Create a queue, and a session that computes in its stream."""
        with self.device.current():
            queue: ComputeQueue[Passing] = ComputeQueue(self.device, 0)
            ours = {"device_id": str(self.device.index), "user_compute_stream": str(queue.stream.number)}
            raw = self._sessions.open(self._sessions.handle.onnx(), **ours)
            if not self._is_open:
                self.signature = signature_of(raw, self._sessions.handle)
                self._host_run = HostRun(self.signature, self._runs)
                self.options = self._sessions.report(raw)
                self._obstacle = self._obstacle_in(raw)
                self._is_open = True
            queue.own = session = CudaSession(raw, self.signature, self.device, queue.stream)
            self.inputs = tuple(session.inputs.values())
            return queue

    def new_pass(self, lane: Lane[Passing], feeds: Mapping[str, Feed]) -> Passing:
        """Set up a pass for these input shapes, frozen if possible."""
        session: CudaSession = lane.queue.own
        shapes = {name: feed.shape for name, feed in feeds.items()}
        key = tuple(shapes.values())
        with lane.queue.lock:
            lane.queue.settle()
            found = self._obstacle or session.found.get(key)
            if found is None:
                self.import_stream.synchronize()
                found = try_out(session, feeds, self._runs)
                if len(session.found) >= _KNOWN:
                    session.found.clear()
                session.found[key] = found
            if isinstance(found, str):
                return LoosePass(session, lane, shapes, runs=self._runs, run=self._host_run, because=found)
            return Pass(SessionSetup(session, shapes, found), lane, self.device, self._kept)

    def close(self) -> None:
        """Close the stream; the sessions are already closed, with their queues."""
        self.import_stream.close()

    def _obstacle_in(self, raw: Any) -> str | None:
        """Return why passes of the model cannot be frozen, regardless of its inputs; None if they can be."""
        specs = (*self.signature.inputs, *self.signature.outputs)
        texts = [spec.name for spec in specs if spec.dtype == STRING]
        if texts:
            return f"{texts[0]!r} holds strings, which stay on the host"
        if self._sessions.handle.format is not Format.ONNX:
            return "a model in ONNX Runtime's own format does not tell its operators"
        on_host = _inputs_on_host(raw)
        taken = f"ONNX Runtime takes {', '.join(on_host)} on the host" if on_host else None
        return operators_obstacle(self._sessions.handle.graph()) or taken


def _inputs_on_host(raw: Any) -> list[str]:
    """Return the names of the inputs that ONNX Runtime needs on the host, for example because they determine shapes."""
    infos = zip(raw.get_inputs(), raw.get_input_memory_infos(), strict=True)
    return [node.name for node, info in infos if info.name in _HOST]
