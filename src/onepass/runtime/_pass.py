"""One frozen pass: for one shape of inputs, everything that can be settled beforehand is settled once.

All inputs lie in one block, all outputs in another, on the GPU and page-locked on the host. Copying in, computing and
copying out is recorded as one CUDA graph, so that a call fills the inputs, starts the graph and waits: two calls of
CUDA, however many outputs there are.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from onepass._errors import BackendError, InputError
from onepass.engine.plan import Edge
from onepass.outputs import Array
from onepass.runtime._context import Context, Shape
from onepass.runtime._cuda import Graph, Stream
from onepass.runtime._device_arrays import DeviceArray
from onepass.runtime._engine import Engine
from onepass.runtime._layout import arranged, size_of, spans
from onepass.runtime._recordings import Recordings, Work
from onepass.runtime._slots import DeviceSlot, HostSlot, Slots, new_device_slot, new_host_slot

_SLOTS = 4
"""How many results of one shape may be kept as they are. Whoever keeps more gets copies in ordinary memory, since a
machine has little that is page-locked."""

Feed: TypeAlias = "Array | DeviceArray"


class Pass:
    """Runs one shape of inputs. One thread at a time; the GPU must be current.

    Attributes:
        profile: The number of its optimisation profile.
        shapes: Of the inputs, by their names in the model.
    """

    def __init__(
        self,
        engine: Engine,
        stream: Stream,
        context: Context,
        shapes: Mapping[str, Shape],
        values: Mapping[str, Array],
    ) -> None:
        """Set memory aside and everything up.

        Args:
            engine: What runs.
            stream: Where it runs.
            context: Its context from here on, until `detach`.
            shapes: Shapes of all inputs, by name.
            values: Copies of the inputs that lie on the host, by name, in the engine's dtype.
        """
        self.profile = context.profile
        self.shapes = dict(shapes)
        self._values = dict(values)
        self._engine = engine
        self._stream = stream
        device = engine.device

        self._inputs = {e.spec.name: e for e in engine.inputs if e.tensor not in engine.host_tensors}
        self._in_places = arranged((name, e.carrier, shapes[name]) for name, e in self._inputs.items())
        self._in_bytes = size_of(self._in_places)
        self._in_device = device.device_block(self._in_bytes)
        self._in_host = new_host_slot(device, self._in_places)
        arrays = self._in_host.arrays(self._inputs)
        self._fills = [(edge, array) for edge, array in zip(self._inputs.values(), arrays, strict=True)]

        found = self._set_shapes(context)
        self._outputs = {edge.spec.name: edge for edge in engine.outputs}
        self._late = frozenset(name for name, shape in found.items() if shape is None)
        known = [(self._outputs[name], shape) for name, shape in found.items() if shape is not None]
        self._out_host = {e.spec.name: np.zeros(s, e.carrier) for e, s in known if e.tensor in engine.host_tensors}
        self._out_places = arranged(
            (e.spec.name, e.carrier, shape) for e, shape in known if e.tensor not in engine.host_tensors
        )
        self._out_device = device.device_block(size_of(self._out_places))
        self._slots = Slots(lambda: new_host_slot(device, self._out_places), limit=_SLOTS)
        self._device_slots = Slots(lambda: new_device_slot(device, self._out_places), limit=_SLOTS)
        self._spare: HostSlot | None = None
        self._is_plain = len(self._out_places) == len(engine.outputs) and not any(e.is_cast for e in engine.outputs)

        self._recordings = Recordings(stream, obstacle=self._obstacle())
        self._context: Context | None = None
        self._bind(context)

    # ---- its context -------------------------------------------------------------------------------------------

    def attach(self, context: Context) -> None:
        """Take a context and set it up for this pass."""
        self._set_shapes(context)
        self._bind(context)

    def detach(self) -> Context:
        """Give the context away; what was recorded with it is void."""
        context = self._attached
        self._context = None
        self._recordings.clear()
        return context

    @property
    def is_attached(self) -> bool:
        """Whether it has a context."""
        return self._context is not None

    @property
    def _attached(self) -> Context:
        if self._context is None:  # a lane attaches a pass before it runs it
            raise BackendError("this pass has no execution context")
        return self._context

    def _set_shapes(self, context: Context) -> dict[str, Shape | None]:
        shapes = {e.tensor: self.shapes[e.spec.name] for e in self._inputs.values()}
        values = {e.tensor: self._values[e.spec.name] for e in self._engine.inputs if e.spec.name in self._values}
        found = context.set_shapes(shapes, values)
        return {edge.spec.name: found[edge.tensor] for edge in self._engine.outputs}

    def _bind(self, context: Context) -> None:
        addresses: dict[str, int] = {}
        for place in self._in_places:
            addresses[self._inputs[place.name].tensor] = self._in_device.address + place.offset
        for place in self._out_places:
            addresses[self._outputs[place.name].tensor] = self._out_device.address + place.offset
        for name, array in self._out_host.items():
            addresses[self._outputs[name].tensor] = array.ctypes.data
        context.bind(addresses, [self._outputs[name].tensor for name in sorted(self._late)])
        self._context = context

    def _obstacle(self) -> str | None:
        if self._engine.streams_weights:
            return "the weights are streamed"
        if self._engine.control_flow:
            return "it has branches or loops, which TensorRT decides on the host"
        if self._late:
            return f"the size of {', '.join(sorted(self._late))} depends on the data"
        if self._out_host:
            return f"{', '.join(self._out_host)} lies on the host"
        return None

    # ---- a call ------------------------------------------------------------------------------------------------

    def run(self, feeds: Mapping[str, Feed], names: Sequence[str], filled: HostSlot | None = None) -> list[Array]:
        """Compute outputs from inputs on the host.

        Args:
            feeds: The inputs.
            names: The outputs that are wanted.
            filled: The slot on which all of the inputs lie already; by default they are copied to one.
        """
        if filled is None:
            filled = self._in_host
            for edge, place in self._fills:
                _fill(place, feeds[edge.spec.name], edge)
        target = self._slots.take()
        if target is None:
            return self._run_copied(filled, names)
        self._run(filled, target, names)
        return target.arrays(names) if self._is_plain else self._gathered(target, names)

    def run_on_device(self, feeds: Mapping[str, Feed], names: Sequence[str], *, after: int) -> list[DeviceArray]:
        """Compute outputs from inputs of which at least one is on the GPU; the outputs stay there.

        Args:
            feeds: The inputs.
            names: The outputs that are wanted.
            after: The stream on which the inputs become complete.

        Raises:
            InputError: The engine holds one of these inputs or outputs in another dtype, or on the host.
        """
        self._check_stays(feeds, names)
        graph = self._graph("compute", self._compute)
        stream = self._stream
        stream.wait_for(after)
        for place in self._in_places:
            feed = feeds[place.name]
            if not isinstance(feed, DeviceArray):
                array = self._in_host.arrays([place.name])[0]
                _fill(array, feed, self._inputs[place.name])
            address = feed.address if isinstance(feed, DeviceArray) else self._in_host.address + place.offset
            stream.copy(self._in_device.address + place.offset, address, place.size_bytes)
        self._recordings.start(graph, self._compute)
        slot = self._device_slots.take() or new_device_slot(self._engine.device, self._out_places)
        for offset, size in spans(self._out_places, names):
            stream.copy(slot.address + offset, self._out_device.address + offset, size)
        stream.synchronize()
        return self._on_device(slot, names)

    def timed(self, feeds: Mapping[str, Array]) -> dict[str, float]:
        """Run once and say what took how long, in milliseconds, by trtexec's names of the parts."""
        for edge, place in self._fills:
            _fill(place, feeds[edge.spec.name], edge)
        target = self._slots.take() or self._spare_slot()
        graph = self._graph("compute", self._compute)
        stream = self._stream
        marks = [stream.mark()]
        stream.copy(self._in_device.address, self._in_host.address, self._in_bytes)
        marks.append(stream.mark())
        begin = time.perf_counter()
        self._recordings.start(graph, self._compute)
        enqueue_seconds = time.perf_counter() - begin
        marks.append(stream.mark())
        self._copy_out(stream, target, [place.name for place in self._out_places])
        marks.append(stream.mark())
        stream.synchronize()
        h2d, compute, d2h = stream.milliseconds(*marks)
        return {"h2d_ms": h2d, "gpu_compute_ms": compute, "d2h_ms": d2h, "enqueue_ms": enqueue_seconds * 1e3}

    def report(self) -> dict[str, Any]:
        """Say which shapes it is for and how it runs."""
        return {
            "profile": self.profile,
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "recorded": self._recordings.any,
            "eager_because": self._recordings.eager_because,
        }

    # ---- the work ----------------------------------------------------------------------------------------------

    def _run(self, filled: HostSlot, target: HostSlot, names: Sequence[str]) -> None:
        def whole(stream: Stream) -> None:
            stream.copy(self._in_device.address, filled.address, self._in_bytes)
            self._compute(stream)
            self._copy_out(stream, target, names)

        graph = self._graph((filled.address, target.address, names), whole)
        self._recordings.start(graph, whole)
        self._stream.synchronize()

    def _run_copied(self, filled: HostSlot, names: Sequence[str]) -> list[Array]:
        """Run for one who keeps many results: they go to the spare slot, which is never lent, and from there."""
        target = self._spare_slot()
        self._run(filled, target, names)
        return [array if array.flags.owndata else array.copy() for array in self._gathered(target, names)]

    def _spare_slot(self) -> HostSlot:
        if self._spare is None:
            self._spare = new_host_slot(self._engine.device, self._out_places)
        return self._spare

    def _compute(self, stream: Stream) -> None:
        self._attached.enqueue(stream.number)

    def _copy_out(self, stream: Stream, target: HostSlot, names: Sequence[str]) -> None:
        for offset, size in spans(self._out_places, names):
            stream.copy(target.address + offset, self._out_device.address + offset, size)

    def _graph(self, key: Any, work: Work) -> Graph | None:
        return self._recordings.prepared(key, work, self._is_recordable)

    def _is_recordable(self) -> bool:
        return self._attached.is_recordable(self._stream.number)

    def _gathered(self, target: HostSlot, names: Sequence[str]) -> list[Array]:
        """Return results of which some are not just where they were copied to."""
        lent = [name for name in names if name not in self._late and name not in self._out_host]
        arrays = dict(zip(lent, target.arrays(lent), strict=True))
        arrays |= {name: self._out_host[name].copy() for name in names if name in self._out_host}
        late = [name for name in names if name in self._late]
        for name in late:
            address, shape = self._allocated(name)
            arrays[name] = np.empty(shape, self._outputs[name].carrier)
            self._stream.copy(arrays[name].ctypes.data, address, arrays[name].nbytes)
        if late:
            self._stream.synchronize()
        edges = ((arrays[name], self._outputs[name]) for name in names)
        return [array.astype(edge.spec.dtype) if edge.is_cast else array for array, edge in edges]

    def _on_device(self, slot: DeviceSlot, names: Sequence[str]) -> list[DeviceArray]:
        device = self._engine.device
        results = {
            place.name: DeviceArray(
                slot.address + place.offset,
                shape=place.shape, dtype=place.dtype, device=device.index, owner=slot.lease,
            )
            for place in self._out_places
        }  # fmt: skip
        late = [name for name in names if name in self._late]
        for name in late:
            address, shape = self._allocated(name)
            carrier = self._outputs[name].carrier
            size_bytes = int(np.prod(shape, dtype=np.int64)) * carrier.itemsize
            block = device.device_block(size_bytes)
            self._stream.copy(block.address, address, size_bytes)
            results[name] = DeviceArray(
                block.address, shape=shape, dtype=carrier, device=device.index, owner=block
            )  # fmt: skip
        if late:
            self._stream.synchronize()
        return [results[name] for name in names]

    def _allocated(self, name: str) -> tuple[int, Shape]:
        return self._attached.allocated(self._outputs[name].tensor)

    def _check_stays(self, feeds: Mapping[str, Feed], names: Sequence[str]) -> None:
        for name, feed in feeds.items():
            if isinstance(feed, DeviceArray) and (name in self._values or self._inputs[name].is_cast):
                where = "on the host" if name in self._values else f"as {self._inputs[name].carrier}"
                raise InputError(f"input {name!r}: the engine takes it {where}; give this one as a NumPy array")
        for name in names:
            if name in self._out_host or self._outputs[name].is_cast:
                where = "on the host" if name in self._out_host else f"as {self._outputs[name].carrier}"
                raise InputError(
                    f"output {name!r}: the engine gives it {where}, so it does not stay on the GPU as it is; ask for "
                    "the others with outputs=[...], or give the inputs as NumPy arrays"
                )


def carried(feed: Array, edge: Edge) -> Array:
    """Check that the engine's dtype holds the numbers of an input, where it is not the model's own."""
    if edge.is_cast and edge.carrier.kind in "iu" and feed.size:
        limits = np.iinfo(edge.carrier)
        if int(feed.min()) < limits.min or int(feed.max()) > limits.max:
            raise InputError(
                f"input {edge.spec.name!r}: the engine holds it as {edge.carrier} ({limits.min} … {limits.max}), and "
                f"there are numbers from {feed.min()} to {feed.max()}; build it with a TensorRT that has "
                f"{edge.spec.dtype}, version 10 or later"
            )
    return feed


def _fill(place: Array, feed: Any, edge: Edge) -> None:
    place[...] = carried(feed, edge) if edge.is_cast else feed
