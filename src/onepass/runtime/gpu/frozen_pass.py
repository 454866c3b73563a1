"""A frozen pass: everything that can be prepared for one set of input shapes is prepared once.

All inputs are in one block of memory, all outputs in another, on the GPU and page-locked on the host. Copying in,
computing and copying out are recorded as one CUDA graph. So a call fills the inputs, launches the graph and waits: two
CUDA calls, whatever the number of outputs. If another call is running, only the computation is a graph, and the copies
overlap with the other call's computation.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from onepass.engine.layers import Layer
from onepass.outputs import Array
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.cuda.copying import SHARED_BYTES
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.stream import Stream
from onepass.runtime.gpu._recordings import Recordings
from onepass.runtime.gpu.budget import HostMemory, KeptMemory
from onepass.runtime.gpu.carried import carried
from onepass.runtime.gpu.compute_queue import Lane
from onepass.runtime.gpu.device_results import late_results, lent_results
from onepass.runtime.gpu.layout import size_of, spans
from onepass.runtime.gpu.passing import Feed, Passing
from onepass.runtime.gpu.setup import Setup
from onepass.runtime.gpu.slots import HostSlot, Slots, new_device_slot, new_host_slot

_DEVICE_SLOTS = 4
"""Number of reusable results of one shape on the GPU; further results are allocated individually."""


class Pass:
    """A `Passing` in which everything is prepared once."""

    def __init__(self, setup: Setup, lane: Lane[Passing], device: Device, kept: KeptMemory) -> None:
        """Allocate memory.

        Args:
            setup: The computation, set up for these shapes.
            lane: The lane that the pass runs in.
            device: The GPU.
            kept: Memory for results.
        """
        self._setup = setup
        self._lane = lane
        self._device = device
        self._in_bytes = size_of(setup.in_places)
        self._in_device = device.device_block(self._in_bytes)
        self._in_host = new_host_slot(device, setup.in_places)
        arrays = self._in_host.arrays(setup.inputs)
        self._fills = list(zip(setup.inputs.values(), arrays, strict=True))
        self._out_device = device.device_block(size_of(setup.out_places))
        setup.lie_at(self._in_device.address, self._out_device.address)
        self._slots = kept.page_locked.slots(device.host_block, setup.out_places)
        self._ordinary = kept.ordinary.slots(HostMemory, setup.out_places)
        self._device_slots = Slots(lambda: new_device_slot(device, setup.out_places), limit=_DEVICE_SLOTS)
        self._spare: HostSlot | None = None
        self._is_plain = setup.is_plain
        is_simple = self._in_bytes < SHARED_BYTES and not any(edge.is_cast for edge in setup.inputs.values())
        self._simple = list(zip(setup.inputs, arrays, strict=True)) if is_simple else []
        self._recordings = Recordings(obstacle=setup.obstacle)

    # ---- a call ------------------------------------------------------------------------------------------------

    def run(self, feeds: Mapping[str, Feed], names: Sequence[str], filled: HostSlot | None = None) -> list[Array]:
        """Compute outputs from inputs on the host.

        Args:
            feeds: The inputs.
            names: The requested outputs.
            filled: The slot that already contains all inputs; by default they are copied to one.
        """
        lane = self._lane
        if lane.is_busy:
            lane.settle()
        lane.is_busy = True
        source = filled if filled is not None else self._fill(feeds)
        slot = target = self._slots.take()
        arrays: list[Array] | None = None
        lane.held = source, target
        with lane.queue.lock:
            if target is None or not self._start_whole(source, target, names):
                is_begun = self._begin(source)
                if target is None:  # page-lock memory while the GPU computes
                    slot = self._slots.more()
                    target = slot if slot is not None else self._spare_slot()
                    lane.held = source, target
                if is_begun:
                    self._copy_out(lane.stream, target, names)
                else:
                    self._run_alone(source, target, names)
                    arrays = None if self._is_plain else self._gathered(target, names)
        if self._is_plain:
            arrays = target.arrays(names)  # while the GPU computes
        lane.finish()
        if arrays is None:
            arrays = self._gathered(target, names)
        return arrays if slot is not None else self._moved(arrays, names)

    def run_on_device(self, feeds: Mapping[str, Feed], names: Sequence[str], *, after: int) -> list[DeviceArray]:
        """Compute outputs that stay on the GPU; at least one input is there.

        Args:
            feeds: The inputs.
            names: The requested outputs.
            after: The stream on which the inputs become complete.

        Raises:
            InputError: The engine has one of these inputs or outputs in another dtype, or on the host.
        """
        self._setup.check_stays(feeds, names)
        lane, setup = self._lane, self._setup
        lane.begin()
        slot = self._device_slots.take() or self._device_slots.more() or new_device_slot(self._device, setup.out_places)
        results = lent_results(slot, setup.out_places, self._device)
        lane.held = (feeds, results)
        stream = lane.queue.stream
        with lane.queue.lock:
            self._renew_if_needed()
            lane.yield_to_other()
            stream.wait_for(after)
            for place in setup.in_places:
                feed = feeds[place.name]
                if not isinstance(feed, DeviceArray):
                    self._in_host.arrays([place.name])[0][...] = carried(feed, setup.inputs[place.name])
                address = feed.address if isinstance(feed, DeviceArray) else self._in_host.address + place.offset
                stream.copy(self._in_device.address + place.offset, address, place.size_bytes)
            self._compute_on(stream)
            for offset, size in spans(setup.out_places, names):
                stream.copy(slot.address + offset, self._out_device.address + offset, size)
            results |= late_results(setup, names, stream, self._device)
            lane.follow_queue()
        lane.finish()
        return [results[name] for name in names]

    def timed(self, feeds: Mapping[str, Array]) -> dict[str, float]:
        """Run once and return the time of each part in milliseconds, with trtexec's names."""
        lane, setup = self._lane, self._setup
        lane.begin()
        self._fill(feeds)
        target = self._slots.take() or self._slots.more() or self._spare_slot()
        lane.held = (target, target.arrays([]))
        stream = lane.queue.stream
        with lane.queue.lock:
            self._renew_if_needed()
            lane.queue.settle()
            marks = [stream.mark()]
            stream.copy(self._in_device.address, self._in_host.address, self._in_bytes)
            marks.append(stream.mark())
            begin = time.perf_counter()
            self._compute_on(stream)
            enqueue_seconds = time.perf_counter() - begin
            marks.append(stream.mark())
            self._copy_out(stream, target, [place.name for place in setup.out_places])
            marks.append(stream.mark())
            stream.synchronize()
        lane.finish()
        h2d, compute, d2h = stream.milliseconds(*marks)
        return {"h2d_ms": h2d, "gpu_compute_ms": compute, "d2h_ms": d2h, "enqueue_ms": enqueue_seconds * 1e3}

    def watched(self, feeds: Mapping[str, Array], profiler: Any, runs: int) -> list[Any]:
        """Run without recordings while a profiler receives the time of each layer; return these times."""
        taken = []
        self._lane.begin()
        with self._lane.queue.lock:
            self._renew_if_needed()
            self._lane.queue.settle()
            with self._setup.watched_by(profiler):
                for _ in range(runs):
                    self._run_alone(self._fill(feeds), self._in_host, [])
                    taken.append(profiler.take())
        self._lane.finish()
        return taken

    def layers(self) -> list[Layer]:
        """List the layers with their types for these shapes."""
        with self._lane.queue.lock:
            self._renew_if_needed()
            return self._setup.layers()

    def report(self) -> dict[str, Any]:
        """Return the input shapes and how the pass runs."""
        return {
            **self._setup.report(),
            "shapes": {name: list(shape) for name, shape in self._setup.shapes.items()},
            "recorded": self._recordings.any,
            "eager_because": self._recordings.eager_because,
        }

    def close(self) -> None:
        """Drop all recordings, which must not be running; results that are still referenced keep their memory."""
        self._recordings.clear()
        self._setup.close()

    # ---- the work; the queue's lock is held --------------------------------------------------------------------

    def _start_whole(self, source: HostSlot, target: HostSlot, names: Sequence[str]) -> bool:
        """Queue a complete recorded call, if it can be recorded and the other lane is idle.

        Args:
            source: The slot with the inputs.
            target: The slot for the outputs.
            names: The requested outputs.
        """
        lane, recordings = self._lane, self._recordings
        if lane.other.is_busy:
            return False
        if not self._setup.is_current:
            self._renew_if_needed()
        whole = recordings.whole(source.address, target.address, names)
        if whole is None and recordings.is_usable:
            lane.queue.settle()
            stream = lane.queue.stream
            work = partial(self._whole, source=source, target=target, names=names)
            copies = len(spans(self._setup.out_places, names))
            whole = recordings.record_whole(stream, work, target, copies=copies)
        if whole is None:
            return False
        lane.launch_whole(whole)
        return True

    def _begin(self, source: HostSlot) -> bool:
        """Queue a call up to its computation, if this can be recorded; the rest follows in the lane's stream."""
        lane = self._lane
        self._renew_if_needed()
        computation = self._computation() if self._recordings.is_usable else None
        if computation is None:
            return False
        lane.stream.copy(self._in_device.address, source.address, self._in_bytes)
        if lane.other.is_busy:
            lane.launch_beside(computation)
        else:
            lane.launch_whole(computation)
        return True

    def _run_alone(self, source: HostSlot, target: HostSlot, names: Sequence[str]) -> None:
        """Run a call that cannot be recorded, or not yet, and wait for it."""
        lane = self._lane
        lane.yield_to_other()
        stream = lane.queue.stream
        self._whole(stream, source, target, names)
        stream.synchronize()
        self._recordings.is_warm = True

    def _compute_on(self, stream: Stream) -> None:
        computation = self._computation() if self._recordings.is_usable else None
        if computation is not None:
            stream.launch(computation)
        else:
            self._setup.enqueue(stream.number)
            self._recordings.is_warm = True

    def _computation(self) -> Any:
        if self._recordings.computation is None:
            self._lane.queue.settle()
            stream = self._lane.queue.stream
            self._recordings.record_computation(
                stream, lambda stream: self._setup.enqueue(stream.number), self._setup.refusal(stream.number)
            )
        return self._recordings.computation

    def _whole(self, stream: Stream, source: HostSlot, target: HostSlot, names: Sequence[str]) -> None:
        stream.copy(self._in_device.address, source.address, self._in_bytes)
        self._setup.enqueue(stream.number)
        self._copy_out(stream, target, names)

    def _copy_out(self, stream: Stream, target: HostSlot, names: Sequence[str]) -> None:
        for offset, size in spans(self._setup.out_places, names):
            stream.copy(target.address + offset, self._out_device.address + offset, size)

    def _renew_if_needed(self) -> None:
        """Set the context up again, if another pass has used it in between."""
        if not self._setup.is_current:
            self._lane.queue.settle()
            self._recordings.clear()
            self._setup.renew()

    # ---- what goes in and comes out ----------------------------------------------------------------------------

    def _fill(self, feeds: Mapping[str, Feed]) -> HostSlot:
        """Copy inputs to the memory that the GPU reads."""
        for name, array in self._simple:
            array[...] = feeds[name]
        if not self._simple:
            for edge, array in self._fills:
                self._lane.copying.copy(array, carried(feeds[edge.spec.name], edge))
        return self._in_host

    def _spare_slot(self) -> HostSlot:
        """Return the slot from which results are copied when there is no more memory for them."""
        if self._spare is None:
            self._spare = new_host_slot(self._device, self._setup.out_places)
        return self._spare

    def _moved(self, arrays: list[Array], names: Sequence[str]) -> list[Array]:
        """Copy results from the spare slot to ordinary memory, which is reused if possible."""
        slot = self._ordinary.take() or self._ordinary.more() if self._is_plain else None
        # Arrays that own their data were already copied when they were gathered.
        moved = [a if a.flags.owndata else np.empty_like(a) for a in arrays] if slot is None else slot.arrays(names)
        for target, array in zip(moved, arrays, strict=True):
            if target is not array:
                self._lane.copying.copy(target, array)
        return moved

    def _gathered(self, target: HostSlot, names: Sequence[str]) -> list[Array]:
        """Return results of which some are cast, on the host, or have data-dependent sizes."""
        setup = self._setup
        lent = [name for name in names if name not in setup.late and name not in setup.on_host]
        arrays = dict(zip(lent, target.arrays(lent), strict=True))
        arrays |= {name: setup.on_host[name].copy() for name in names if name in setup.on_host}
        stream = self._lane.queue.stream
        for name in (name for name in names if name in setup.late):
            address, shape = setup.late[name]()
            arrays[name] = np.empty(shape, setup.outputs[name].carrier)
            stream.copy(arrays[name].ctypes.data, address, arrays[name].nbytes)
            stream.synchronize()
        edges = ((arrays[name], setup.outputs[name]) for name in names)
        return [array.astype(edge.spec.dtype) if edge.is_cast else array for array, edge in edges]
