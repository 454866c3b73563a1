"""TensorRT: runs engines on an NVIDIA GPU, one captured pass a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from onepass._errors import InputError
from onepass.engine.layers import TimedLayer
from onepass.outputs import Array
from onepass.runtime._budget import KeptMemory
from onepass.runtime._context import Shape
from onepass.runtime._cuda import Device
from onepass.runtime._device_arrays import DeviceArray
from onepass.runtime._engine import Engine
from onepass.runtime._lanes import Lanes
from onepass.runtime._layer_times import time_layers
from onepass.runtime._lent import LentInputs
from onepass.runtime._model import ModelHandle
from onepass.runtime._pass import Feed, Pass
from onepass.runtime._passes import Passes
from onepass.runtime._queue import Lane
from onepass.runtime.backend import BackendBase
from onepass.tensors import Signature


class TensorRTBackend(BackendBase):
    """Runs an engine. Calls of several threads run side by side, each in a lane of its own, as long as there are any.

    Attributes:
        signature: The model's inputs and outputs.
        import_stream: Where arrays on a GPU are waited for.
    """

    def __init__(
        self,
        handle: ModelHandle,
        *,
        device: int = 0,
        flavor: str | None = None,
        contexts: int = 4,
        keep_bytes: int | None = None,
        plugins: Sequence[str] = (),
        weights: str | None = None,
        weight_streaming_bytes: int | None = None,
    ) -> None:
        """Open the engine; see `onepass.load` for the arguments and errors."""
        if contexts < 1:
            raise InputError(f"contexts= takes a whole number from 1 up, got {contexts!r}")
        self._engine = engine = Engine(
            handle.engine(),
            name=handle.name,
            device=Device(device),
            flavor=flavor,
            plugins=plugins,
            weights=weights,
            weight_streaming_bytes=weight_streaming_bytes,
        )
        self.signature = Signature(tuple(e.spec for e in engine.inputs), tuple(e.spec for e in engine.outputs))
        self.import_stream = engine.device.stream()
        self._kept = KeptMemory.of(keep_bytes)
        self._passes = passes = Passes(engine, self._kept)
        self._lanes = lanes = Lanes(passes.new_queue, limit=contexts)
        if not passes.probe(lanes.queues[0]):
            lanes.limit = 1
        self.concurrency = 2 * lanes.limit
        lendable = not any(e.is_cast or e.tensor in engine.host_tensors for e in engine.inputs)
        dtypes = {edge.spec.name: edge.carrier for edge in engine.inputs}
        self._lent = LentInputs(engine.device, dtypes) if lendable else None

    def run(self, feeds: Mapping[str, Feed], names: Sequence[str]) -> Sequence[Any]:
        """Compute the outputs called `names`; see `Backend.run`. If an input is on the GPU, the outputs are too."""
        device = self._engine.device
        previous = device.enter()
        held: list[Lane[Pass]] = []
        try:
            passing = self._passes.of(self._lanes.take(held), feeds)
            for feed in feeds.values():
                if type(feed) is DeviceArray:
                    return passing.run_on_device(feeds, names, after=self.import_stream.number)
            return passing.run(feeds, names, self._lent.slot_of(feeds) if self._lent else None)
        finally:
            # In one call of C, before anything in which a signal handler may raise.
            if held:
                held[0].home.extend(held)
                self._lanes.tell()
            device.leave(previous)

    def empty_inputs(self, shapes: Mapping[str, Shape]) -> dict[str, Array]:
        """Return arrays of these shapes for all inputs, which need no copy on the host when they are given."""
        given = self._lent.give(shapes) if self._lent else None
        return given if given is not None else super().empty_inputs(shapes)

    def profile(self, feeds: Mapping[str, Array]) -> Mapping[str, float]:
        """Run once and return the milliseconds of its parts: copies, computation, enqueueing; trtexec's names."""
        with self._pass_for(feeds) as passing:
            return passing.timed(feeds)

    def profile_layers(self, feeds: Mapping[str, Array]) -> Sequence[TimedLayer]:
        """Run some times and return how long each layer takes."""
        with self._pass_for(feeds) as passing:
            return time_layers(self._engine, passing, feeds)

    def report(self) -> Mapping[str, Any]:
        """Name TensorRT, its version, the GPU, the profiles, and how each shape of inputs runs."""
        engine, device, lanes, kept = self._engine, self._engine.device, self._lanes, self._kept.page_locked
        free_bytes, total_bytes = device.memory_bytes()
        return {
            "backend": engine.flavor.name,
            "version": engine.flavor.version,
            "device": device.name,
            "device_index": device.index,
            "compute_capability": device.compute_capability,
            "driver_cuda_version": device.driver_version,
            "memory_bytes": {"free": free_bytes, "total": total_bytes, "scratch": engine.scratch_bytes},
            "profiles": [profile.to_json() for profile in engine.profiles],
            "shares_profiles": engine.shares_profiles,
            "keep_bytes": {"limit": kept.limit_bytes, "used": kept.used_bytes},
            "contexts": {"now": len(lanes.queues), "at_most": lanes.limit},
            "passes": [each.report() for each in lanes.ready()],
        }

    def close(self) -> None:
        """Free the engine and all it runs with; results that are still held keep their memory."""
        with self._engine.device.current():
            self._lanes.close()
            self._passes.close()
            if self._lent:
                self._lent.close()
            self.import_stream.close()
        self._engine.close()

    @contextmanager
    def _pass_for(self, feeds: Mapping[str, Array]) -> Iterator[Pass]:
        """Lend the pass for some inputs, for what measures it."""
        held: list[Lane[Pass]] = []
        try:
            with self._engine.device.current():
                yield self._passes.of(self._lanes.take(held), feeds)
        finally:
            if held:
                held[0].home.extend(held)
                self._lanes.tell()
