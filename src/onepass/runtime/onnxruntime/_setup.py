"""ONNX Runtime's side of a frozen pass: it binds the pass's memory, and tries whether a run can be recorded."""

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
    """One set of input shapes for a session with all tensors on the GPU."""

    def __init__(self, session: CudaSession, shapes: Mapping[str, Shape], results: Mapping[str, Shape]) -> None:
        """Lay out inputs and outputs with known shapes.

        Args:
            session: The session that computes.
            shapes: Input shapes, by name.
            results: Output shapes, by name.
        """
        self.shapes = dict(shapes)
        self.inputs, self.outputs = session.inputs, session.outputs
        self.in_places = arranged((name, edge.carrier, shapes[name]) for name, edge in self.inputs.items())
        self.out_places = arranged((name, edge.carrier, results[name]) for name, edge in self.outputs.items())
        self._session = session
        self._binding: object = None
        self._copies: list[tuple[int, int, int]] = []

    def lie_at(self, inputs: int, outputs: int) -> None:
        """Set the start addresses of the input block and the output block."""
        # If an output is also an input, ONNX Runtime returns the input itself and writes nothing, so it is copied here.
        given = {place.name: place for place in self.in_places}
        copied = [place for place in self.out_places if place.name in given]
        self._copies = [(outputs + p.offset, inputs + given[p.name].offset, p.size_bytes) for p in copied]
        computed = [place for place in self.out_places if place.name not in given]
        self._binding = self._session.bind(self.in_places, inputs, computed, outputs) if computed else None

    def enqueue(self, stream: int) -> None:  # noqa: ARG002 - the session was opened with this stream
        """Queue the computation."""
        if self._binding is not None:
            self._session.queue(self._binding)
        for target, source, size_bytes in self._copies:
            self._session.stream.copy(target, source, size_bytes)

    def close(self) -> None:
        """Release the binding."""
        self._binding = None


def try_out(session: CudaSession, feeds: Mapping[str, Feed], runs: Runs) -> dict[str, Shape] | str:
    """Run inputs with new shapes, and find out whether such runs can be recorded. No other work may be running.

    A computation that can be recorded needs nothing from the host while it runs. So its output shapes depend only on
    its input shapes, and stay the same as in this run.

    Args:
        session: The session that computes.
        feeds: The inputs, complete.
        runs: The runs of the backend, which can be stopped.

    Returns:
        The output shapes, by name; or why such runs cannot be recorded.

    Raises:
        BackendError: The run itself failed.
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
        # ONNX Runtime plans its memory for these shapes in the first run and allocates it in the second. A recorded run
        # cannot allocate memory.
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
