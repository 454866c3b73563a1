"""``python -m benchmarks.convert SOURCE …``: how long conversion takes, and what its clean-up gains.

Run it with the Python of `.venv-convert`, which has the frameworks. The raw model is the output of the framework's
exporter. The raw and the finished model run in turn on one thread. The tenth percentile is reported, because other
processes may run on the machine.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx

import onepass
from benchmarks.report import Row, write_results
from onepass import ModelError, OnnxGraph, Session
from onepass.outputs import Array
from onepass.sampling import random_inputs
from onepass.source.framework import Request, framework_of

_CALLS = 200


def main() -> None:
    """Measure every named source."""
    write_results("convert", [_row(Path(word)) for word in sys.argv[1:]])


def _row(source: Path) -> Row:
    framework = framework_of(source)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "model.onnx")
        conversion = onepass.convert(source, target, trust=True)
        raw = framework.open_(source, Request()).export(framework.opset)
        finished = OnnxGraph.load(target)
        raw_ms, finished_ms = _latencies(raw, finished)
    return {
        "source": source.name,
        "framework": conversion.framework,
        "s": round(conversion.seconds, 1),
        "nodes, raw": len(raw.graph.node),
        "nodes": len(finished.proto.graph.node),
        "raw ms": raw_ms,
        "ms": finished_ms,
        "greatest error, of scale": f"{max(error.relative for error in conversion.errors):.0e}",
    }


def _latencies(raw: onnx.ModelProto, finished: OnnxGraph) -> tuple[float | str, float]:
    with onepass.load(finished, threads=1) as session:
        inputs = random_inputs(session.signature)
        try:
            other = onepass.load(OnnxGraph(raw), threads=1)
        except ModelError:
            return "ONNX Runtime refuses it", _usual(_times([session], inputs)[0])
        with other:
            first, second = _times([other, session], inputs)
    return _usual(first), _usual(second)


def _times(sessions: list[Session], inputs: dict[str, Array]) -> Array:
    times = np.empty((len(sessions), _CALLS))
    for index in range(-_CALLS // 10, _CALLS):
        for which, session in enumerate(sessions):
            begin = time.perf_counter()
            session(inputs)
            times[which, index] = time.perf_counter() - begin
    return times


def _usual(seconds: Array) -> float:
    return round(float(np.percentile(seconds, 10)) * 1e3, 2)


if __name__ == "__main__":
    main()
