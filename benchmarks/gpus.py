"""``python -m benchmarks.gpus ENGINE``: several GPUs in one process, relative to one GPU.

NumPy in, every output as NumPy out. Two threads per GPU call one session on all GPUs; sessions on one and on several
GPUs take turns. Every result is compared, bit for bit, with one GPU's.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

import onepass
from benchmarks.raw_engine import eye_feeds, where_of
from benchmarks.report import Row, write_results
from onepass import Session
from onepass.outputs import Array

_BATCHES = (64, 256)
_ROUNDS = 7
_CALLS = 150


def _rate(session: Session, feeds: dict[str, Array], threads: int) -> float:
    """Return the items per second for a number of threads and calls per thread."""
    begun = threading.Barrier(threads + 1)

    def work() -> None:
        begun.wait()
        for _ in range(_CALLS):
            session(feeds)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    begun.wait()
    begin = time.perf_counter()
    for worker in workers:
        worker.join()
    batch = len(next(iter(feeds.values())))
    return threads * _CALLS * batch / (time.perf_counter() - begin)


def _equal(session: Session, feeds: dict[str, Array], expected: dict[str, Array], gpus: int) -> str:
    """Return how many results of submitted calls, on all GPUs, equal one GPU's bit for bit."""
    futures = [session.submit(feeds) for _ in range(30 * gpus)]
    same = [all(np.array_equal(f.result()[name], array) for name, array in expected.items()) for f in futures]
    return f"{sum(same)} of {len(same)}"


def measure(engine: Path) -> list[Row]:
    """Return one row per batch and number of GPUs."""
    data = engine.read_bytes()
    with onepass.load(data, device="all") as session:
        most = len(session.report().get("devices", [1]))
    rows = []
    for batch in _BATCHES:
        feeds = eye_feeds(data, batch)
        with ExitStack() as stack:
            counts = [count for count in range(1, most + 1) if count in (1, 2, 4, most)]
            sessions = {count: stack.enter_context(onepass.load(data, device=list(range(count)))) for count in counts}
            expected = {name: array.copy() for name, array in sessions[1](feeds).items()}
            rates: dict[int, list[float]] = {count: [] for count in counts}
            for turn in range(_ROUNDS + 1):
                for count, session in sessions.items():
                    rate = _rate(session, feeds, 2 * count)
                    if turn:  # the first warms up
                        rates[count].append(rate)
            medians = {count: float(np.median(each)) for count, each in rates.items()}
            rows += [
                {
                    "": f"batch {batch}, {count} GPU{'s' if count > 1 else ''}",
                    "items a second": round(medians[count]),
                    "of one GPU": round(medians[count] / medians[1], 3),
                    "equal to the bit": _equal(session, feeds, expected, count),
                }
                for count, session in sessions.items()
            ]
    return rows


def main() -> None:
    """Measure and write ``results/gpus.*``."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python -m benchmarks.gpus ENGINE\n\n{__doc__}")
    engine = Path(sys.argv[1])
    write_results("gpus", measure(engine), where=where_of(engine))


if __name__ == "__main__":
    main()
