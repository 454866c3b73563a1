"""``python -m benchmarks.engine_accuracy ENGINE ONNX EYES.npz``: an engine of an eye network against float32.

EYES.npz holds ``x``, uint8 [N, 1, H, W]: histogram-equalised eyes in the network's input size. Every output of the
engine is compared with ONNX Runtime in float32, two eyes per call; then calls with 2 and 64 eyes are timed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import onepass
from benchmarks.raw_engine import where_of
from benchmarks.report import Row, write_results
from onepass import Session
from onepass.outputs import Array

_CALLS = 300
_WARM_UP = 50


def _microseconds(session: Session, eyes: Array) -> float:
    times = []
    for _ in range(_WARM_UP + _CALLS):
        begin = time.perf_counter()
        session(eye=eyes)
        times.append((time.perf_counter() - begin) * 1e6)
    return float(np.median(times[_WARM_UP:]))


def measure(engine: str, onnx: str, eyes: str) -> Row:
    """Return the engine's errors, and the time per call."""
    with np.load(eyes) as arrays:
        x = arrays["x"].astype(np.float32) * (2 / 255) - 1
    with onepass.load(engine) as session, onepass.load(onnx) as exact:
        off: dict[str, list[Array]] = {name: [] for name in exact.signature.output_names}
        for first in range(0, len(x) - 1, 2):
            found, expected = session(eye=x[first : first + 2]), exact(eye=x[first : first + 2])
            for name, errors in off.items():
                errors.append(np.abs(found[name] - expected[name]).reshape(-1))
        errors_of = {name: np.concatenate(errors) for name, errors in off.items()}
        landmarks = errors_of["landmarks"]
        return {
            "": Path(engine).stem,
            "eyes": len(x) // 2 * 2,
            "landmarks px, median": round(float(np.median(landmarks)), 4),
            "99.9 %": round(float(np.percentile(landmarks, 99.9)), 3),
            "most": round(float(landmarks.max()), 3),
            "heatmaps, most": round(float(errors_of["heatmaps"].max()), 4),
            "radius, most": round(float(errors_of["radius"].max()), 4),
            **{f"a call of {n} µs": round(_microseconds(session, x[:n]), 1) for n in (2, 64)},
        }


def main() -> None:
    """Measure and write ``results/engine_accuracy.*``; several engines as several triples."""
    words = sys.argv[1:]
    if not words or len(words) % 3:
        sys.exit(f"usage: python -m benchmarks.engine_accuracy ENGINE ONNX EYES.npz ...\n\n{__doc__}")
    triples = [words[first : first + 3] for first in range(0, len(words), 3)]
    write_results("engine_accuracy", [measure(*each) for each in triples], where=where_of(words[0]))


if __name__ == "__main__":
    main()
