"""The passes of an engine: one a shape of inputs and lane, on a context of its own where TensorRT allows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onepass._errors import InputError
from onepass.engine.profiles import choose_profile, outside_profiles
from onepass.outputs import Array
from onepass.runtime._budget import KeptMemory
from onepass.runtime._carried import carried
from onepass.runtime._context import Context
from onepass.runtime._device_arrays import DeviceArray
from onepass.runtime._engine import Engine
from onepass.runtime._pass import Feed, Pass
from onepass.runtime._queue import ComputeQueue, Lane
from onepass.runtime._setup import Setup


class Passes:
    """Finds the pass for the inputs of a call, or makes it."""

    def __init__(self, engine: Engine, kept: KeptMemory) -> None:
        """Begin without passes.

        Args:
            engine: What runs.
            kept: What memory results lie in.
        """
        self._engine = engine
        self._kept = kept
        self._values = [edge for edge in engine.inputs if edge.tensor in engine.host_tensors]
        self._shared: dict[int, Context] = {}

    def new_queue(self) -> ComputeQueue[Pass]:
        """Make a queue with the memory that the engine computes in."""
        with self._engine.device.current():
            return ComputeQueue(self._engine.device, self._engine.scratch_bytes)

    def probe(self, queue: ComputeQueue[Pass]) -> bool:
        """Whether this TensorRT lets several contexts have one profile; asked before anything runs.

        A recorded pass is void once anything is changed in its context, so each has one of its own. Before TensorRT
        8.6 a profile has one context only; there all passes share it. They may lie at different addresses, which are
        part of what is recorded.
        """
        with self._engine.device.current():
            self._shared[0] = self._new_context(queue, 0)
            shares = self._engine.gives_profile(queue.scratch)
        if shares:
            self._shared.clear()
        self._engine.shares_profiles = shares
        return shares

    def of(self, lane: Lane[Pass], feeds: Mapping[str, Feed]) -> Pass:
        """Return the pass for inputs of these shapes in a lane, set up if it is the first of its kind.

        Raises:
            InputError: The engine was not built for these shapes.
        """
        key: tuple[Any, ...] = tuple([feed.shape for feed in feeds.values()])
        if self._values:
            key += tuple(_on_host(feeds, edge.spec.name).tobytes() for edge in self._values)
        if key == lane.last_key and lane.last is not None:
            return lane.last
        found = lane.ready(key)
        if found is None:
            found = self._new_pass(lane, feeds)
            lane.keep(key, found)
        return found

    def close(self) -> None:
        """Let go of the contexts."""
        self._shared.clear()

    def _new_pass(self, lane: Lane[Pass], feeds: Mapping[str, Feed]) -> Pass:
        engine = self._engine
        shapes = {name: feed.shape for name, feed in feeds.items()}
        values: dict[str, Array] = {}
        for edge in self._values:
            array = _on_host(feeds, edge.spec.name)
            values[edge.spec.name] = carried(array, edge).astype(edge.carrier)
        numbers = {name: tuple(array.reshape(-1).tolist()) for name, array in values.items()}
        profile = choose_profile(engine.profiles, shapes, numbers)
        if profile is None:
            raise InputError(outside_profiles(engine.name, engine.profiles, shapes, numbers))
        with lane.queue.lock:
            lane.queue.settle()  # a context that is set up must not be running
            setup = Setup(engine, self._context(lane.queue, profile), shapes, values)
            return Pass(setup, lane, engine.device, self._kept)

    def _context(self, queue: ComputeQueue[Pass], profile: int) -> Context:
        if self._engine.shares_profiles:
            return self._new_context(queue, profile)
        if profile not in self._shared:
            self._shared[profile] = self._new_context(queue, profile)
        return self._shared[profile]

    def _new_context(self, queue: ComputeQueue[Pass], profile: int) -> Context:
        return Context(self._engine, profile, stream=queue.stream.number, scratch=queue.scratch)


def _on_host(feeds: Mapping[str, Feed], name: str) -> Array:
    feed = feeds[name]
    if isinstance(feed, DeviceArray):
        raise InputError(f"input {name!r}: its values decide shapes, so the engine takes it on the host; give an array")
    return feed
