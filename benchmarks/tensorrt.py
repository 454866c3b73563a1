"""``python -m benchmarks.tensorrt ENGINE``: the cost of all outputs of an engine, on this machine's GPU.

NumPy in, every output as NumPy out: by onepass, also with `empty_inputs`, by Polygraphy's TrtRunner, by a loop with a
buffer for each output. For comparison, the GPU's work alone: one graph of the computation, without copies, and with a
page-locked copy per tensor. Candidates take turns. TACTIC_SOURCES names the libraries that kernels may come from, for a
TensorRT that lacks one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

import onepass
from benchmarks.raw_engine import Call, RawEngine, eye_feeds, where_of
from benchmarks.report import Row, write_results
from onepass.engine import BuildOptions, plan_from_graph
from onepass.graph import OnnxGraph
from onepass.outputs import Array

_BATCHES = (1, 2, 16, 256)
_ROUNDS = 15
_CALLS = 40
_WARM_UP = 30


def _polygraphy(data: bytes, feeds: Mapping[str, Array]) -> tuple[Call, Call] | None:
    """Return a call of Polygraphy's runner, and a function that closes it; None if it is not installed."""
    try:
        from polygraphy.backend.trt import EngineFromBytes, TrtRunner
    except ImportError:
        return None
    runner = TrtRunner(EngineFromBytes(data))
    runner.activate()
    return lambda: runner.infer(dict(feeds)), runner.deactivate


def _in_turn(calls: Mapping[str, Call]) -> dict[str, Array]:
    """Return microseconds per call; blocks of calls take turns."""
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
    raw = RawEngine(data, feeds)
    polygraphy = _polygraphy(data, feeds)
    with onepass.load(data) as session:
        with raw.device.current():
            lent = session.empty_inputs(**{name: array.shape for name, array in feeds.items()})
            for name, array in feeds.items():
                lent[name][...] = array
            calls: dict[str, Call] = {
                "onepass": lambda: session(feeds),
                "empty_inputs": lambda: session(lent),
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
    for base in ("GPU alone", "GPU with copies"):
        row[f"onepass / {base}"] = round(medians["onepass"] / medians[base], 3)
    for rival in ("loop", "Polygraphy"):
        if rival in medians:
            row[f"{rival} / onepass"] = round(medians[rival] / medians["onepass"], 2)
    return row


def measure_batches(engine: Path) -> list[Row]:
    """Return one row per batch of the eye network."""
    data = engine.read_bytes()
    return [_row(f"batch {batch}", data, eye_feeds(data, batch)) for batch in _BATCHES]


def measure_outputs() -> list[Row]:
    """Return one row per number of outputs of a nearly empty engine."""
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
    where = where_of(sys.argv[1])
    write_results("tensorrt_outputs", measure_outputs(), where=where)
    write_results("tensorrt_batches", measure_batches(Path(sys.argv[1])), where=where)


if __name__ == "__main__":
    main()
