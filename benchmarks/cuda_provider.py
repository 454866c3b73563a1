"""``python -m benchmarks.cuda_provider``: ONNX Runtime's CUDA provider, through onepass and directly.

The bundled networks, float32, NumPy in, every output as NumPy out: by onepass (one caller, with `empty_inputs`, two
threads), by ``session.run``, and by the provider's own CUDA graph with I/O binding, copies included. For comparison,
this graph alone, without copies. Candidates take turns. Two threads also run many rounds with their own inputs, and
every output is compared, bit for bit, with a call alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import onepass
from benchmarks.callers import equal_rounds, in_turn, repeated, two_threads
from benchmarks.report import Row, write_results
from onepass import Session
from onepass.outputs import Array

_NETWORKS = {"elg_60x36": (36, 60), "elg_120x72": (72, 120)}
_BATCHES = (1, 2, 16, 64, 256)
_ROUNDS = 9
_CALLS = 60
_EQUAL_ROUNDS = 100
_FLAT_CALLS = 20_000
_DATA = Path(onepass.__file__).parent / "gaze" / "data"


class ProvidersOwn:
    """The provider's own graph: inputs and outputs bound on the GPU, recorded by ONNX Runtime."""

    def __init__(self, path: Path, feeds: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        options = {"enable_cuda_graph": "1", "use_tf32": "0"}
        self._session = onnxruntime.InferenceSession(str(path), providers=[("CUDAExecutionProvider", options)])
        self._binding = self._session.io_binding()
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        self._feeds = dict(feeds)
        self._inputs = {name: value(array, "cuda", 0) for name, array in feeds.items()}
        self._outputs = {name: value(array, "cuda", 0) for name, array in outputs.items()}
        for name, each in self._inputs.items():
            self._binding.bind_ortvalue_input(name, each)
        for name, each in self._outputs.items():
            self._binding.bind_ortvalue_output(name, each)

    def alone(self) -> None:
        """Compute without copies."""
        self._session.run_with_iobinding(self._binding)

    def with_copies(self) -> list[Array]:
        """Compute, with inputs copied in and all outputs copied out."""
        for name, array in self._feeds.items():
            self._inputs[name].update_inplace(array)
        self._session.run_with_iobinding(self._binding)
        return [each.numpy() for each in self._outputs.values()]


def _row(network: str, batch: int, session: Session, expected: Session) -> Row:
    path = _DATA / f"{network}.onnx"
    shape = (batch, 1, *_NETWORKS[network])
    feeds = {"eye": np.random.default_rng(batch).uniform(-1, 1, shape).astype(np.float32)}
    outputs, exact = session(feeds, copy=True), expected(feeds)
    own = ProvidersOwn(path, feeds, dict(outputs))
    raw = onnxruntime.InferenceSession(str(path), providers=[("CUDAExecutionProvider", {"use_tf32": "0"})])
    lent = session.empty_inputs(eye=shape)
    lent["eye"][...] = feeds["eye"]
    one = repeated(lambda: session(feeds))
    medians = in_turn({
        "graph alone": repeated(own.alone),
        "provider's graph": repeated(own.with_copies),
        "session.run": repeated(lambda: raw.run(None, feeds)),
        "onepass": one,
        "empty_inputs": repeated(lambda: session(lent)),
        "two threads": lambda count: two_threads(lambda _: one(count // 2)),
    }, rounds=_ROUNDS, calls=_CALLS)  # fmt: skip
    row: Row = {"": f"{network}, batch {batch}"}
    row |= {f"{name} µs": round(value, 1) for name, value in medians.items()}
    row["onepass / provider's graph"] = round(medians["onepass"] / medians["provider's graph"], 3)
    row["two threads / graph alone"] = round(medians["two threads"] / medians["graph alone"], 3)
    row["session.run / onepass"] = round(medians["session.run"] / medians["onepass"], 2)
    row["landmarks off px"] = round(float(np.abs(outputs["landmarks"] - exact["landmarks"]).max()), 5)
    row["rounds equal to the bit"] = f"{equal_rounds(session, feeds, rounds=_EQUAL_ROUNDS)} of {_EQUAL_ROUNDS}"
    return row


def measure_calls() -> list[Row]:
    """Return one row per network and batch."""
    rows = []
    for network in _NETWORKS:
        path = _DATA / f"{network}.onnx"
        with onepass.load(path, providers=["cuda"]) as session, onepass.load(path) as expected:
            rows += [_row(network, batch, session, expected) for batch in _BATCHES]
            assert not any(each["eager_because"] for each in session.report()["passes"]), session.report()
    return rows


def measure_memory() -> list[Row]:
    """Return the memory that many calls take, on the host and on the GPU, and the time to open a session."""
    rows = []
    x = np.zeros((2, 1, 36, 60), np.float32)
    begin = time.perf_counter()
    with onepass.load(_DATA / "elg_60x36.onnx", providers=["cuda"]) as session:
        opened = time.perf_counter()
        session(eye=x)
        first = time.perf_counter()
        for _ in range(200):
            session(eye=x)
        for done in range(0, _FLAT_CALLS + 1, _FLAT_CALLS // 4):
            free = session.report()["memory_bytes"]["free"]
            rows.append({
                "calls": done,
                "host MB": round(_resident_bytes() / 1e6, 1),
                "GPU free MB": round(free / 1e6, 1),
                "opened s": round(opened - begin, 2),
                "first call s": round(first - opened, 2),
            })  # fmt: skip
            for _ in range(_FLAT_CALLS // 4):
                session(eye=x)
    return rows


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def _where() -> dict[str, Any]:
    with onepass.load(_DATA / "elg_60x36.onnx", providers=["cuda"]) as session:
        report = session.report()
    return {
        name: report[name] for name in ("device", "compute_capability", "backend", "version", "driver_cuda_version")
    }


def main() -> None:
    """Measure and write ``results/cuda_provider*.json``."""
    where = _where()
    write_results("cuda_provider", measure_calls(), where=where)
    write_results("cuda_provider_memory", measure_memory(), where=where)


if __name__ == "__main__":
    main()
