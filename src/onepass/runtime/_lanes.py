"""Lanes: each runs one pass at a time, so several threads run side by side as long as there are lanes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from onepass._errors import BackendError, InputError, OnepassError
from onepass.engine.profiles import choose_profile, outside_profiles
from onepass.outputs import Array
from onepass.runtime._context import Context
from onepass.runtime._device_arrays import DeviceArray
from onepass.runtime._engine import Engine
from onepass.runtime._pass import Feed, Pass, carried

_PASSES = 8
"""How many shapes of inputs a lane keeps ready; the one used longest ago makes room for a new one."""


class Lane:
    """A stream, the memory that passes compute in one after the other, and the passes. One thread at a time."""

    def __init__(self, engine: Engine) -> None:
        """Make a lane without passes; the GPU must be current."""
        self._engine = engine
        self._stream = engine.device.stream()
        self._scratch = engine.device.device_block(engine.scratch_bytes)
        self._passes: OrderedDict[tuple[Any, ...], Pass] = OrderedDict()
        self._idle: dict[int, Context] = {}
        self._values = [edge for edge in engine.inputs if edge.tensor in engine.host_tensors]

    def passing(self, feeds: Mapping[str, Feed]) -> Pass:
        """Return the pass for inputs of these shapes, set up if it is the first of its kind.

        Raises:
            InputError: The engine was not built for these shapes.
        """
        key: tuple[Any, ...] = tuple([feed.shape for feed in feeds.values()])
        if self._values:
            key += tuple(_on_host(feeds, edge.spec.name).tobytes() for edge in self._values)
        found = self._passes.get(key)
        if found is None:
            found = self._passes[key] = self._new_pass(feeds)
            if len(self._passes) > _PASSES:
                self._retire(self._passes.popitem(last=False)[1])
        else:
            self._passes.move_to_end(key)
            if not found.is_attached:
                found.attach(self._context(found.profile))
        return found

    def report(self) -> list[dict[str, Any]]:
        """Describe its passes, the one used last at the end."""
        return [each.report() for each in list(self._passes.values())]

    def settle(self) -> None:
        """After a failure, wait until nothing of it runs any more, so that the next call finds the lane at rest."""
        with suppress(OnepassError):
            self._stream.synchronize()

    def close(self) -> None:
        """Let go of everything; results that are still held keep their memory."""
        while self._passes:
            self._retire(self._passes.popitem()[1])
        self._idle.clear()
        self._stream.close()

    def probe_profiles(self) -> bool:
        """Whether this TensorRT lets several contexts have one profile; asked before anything runs."""
        self._idle[0] = self._new_context(0)
        return self._engine.gives_profile(self._scratch.address)

    def _new_pass(self, feeds: Mapping[str, Feed]) -> Pass:
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
        context = self._context(profile)
        try:
            return Pass(engine, self._stream, context, shapes, values)
        except BaseException:
            self._idle[profile] = context
            raise

    def _context(self, profile: int) -> Context:
        """Return a context that has a profile, for a pass to have to itself.

        A recorded pass is void once anything is changed in its context, so each has one of its own. Before TensorRT
        8.6 a profile has one context only; there it goes from pass to pass.
        """
        if profile in self._idle:
            return self._idle.pop(profile)
        if not self._engine.shares_profiles:
            for each in self._passes.values():
                if each.is_attached and each.profile == profile:
                    return each.detach()
        return self._new_context(profile)

    def _new_context(self, profile: int) -> Context:
        return Context(self._engine, profile, stream=self._stream.number, scratch=self._scratch.address)

    def _retire(self, old: Pass) -> None:
        if not old.is_attached:
            return
        context = old.detach()
        if not self._engine.shares_profiles:
            self._idle[context.profile] = context


class Lanes:
    """The lanes of one engine, made as they are needed.

    Attributes:
        limit: How many there may be.
    """

    def __init__(self, engine: Engine, *, limit: int) -> None:
        """Make the first lane.

        Args:
            engine: What they run.
            limit: How many there may be.
        """
        self._engine = engine
        self._changed = threading.Condition()
        with engine.device.current():
            first = Lane(engine)
            engine.shares_profiles = first.probe_profiles()
        self.limit = limit if engine.shares_profiles else 1
        self._all = [first]
        self._free = [first]
        self._made = 1
        self._waiting = 0

    def take(self) -> Lane:
        """Return a free lane, a new one if there may be more, or wait for one. It is owed to `give`."""
        try:
            return self._free.pop()
        except IndexError:
            return self._wait_or_make()

    def give(self, lane: Lane) -> None:
        """Give a lane back."""
        self._free.append(lane)
        # Who waits has counted itself before it looked once more, so it either finds this lane or is told of it.
        if self._waiting:
            with self._changed:
                self._changed.notify()

    def report(self) -> dict[str, Any]:
        """Say how many lanes there are, and how their passes run."""
        return {
            "contexts": {"now": len(self._all), "at_most": self.limit},
            "passes": [each for lane in list(self._all) for each in lane.report()],
        }

    def close(self) -> None:
        """Close all lanes; none is taken."""
        for lane in self._all:
            lane.close()
        self._all.clear()
        self._free.clear()

    def _wait_or_make(self) -> Lane:
        with self._changed:
            self._waiting += 1
            try:
                while self._made >= self.limit:
                    with suppress(IndexError):  # another thread may take it without this lock
                        return self._free.pop()
                    self._changed.wait()
                self._made += 1
            finally:
                self._waiting -= 1
        return self._make()

    def _make(self) -> Lane:
        try:
            lane = Lane(self._engine)
        except BackendError:
            # The GPU has no memory for another; those that are there serve all.
            with self._changed:
                self.limit = self._made = self._made - 1
                self._changed.notify_all()
            return self.take()
        self._all.append(lane)
        return lane


def _on_host(feeds: Mapping[str, Feed], name: str) -> Array:
    feed = feeds[name]
    if isinstance(feed, DeviceArray):
        raise InputError(f"input {name!r}: its values decide shapes, so the engine takes it on the host; give an array")
    return feed
