"""``python -m benchmarks.tensorrt ENGINE``: what every output of an engine costs, on the GPU of this machine.

NumPy in, every output as NumPy out: by onepass, by Polygraphy's TrtRunner, by a loop with a buffer for each output. For
comparison the GPU's work alone: one graph of the computation, without copies, and with a copy in page-locked memory for
each tensor. They take turns. TACTIC_SOURCES names libraries that kernels may come from, where TensorRT lacks one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import onepass
from benchmarks.report import Row, write_results
from onepass.engine import BuildOptions, plan_from_graph
from onepass.graph import OnnxGraph
from onepass.outputs import Array
from onepass.runtime._context import Context
from onepass.runtime._cuda import Device
from onepass.runtime._engine import Engine

_BATCHES = (1, 2, 16, 256)
_ROUNDS = 15
_CALLS = 40
_WARM_UP = 30
_Call = Callable[[], Any]


class _Raw:
    """An engine with addresses set, used directly."""

    def __init__(self, data: bytes, feeds: Mapping[str, Array]) -> None:
        self.device = Device(0)
        self.engine = Engine(data, name="the engine", device=self.device)
        self.stream = self.device.stream()
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

    def gpu_alone(self) -> _Call:
        """Return a call that computes, and copies nothing."""
        graph = self.stream.record(lambda: self.context.enqueue(self.stream.number))

        def call() -> None:
            self.stream.launch(graph)
            self.stream.synchronize()

        return call

    def recorded(self) -> _Call:
        """Return a call that also copies everything in and out in the same graph: all of a pass but Python."""
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

    def loop(self) -> _Call:
        """Return a call as tutorials have it: a copy and a buffer for each tensor, ordinary arrays, no graph."""

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


def _polygraphy(data: bytes, feeds: Mapping[str, Array]) -> tuple[_Call, _Call] | None:
    """Return a call of Polygraphy's runner, and what ends it; None where it is not installed."""
    try:
        from polygraphy.backend.trt import EngineFromBytes, TrtRunner
    except ImportError:
        return None
    runner = TrtRunner(EngineFromBytes(data))
    runner.activate()
    return lambda: runner.infer(dict(feeds)), runner.deactivate


def _in_turn(calls: Mapping[str, _Call]) -> dict[str, Array]:
    """Return the microseconds of each call; blocks of calls take turns."""
    for call in calls.values():
        for _ in range(_WARM_UP):
            call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_ROUNDS):
        for name, call in calls.items():
            for _ in range(_CALLS):
                begin = time.perf_counter_ns()
                call()
                times[name].append((time.perf_counter_ns() - begin) / 1e3)
    return {name: np.array(each) for name, each in times.items()}


def _row(label: str, data: bytes, feeds: Mapping[str, Array]) -> Row:
    raw = _Raw(data, feeds)
    polygraphy = _polygraphy(data, feeds)
    with onepass.load(data) as session:
        with raw.device.current():
            calls: dict[str, _Call] = {
                "onepass": lambda: session(feeds),
                "GPU alone": raw.gpu_alone(),
                "GPU with copies": raw.recorded(),
                "loop": raw.loop(),
            }
        if polygraphy is not None:
            calls["Polygraphy"] = polygraphy[0]
        with raw.device.current():
            times = _in_turn(calls)
    if polygraphy is not None:
        polygraphy[1]()
    medians = {name: float(np.median(each)) for name, each in times.items()}
    row: Row = {"": label}
    row |= {f"{name} µs": round(value, 1) for name, value in medians.items()}
    row["onepass / GPU alone"] = round(medians["onepass"] / medians["GPU alone"], 3)
    for rival in ("loop", "Polygraphy"):
        if rival in medians:
            row[f"{rival} / onepass"] = round(medians[rival] / medians["onepass"], 2)
    return row


def measure_batches(engine: Path) -> list[Row]:
    """Return one row for each batch of the eye network."""
    data = engine.read_bytes()
    rng = np.random.default_rng(0)
    with onepass.load(data) as session:
        (spec,) = session.signature.inputs
    rows = []
    for batch in _BATCHES:
        shape = (batch, *(dim for dim in (spec.shape or ())[1:] if isinstance(dim, int)))
        rows.append(_row(f"batch {batch}", data, {spec.name: rng.uniform(-1, 1, shape).astype(spec.dtype)}))
    return rows


def measure_outputs() -> list[Row]:
    """Return one row for each number of outputs of an engine that does next to nothing."""
    rows = []
    for count in (1, 8, 32):
        edges = ", ".join(f"float[N] y{i}" for i in range(count))
        nodes = "\n".join(f"c{i} = Constant <value_float = {i}.5> ()\n y{i} = Add (x, c{i})" for i in range(count))
        text = f'<ir_version: 9, opset_import: ["" : 17]> g (float[N] x) => ({edges}) {{ {nodes} }}'
        tactics = os.environ.get("TACTIC_SOURCES", "").split() or None
        plan = plan_from_graph(
            OnnxGraph(onnx.parser.parse_model(text)), BuildOptions(batch=(1, 4, 8), tactic_sources=tactics)
        )
        row = _row(f"{count} outputs", plan.engine_bytes(), {"x": np.ones(4, np.float32)})
        row["Python µs"] = round(row["onepass µs"] - row["GPU with copies µs"], 1)
        rows.append(row)
    return rows


def main() -> None:
    """Measure and write ``results/tensorrt*.json``."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python -m benchmarks.tensorrt ENGINE\n\n{__doc__}")
    with onepass.load(sys.argv[1]) as session:
        report = session.report()
    where = {
        name: report[name] for name in ("device", "compute_capability", "backend", "version", "driver_cuda_version")
    }
    write_results("tensorrt_outputs", measure_outputs(), where=where)
    write_results("tensorrt_batches", measure_batches(Path(sys.argv[1])), where=where)


if __name__ == "__main__":
    main()
