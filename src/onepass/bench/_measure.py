"""Time several calls in turn, until their medians are precise enough or the time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from onepass.bench._statistics import median_spread
from onepass.outputs import Array

Call = Callable[[], object]

_LEAST_ROUNDS = 10
_MOST_CALLS = 200_000
_BLOCKS = 8


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of one contender's calls.

    Attributes:
        seconds: One value per call, in order.
        rounds: One value per round in which every contender had its turn: the time of the call, or, with several
            calling threads, the machine time per call (duration of the block over its number of calls).
    """

    seconds: Array
    rounds: Array


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to measure.

    Attributes:
        seconds: Time limit for one set of contenders, excluding warm-up.
        spread: Stop when the 95 % interval of every median is within this fraction of the median.
        warm_up_seconds: Duration of the calls before the measurement; at least three are made.
    """

    seconds: float = 5.0
    spread: float = 0.01
    warm_up_seconds: float = 0.5


def time_calls(calls: Sequence[Call], patience: Patience, *, seed: int = 0) -> list[Timing]:
    """Time each call alone; in every round each has one turn, in a new random order.

    Other load on the machine affects all of them alike, and no call always follows the same other call.
    """
    _warm_up(calls, patience.warm_up_seconds)
    rng = np.random.default_rng(seed)
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + patience.seconds
    check = _LEAST_ROUNDS
    while time.perf_counter() < end and len(times[0]) * len(calls) < _MOST_CALLS:
        for index in rng.permutation(len(calls)):
            begin = time.perf_counter()
            calls[index]()
            times[index].append(time.perf_counter() - begin)
        if len(times[0]) >= check:
            # At least 100 calls, so that p99 has some basis.
            if check >= 100 and all(median_spread(np.array(each)) <= patience.spread for each in times):
                break
            check = max(check + 1, int(check * 1.3))
    return [Timing(np.array(each), np.array(each)) for each in times]


def time_callers(calls: Sequence[Call], callers: int, patience: Patience, *, seed: int = 0) -> list[Timing]:
    """Time each call while `callers` threads make it concurrently, in short blocks that take turns."""
    _warm_up(calls, patience.warm_up_seconds)
    rng = np.random.default_rng(seed)
    times: list[list[float]] = [[] for _ in calls]
    rounds: list[list[float]] = [[] for _ in calls]
    block = max(patience.seconds / (_BLOCKS * len(calls)), 0.02)
    for _ in range(_BLOCKS):
        for index in rng.permutation(len(calls)):
            begin = time.perf_counter()
            made = _block(calls[index], callers, begin + block)
            rounds[index].append((time.perf_counter() - begin) / len(made))
            times[index].extend(made)
    return [Timing(np.array(each), np.array(per)) for each, per in zip(times, rounds, strict=True)]


def _block(call: Call, callers: int, end: float) -> list[float]:
    made: list[list[float]] = [[] for _ in range(callers)]
    errors: list[BaseException] = []

    def work(times: list[float]) -> None:
        try:
            while not times or time.perf_counter() < end:
                begin = time.perf_counter()
                call()
                times.append(time.perf_counter() - begin)
        except BaseException as error:  # noqa: BLE001 - raised again by the measuring thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(each,), name="onepass-bench") for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [seconds for each in made for seconds in each]


def _warm_up(calls: Sequence[Call], seconds: float) -> None:
    for call in calls:
        end = time.perf_counter() + seconds / len(calls)
        made = 0
        while made < 3 or time.perf_counter() < end:
            call()
            made += 1
