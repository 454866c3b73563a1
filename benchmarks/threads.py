"""Gain and cost of a second thread for a small network, on an idle and on a busy machine."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import numpy as np
import onnxruntime

import onepass.gaze
from benchmarks.report import Row
from onepass.outputs import Array

_CALLS = 300
_SETTINGS = ((1, True), (2, True), (2, False))


def measure() -> list[Row]:
    """Return one row per network, number of threads and way of waiting."""
    return [
        _row(model, threads, spin, busy)
        for model in onepass.gaze.PACKAGED_MODELS.values()
        for busy in (False, True)
        for threads, spin in _SETTINGS
    ]


def _row(model: str, threads: int, spin: bool, busy: bool) -> Row:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    session = onnxruntime.InferenceSession(
        Path(onepass.gaze.__file__).parent / "data" / model, options, providers=["CPUExecutionProvider"]
    )
    shape = [2, *session.get_inputs()[0].shape[1:]]
    feeds = {"eye": np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)}
    others = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(2 if busy else 0)]
    for other in others:
        other.start()
    try:
        times = _times(session, feeds)
    finally:
        for other in others:
            other.terminate()
    return {
        "network, two eyes": model,
        "machine": "busy (2 other processes)" if busy else "idle",
        "threads": threads,
        "waiting": "spins" if spin else "sleeps",
        "median ms": round(float(np.median(times)), 2),
        "p90 ms": round(float(np.percentile(times, 90)), 2),
    }


def _times(session: onnxruntime.InferenceSession, feeds: dict[str, Array]) -> list[float]:
    times = []
    for index in range(-30, _CALLS):
        begin = time.perf_counter()
        session.run(None, feeds)
        if index >= 0:
            times.append((time.perf_counter() - begin) * 1e3)
    return times


def _burn() -> None:
    while True:
        sum(range(10_000))
