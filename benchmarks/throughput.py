"""``python -m benchmarks.throughput ENGINE``: how close calls come to the GPU's own rate, and the cost of kept results.

NumPy in, every output as NumPy out: by one caller, by two threads, by `submit` with two calls ahead. For comparison,
the GPU's work alone, and with copies in the same recording. Candidates take turns. Two threads also run many rounds
with their own inputs, and every output is compared, bit for bit, with a call alone.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import onepass
from benchmarks.callers import Block, equal_rounds, in_turn, repeated, two_threads
from benchmarks.raw_engine import RawEngine, eye_feeds, where_of
from benchmarks.report import Row, write_results
from onepass import Session
from onepass.outputs import Array

_BATCHES = (1, 2, 16, 64, 256)
_ROUNDS = 9
_CALLS = 100
_EQUAL_ROUNDS = 300
_KEPT = 50


def _blocks(session: Session, feeds: Mapping[str, Array], raw: RawEngine) -> dict[str, Block]:
    """Return, by candidate, a function that makes a number of calls."""
    alone, copies = raw.gpu_alone(), raw.recorded()

    one = repeated(lambda: session(feeds))

    def ahead(count: int) -> None:
        waiting = deque(session.submit(feeds) for _ in range(2))
        for _ in range(count - 2):
            waiting.popleft().result()
            waiting.append(session.submit(feeds))
        for future in waiting:
            future.result()

    return {
        "GPU alone": repeated(alone),
        "GPU with copies": repeated(copies),
        "one caller": one,
        "two threads": lambda count: two_threads(lambda _: one(count // 2)),
        "submit, 2 ahead": ahead,
    }


def measure_throughput(engine: Path) -> list[Row]:
    """Return one row per batch."""
    data = engine.read_bytes()
    rows = []
    for batch in _BATCHES:
        feeds = eye_feeds(data, batch)
        raw = RawEngine(data, feeds)
        with onepass.load(data) as session, raw.device.current():
            medians = in_turn(_blocks(session, feeds, raw), rounds=_ROUNDS, calls=_CALLS)
            equal = equal_rounds(session, feeds, rounds=_EQUAL_ROUNDS)
        row: Row = {"": f"batch {batch}"}
        row |= {f"{name} µs": round(value, 1) for name, value in medians.items()}
        row["one caller / GPU with copies"] = round(medians["one caller"] / medians["GPU with copies"], 3)
        for name in ("two threads", "submit, 2 ahead"):
            row[f"{name} / GPU alone"] = round(medians[name] / medians["GPU alone"], 3)
        row["rounds equal to the bit"] = f"{equal} of {_EQUAL_ROUNDS}"
        rows.append(row)
    return rows


def _kept(session: Session, feeds: Mapping[str, Array]) -> float:
    """Return microseconds per call with kept results, a mean."""
    begin = time.perf_counter()
    results = [session(feeds) for _ in range(_KEPT)]
    return (time.perf_counter() - begin) / len(results) * 1e6


def _dropped(session: Session, feeds: Mapping[str, Array]) -> float:
    """Return microseconds per call without kept results, a mean."""
    begin = time.perf_counter()
    for _ in range(_KEPT):
        session(feeds)
    return (time.perf_counter() - begin) / _KEPT * 1e6


def _first_kept(session: Session, feeds: Mapping[str, Array]) -> float:
    """Return the same for a new session: its first kept results."""
    for _ in range(10):
        session(feeds)
    return _kept(session, feeds)


def measure_kept(engine: Path) -> list[Row]:
    """Return one row per batch and budget: the cost of a call with a kept result.

    A virtual machine may get memory from its host only on the first write, which takes many times as long. The first
    time is therefore measured in two sessions: the second session uses memory that the machine already has.
    """
    data = engine.read_bytes()
    rows = []
    for batch, keep_bytes in ((1, None), (64, None), (256, None), (64, 0), (256, 0)):
        feeds = eye_feeds(data, batch)
        with onepass.load(data, keep_bytes=keep_bytes) as session:
            first = _first_kept(session, feeds)
        with onepass.load(data, keep_bytes=keep_bytes) as session:
            size = sum(array.nbytes for array in session(feeds).values())
            first_again = _first_kept(session, feeds)
            pairs = [(_kept(session, feeds), _dropped(session, feeds)) for _ in range(_ROUNDS)]
            locked = session.report()["keep_bytes"]["used"]
        later, none = (float(np.median(each)) for each in zip(*pairs, strict=True))
        rows.append(
            {
                "": f"batch {batch}, {size / 1e6:.2g} MB",
                "keep_bytes": "default" if keep_bytes is None else keep_bytes,
                "none kept µs": round(none, 1),
                f"{_KEPT} kept, first time µs": round(first, 1),
                "the same in a new session µs": round(first_again, 1),
                f"{_KEPT} kept, again µs": round(later, 1),
                "new session / none kept": round(first_again / none, 2),
                "again / none kept": round(later / none, 2),
                "page-locked MB": round(locked / 1e6, 1),
            }
        )
    return rows


def main() -> None:
    """Measure and write ``results/throughput.*`` and ``results/kept.*``."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python -m benchmarks.throughput ENGINE\n\n{__doc__}")
    engine = Path(sys.argv[1])
    where = where_of(engine)
    write_results("throughput", measure_throughput(engine), where=where)
    write_results("kept", measure_kept(engine), where=where)


if __name__ == "__main__":
    main()
