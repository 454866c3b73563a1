"""An engine used directly, as the reference for onepass on a GPU, and the inputs for all candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import onepass
from onepass.outputs import Array
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.stream import Stream
from onepass.runtime.tensorrt._context import Context
from onepass.runtime.tensorrt._engine import Engine

Call = Callable[[], Any]


class RawEngine:
    """An engine with its addresses set, used directly."""

    def __init__(self, data: bytes, feeds: Mapping[str, Array]) -> None:
        self.device = Device(0)
        self.engine = Engine(data, name="the engine", device=self.device)
        self.stream = Stream(self.device)
        self._scratch = self.device.device_block(self.engine.scratch_bytes)
        with self.device.current():
            self.context = Context(self.engine, 0, stream=self.stream.number, scratch=self._scratch.address)
            shapes = self.context.set_shapes({name: array.shape for name, array in feeds.items()}, {})
            self.feeds = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
            dtypes = {edge.tensor: edge.carrier for edge in self.engine.outputs}
            self.results = {name: (shape or (), dtypes[name]) for name, shape in shapes.items()}
            sizes = {name: array.nbytes for name, array in self.feeds.items()}
            sizes |= {name: int(np.prod(shape)) * dtype.itemsize for name, (shape, dtype) in self.results.items()}
            self.blocks = {name: self.device.device_block(size) for name, size in sizes.items()}
            self.context.bind({name: block.address for name, block in self.blocks.items()}, [])
            self.context.enqueue(self.stream.number)
            self.stream.synchronize()

    def gpu_alone(self) -> Call:
        """Return a call that computes without copies."""
        graph = self.stream.record(lambda: self.context.enqueue(self.stream.number))

        def call() -> None:
            self.stream.launch(graph)
            self.stream.synchronize()

        return call

    def recorded(self) -> Call:
        """Return a call that also copies everything in and out in the same graph: a whole pass except Python."""
        self.pinned = pinned = {name: self.device.host_block(block.size_bytes) for name, block in self.blocks.items()}
        ins = [(self.blocks[name], pinned[name]) for name in self.feeds]
        outs = [(self.blocks[name], pinned[name]) for name in self.results]

        def work() -> None:
            for block, host in ins:
                self.stream.copy(block.address, host.address, block.size_bytes)
            self.context.enqueue(self.stream.number)
            for block, host in outs:
                self.stream.copy(host.address, block.address, block.size_bytes)

        graph = self.stream.record(work)

        def call() -> None:
            self.stream.launch(graph)
            self.stream.synchronize()

        return call

    def loop(self) -> Call:
        """Return a call as in tutorials: a copy and a buffer per tensor, ordinary arrays, no graph."""

        def call() -> dict[str, Array]:
            for name, array in self.feeds.items():
                self.stream.copy(self.blocks[name].address, array.ctypes.data, array.nbytes)
            self.context.enqueue(self.stream.number)
            results = {name: np.empty(shape, dtype) for name, (shape, dtype) in self.results.items()}
            for name, array in results.items():
                self.stream.copy(array.ctypes.data, self.blocks[name].address, array.nbytes)
            self.stream.synchronize()
            return results

        return call


def eye_feeds(data: bytes, batch: int) -> dict[str, Array]:
    """Return random inputs of an engine with one input, whose other dimensions are fixed."""
    with onepass.load(data) as session:
        (spec,) = session.signature.inputs
    shape = (batch, *(dim for dim in (spec.shape or ())[1:] if isinstance(dim, int)))
    return {spec.name: np.random.default_rng(batch).uniform(-1, 1, shape).astype(spec.dtype)}


def where_of(engine: str | Path) -> dict[str, Any]:
    """Return the GPU and the versions that figures belong to."""
    with onepass.load(engine) as session:
        report = session.report()
    return {
        name: report[name] for name in ("device", "compute_capability", "backend", "version", "driver_cuda_version")
    }
