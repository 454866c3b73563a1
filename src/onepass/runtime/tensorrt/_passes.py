"""The passes of an engine, each with its own context if TensorRT allows it."""

from __future__ import annotations

from collections.abc import Mapping

from onepass._errors import InputError
from onepass.engine.profiles import choose_profile, outside_profiles
from onepass.outputs import Array
from onepass.runtime.gpu.budget import KeptMemory
from onepass.runtime.gpu.carried import carried
from onepass.runtime.gpu.compute_queue import ComputeQueue, Lane
from onepass.runtime.gpu.frozen_pass import Pass
from onepass.runtime.gpu.passes import Passes, on_host
from onepass.runtime.gpu.passing import Feed, Passing
from onepass.runtime.tensorrt._context import Context
from onepass.runtime.tensorrt._engine import Engine
from onepass.runtime.tensorrt._setup import EngineSetup
from onepass.tensors import Signature


class EnginePasses(Passes):
    """An engine that is open on a GPU, and its passes.

    Attributes:
        engine: The engine.
    """

    def __init__(self, engine: Engine, kept: KeptMemory, *, contexts: int) -> None:
        """Begin without passes.

        Args:
            engine: The engine.
            kept: Memory for results.
            contexts: Maximum number of passes that compute concurrently, if TensorRT allows it.
        """
        super().__init__(engine.device, limit=contexts)
        self.engine = engine
        self._kept = kept
        self._on_host = [edge for edge in engine.inputs if edge.tensor in engine.host_tensors]
        self.signature = Signature(tuple(e.spec for e in engine.inputs), tuple(e.spec for e in engine.outputs))
        self.inputs = engine.inputs
        self.values = [edge.spec.name for edge in self._on_host]
        self._shared: dict[int, Context] = {}
        self._is_probed = False

    @property
    def scratch_bytes(self) -> int:
        """How much of the GPU's memory one computation needs."""
        return self.engine.scratch_bytes

    def new_queue(self) -> ComputeQueue[Passing]:
        """Make a queue with the memory that the engine computes in."""
        with self.device.current():
            queue: ComputeQueue[Passing] = ComputeQueue(self.device, self.engine.scratch_bytes)
            if not self._is_probed:
                self._probe(queue)
            return queue

    def new_pass(self, lane: Lane[Passing], feeds: Mapping[str, Feed]) -> Pass:
        """Set up a pass for inputs of these shapes.

        Raises:
            InputError: The engine was not built for these shapes.
        """
        engine = self.engine
        shapes = {name: feed.shape for name, feed in feeds.items()}
        values: dict[str, Array] = {}
        for edge in self._on_host:
            array = on_host(feeds, edge.spec.name)
            values[edge.spec.name] = carried(array, edge).astype(edge.carrier)
        numbers = {name: tuple(array.reshape(-1).tolist()) for name, array in values.items()}
        profile = choose_profile(engine.profiles, shapes, numbers)
        if profile is None:
            raise InputError(outside_profiles(engine.name, engine.profiles, shapes, numbers))
        with lane.queue.lock:
            lane.queue.settle()  # a context that is set up must not be running
            setup = EngineSetup(engine, self._context(lane.queue, profile), shapes, values)
            return Pass(setup, lane, engine.device, self._kept)

    def close(self) -> None:
        """Free the engine."""
        self._shared.clear()
        self.import_stream.close()
        self.engine.close()

    def _probe(self, queue: ComputeQueue[Passing]) -> None:
        """Find out whether this TensorRT allows several contexts per profile; call it before anything runs.

        A recording becomes invalid when its context changes, so each pass has its own context. Before TensorRT 8.6, a
        profile has only one context, which all passes share; each sets it up for its own shapes and addresses.
        """
        self._shared[0] = self._new_context(queue, 0)
        self.engine.shares_profiles = self.engine.gives_profile(queue.scratch)
        if self.engine.shares_profiles:
            self._shared.clear()
        else:
            self.limit = 1
        self._is_probed = True

    def _context(self, queue: ComputeQueue[Passing], profile: int) -> Context:
        if self.engine.shares_profiles:
            return self._new_context(queue, profile)
        if profile not in self._shared:
            self._shared[profile] = self._new_context(queue, profile)
        return self._shared[profile]

    def _new_context(self, queue: ComputeQueue[Passing], profile: int) -> Context:
        return Context(self.engine, profile, stream=queue.stream.number, scratch=queue.scratch)
