"""Calls from one caller and from two at once, timed in turn and compared with calls alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from onepass import Session
from onepass.outputs import Array

Block: TypeAlias = Callable[[int], object]
"""Does so many calls."""


def repeated(call: Callable[[], object]) -> Block:
    """Return a block of calls from one caller."""

    def block(count: int) -> None:
        for _ in range(count):
            call()

    return block


def two_threads(work: Callable[[int], object]) -> None:
    """Run two threads, each with its number."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_turn(blocks: Mapping[str, Block], *, rounds: int, calls: int) -> dict[str, float]:
    """Return microseconds per call: the median of several rounds in which the blocks take turns."""
    times: dict[str, list[float]] = {name: [] for name in blocks}
    for turn in range(rounds + 1):
        for name, block in blocks.items():
            begin = time.perf_counter()
            block(calls)
            if turn:  # the first warms up
                times[name].append((time.perf_counter() - begin) / calls * 1e6)
    return {name: float(np.median(each)) for name, each in times.items()}


def equal_rounds(session: Session, feeds: Mapping[str, Array], *, rounds: int) -> int:
    """Return the number of rounds in which two overlapping calls equal calls alone, bit for bit."""
    rng = np.random.default_rng(1)
    inputs = [{n: rng.uniform(-1, 1, a.shape).astype(a.dtype) for n, a in feeds.items()} for _ in range(8)]
    alone = [{name: array.copy() for name, array in session(each).items()} for each in inputs]
    together = threading.Barrier(2)
    equal = [[False] * rounds for _ in range(2)]

    def work(number: int) -> None:
        for turn in range(rounds):
            which = (turn + 3 * number) % len(inputs)
            together.wait()
            outputs = session(inputs[which])
            equal[number][turn] = all(np.array_equal(outputs[name], array) for name, array in alone[which].items())

    two_threads(work)
    return sum(first and second for first, second in zip(*equal, strict=True))
