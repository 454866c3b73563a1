"""TensorRT: runs engines on an NVIDIA GPU, one captured pass a call."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.runtime._context import Shape
from onepass.runtime._cuda import Device
from onepass.runtime._device_arrays import DeviceArray
from onepass.runtime._engine import Engine
from onepass.runtime._lanes import Lanes
from onepass.runtime._layout import arranged
from onepass.runtime._model import ModelHandle
from onepass.runtime._pass import Feed
from onepass.runtime._slots import HostSlot, Slots, new_host_slot
from onepass.runtime.backend import BackendBase
from onepass.tensors import Signature

_LENT_SHAPES = 8
_LENT_INPUTS = 4
"""For how many shapes, and how many of each, `empty_inputs` gives page-locked memory."""


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
        self._lanes = Lanes(engine, limit=contexts)
        self.concurrency = self._lanes.limit
        self._can_lend = not any(e.is_cast or e.tensor in engine.host_tensors for e in engine.inputs)
        self._lent: OrderedDict[tuple[Shape, ...], Slots[HostSlot]] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, feeds: Mapping[str, Feed], names: Sequence[str]) -> Sequence[Any]:
        """Compute the outputs called `names`; see `Backend.run`. If an input is on the GPU, the outputs are too."""
        device = self._engine.device
        previous = device.enter()
        lane = self._lanes.take()
        try:
            for feed in feeds.values():
                if type(feed) is DeviceArray:
                    return lane.passing(feeds).run_on_device(feeds, names, after=self.import_stream.number)
            filled = self._lent_slot(feeds) if self._lent else None
            return lane.passing(feeds).run(feeds, names, filled)
        except BaseException:
            lane.settle()
            raise
        finally:
            self._lanes.give(lane)
            device.leave(previous)

    def empty_inputs(self, shapes: Mapping[str, Shape]) -> dict[str, Array]:
        """Return arrays of these shapes for all inputs, which need no copy on the host when they are given."""
        slot = self._input_slot(tuple(shapes[name] for name in self.signature.input_names)) if self._can_lend else None
        if slot is None:
            return super().empty_inputs(shapes)
        return dict(zip(self.signature.input_names, slot.arrays(self.signature.input_names), strict=True))

    def profile(self, feeds: Mapping[str, Array]) -> Mapping[str, float]:
        """Run once and return the milliseconds of its parts: copies, computation, enqueueing; trtexec's names."""
        device = self._engine.device
        lane = self._lanes.take()
        try:
            with device.current():
                return lane.passing(feeds).timed(feeds)
        finally:
            self._lanes.give(lane)

    def report(self) -> Mapping[str, Any]:
        """Name TensorRT, its version, the GPU, the profiles, and how each shape of inputs runs."""
        engine, device = self._engine, self._engine.device
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
            **self._lanes.report(),
        }

    def close(self) -> None:
        """Free the engine and all it runs with; results that are still held keep their memory."""
        with self._engine.device.current():
            self._lanes.close()
            self._lent.clear()
            self.import_stream.close()
        self._engine.close()

    def _input_slot(self, key: tuple[Shape, ...]) -> HostSlot | None:
        engine = self._engine
        with self._lock:
            if key not in self._lent:
                tensors = zip(engine.inputs, key, strict=True)
                places = arranged((edge.spec.name, edge.carrier, shape) for edge, shape in tensors)
                self._lent[key] = Slots(lambda: new_host_slot(engine.device, places), limit=_LENT_INPUTS)
                if len(self._lent) > _LENT_SHAPES:
                    self._lent.popitem(last=False)
            self._lent.move_to_end(key)
            return self._lent[key].take()

    def _lent_slot(self, feeds: Mapping[str, Any]) -> HostSlot | None:
        """Return the slot that all inputs lie on, if they are what `empty_inputs` gave."""
        if any(array.base is None for array in feeds.values()):
            return None
        with self._lock:
            slots = list(self._lent.get(tuple(array.shape for array in feeds.values()), ()))
        return next((slot for slot in slots if all(slot.holds(a, name) for name, a in feeds.items())), None)
