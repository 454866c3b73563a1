"""A call's cost over ``onnxruntime.InferenceSession.run``, by number of outputs, and its growth."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime

import onepass
from benchmarks.report import Row
from onepass.outputs import Array

_WARM_UP = 2_000
_CALLS = 20_000


def measure() -> list[Row]:
    """Return one row per number of outputs."""
    return [_row(count) for count in (1, 8, 32)]


def _model(outputs: int) -> bytes:
    """Return a nearly empty model, so that the benchmark times the call."""
    edges = ", ".join(f"float[N] y{i}" for i in range(outputs))
    nodes = "\n".join(f"y{i} = Neg (x)" for i in range(outputs))
    proto = onnx.parser.parse_model(
        f'<ir_version: 9, opset_import: ["" : 17]> g (float[N] x) => ({edges}) {{ {nodes} }}'
    )
    data: bytes = proto.SerializeToString()
    return data


def _row(outputs: int) -> Row:
    data = _model(outputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    raw = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    session = onepass.load(data, threads=1)
    x = np.ones(4, np.float32)
    feeds = {"x": x}
    theirs, ours = _interleaved(lambda: raw.run(None, feeds), lambda: session(x=x))
    added = ours - theirs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    later = _interleaved(lambda: raw.run(None, feeds), lambda: session(x=x), warm_up=0)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "outputs": outputs,
        "onnxruntime median µs": round(float(np.median(theirs)), 2),
        "onepass median µs": round(float(np.median(ours)), 2),
        "added median µs": round(float(np.median(added)), 2),
        "added after 20,000 more calls µs": round(float(np.median(later[1] - later[0])), 2),
        "memory grown KB": grown_kb,
        "ratio": round(float(np.median(ours) / np.median(theirs)), 3),
    }


def _interleaved(
    first: Callable[[], object], second: Callable[[], object], *, warm_up: int = _WARM_UP
) -> tuple[Array, Array]:
    """Time two calls in turn, so that other load affects both; microseconds."""
    times = np.empty((2, _CALLS))
    for index in range(-warm_up, _CALLS):
        for which, call in enumerate((first, second)):
            begin = time.perf_counter_ns()
            call()
            times[which, index] = time.perf_counter_ns() - begin
    return times[0] / 1e3, times[1] / 1e3
