"""ONNX Runtime's side of a pass: a binding to memory of the pass's own, and whether the computation can be recorded."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onepass._errors import BackendError
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.gpu.layout import Shape, arranged, size_of
from onepass.runtime.gpu.passing import Feed
from onepass.runtime.gpu.setup import Setup
from onepass.runtime.onnxruntime._binding import CudaSession
from onepass.runtime.onnxruntime._ending import Runs


class SessionSetup(Setup):
    """One shape of inputs of a session, all of whose tensors lie on the GPU."""

    def __init__(self, session: CudaSession, shapes: Mapping[str, Shape], results: Mapping[str, Shape]) -> None:
        """Lay out inputs and outputs, whose shapes are known.

        Args:
            session: What computes.
            shapes: Of the inputs, by name.
            results: Of the outputs, by name.
        """
        self.shapes = dict(shapes)
        self.inputs, self.outputs = session.inputs, session.outputs
        self.in_places = arranged((name, edge.carrier, shapes[name]) for name, edge in self.inputs.items())
        self.out_places = arranged((name, edge.carrier, results[name]) for name, edge in self.outputs.items())
        self._session = session
        self._binding: object = None
        self._copies: list[tuple[int, int, int]] = []

    def lie_at(self, inputs: int, outputs: int) -> None:
        """Say at which addresses the blocks of the inputs and the outputs begin."""
        # ONNX Runtime writes no output that is an input: what it gives for it is that input itself.
        given = {place.name: place for place in self.in_places}
        copied = [place for place in self.out_places if place.name in given]
        self._copies = [(outputs + p.offset, inputs + given[p.name].offset, p.size_bytes) for p in copied]
        computed = [place for place in self.out_places if place.name not in given]
        self._binding = self._session.bind(self.in_places, inputs, computed, outputs) if computed else None

    def enqueue(self, stream: int) -> None:  # noqa: ARG002 - the session was opened with it
        """Queue the computation."""
        if self._binding is not None:
            self._session.queue(self._binding)
        for target, source, size_bytes in self._copies:
            self._session.stream.copy(target, source, size_bytes)

    def close(self) -> None:
        """Let go of the binding."""
        self._binding = None


def try_out(session: CudaSession, feeds: Mapping[str, Feed], runs: Runs) -> dict[str, Shape] | str:
    """Run inputs of a new shape, and find out whether such runs can be recorded; nothing may be running.

    A computation that can be recorded asks nothing of the host while it runs: so the shapes of its outputs depend on
    nothing but the shapes of its inputs, and are those found here.

    Args:
        session: What computes.
        feeds: The inputs, complete.
        runs: What ends runs.

    Returns:
        The shapes of the outputs, by name; or why it cannot be recorded.

    Raises:
        BackendError: The run itself fails.
    """
    names = list(session.outputs)
    results = {name: tuple(value.shape()) for name, value in zip(names, session.run(feeds, names, runs), strict=True)}
    setup = SessionSetup(session, {name: feed.shape for name, feed in feeds.items()}, results)
    inputs = session.device.device_block(size_of(setup.in_places))
    outputs = session.device.device_block(size_of(setup.out_places))
    for place in setup.in_places:
        feed = feeds[place.name]
        source = feed.address if isinstance(feed, DeviceArray) else np.ascontiguousarray(feed).ctypes.data
        session.stream.copy(inputs.address + place.offset, source, place.size_bytes)
    setup.lie_at(inputs.address, outputs.address)
    try:
        # ONNX Runtime plans its memory for a shape in the first run, and allocates it in the second; in a recorded one
        # nothing can be allocated.
        setup.enqueue(session.stream.number)
        session.stream.synchronize()
        graph = session.stream.record(lambda: setup.enqueue(session.stream.number))
        graph.check_stays_on_gpu()
        graph.close()
    except BackendError as error:
        return str(error)
    finally:
        setup.close()
    return results
