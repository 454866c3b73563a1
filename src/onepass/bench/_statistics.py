"""Statistics over the times of one call: summary, uncertainty, and reasons to distrust them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from onepass.outputs import Array

_RESAMPLES = 1000
_FEW = 30
_DRIFT = 0.1
_WIDE = 0.25
_APART = 6.0  # Ashman's D between the halves of a normal sample is 2.7, of a uniform sample 3.5
_MODES = 1.15
_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that one call takes, from the call until its outputs are available.

    Attributes:
        median: 50 % of the calls take at most this long.
        p90: 90 % of the calls take at most this long.
        p99: 99 % of the calls take at most this long.
        minimum: The fastest call.
        mean: The mean of all calls.
        count: Number of calls measured.
    """

    median: float
    p90: float
    p99: float
    minimum: float
    mean: float
    count: int

    @classmethod
    def of(cls, seconds: Array) -> Latency:
        """Summarize the times of single calls, in seconds."""
        median, p90, p99 = (float(value) for value in np.percentile(seconds, (50, 90, 99)))
        return cls(median, p90, p99, float(seconds.min()), float(seconds.mean()), int(seconds.size))


@dataclass(frozen=True, slots=True)
class Ratio:
    """The time of one model relative to another; below 1 is faster.

    Attributes:
        value: Ratio of the medians.
        low: Lower bound of the 95 % confidence interval.
        high: Upper bound.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 1, so that one of the two is known to be faster."""
        return not self.low <= 1 <= self.high


def ratio_of(seconds: Array, reference: Array, *, seed: int = 0) -> Ratio:
    """Return the ratio of two medians with its bootstrap interval (Efron 1979, percentile method).

    Args:
        seconds: Times, one per round.
        reference: Times of the model in the denominator, in the same rounds. Resampling draws whole rounds, so a round
            in which the machine was busy counts for both models or for neither.
        seed: Seed of the resampling.
    """
    rounds = min(seconds.size, reference.size)
    one, other = seconds[:rounds], reference[:rounds]
    rng = np.random.default_rng(seed)
    ratios = np.empty(_RESAMPLES)
    for index in range(_RESAMPLES):
        drawn = rng.integers(0, rounds, rounds)
        ratios[index] = np.median(one[drawn]) / np.median(other[drawn])
    low, high = (float(value) for value in np.percentile(ratios, (2.5, 97.5)))
    return Ratio(float(np.median(one) / np.median(other)), low, high)


def median_spread(seconds: Array) -> float:
    """Return half the width of the median's 95 % confidence interval, relative to the median.

    The interval lies between two order statistics, so it holds for any distribution (normal approximation of the
    binomial distribution).
    """
    count = seconds.size
    if count < 6:
        return math.inf
    ordered = np.sort(seconds)
    half = 0.98 * math.sqrt(count)
    low, high = max(0, math.floor(count / 2 - half)), min(count - 1, math.ceil(count / 2 + half))
    return float((ordered[high] - ordered[low]) / (2 * np.median(ordered)))


def doubts(seconds: Array) -> Iterator[str]:
    """Yield every reason to distrust these times, each as ``kind: detail``.

    Args:
        seconds: Times of single calls, in the order in which they were measured.
    """
    if seconds.size < _FEW:
        yield f"few calls: {seconds.size} were measured"
    elif seconds.size < 200:
        yield f"uncertain p99: it is based on one of {seconds.size} calls"
    if seconds.size < 10:
        return
    low, median, high = (float(value) for value in np.percentile(seconds, (25, 50, 75)))
    third = seconds.size // 3
    early, late = float(np.median(seconds[:third])), float(np.median(seconds[-third:]))
    if abs(late / early - 1) > _DRIFT:
        yield f"drift: the median went from {early * 1e3:.3g} to {late * 1e3:.3g} ms during the measurement"
    modes = _modes(seconds)
    if modes is not None:
        around = f"{modes[0] * 1e3:.3g} and {modes[1] * 1e3:.3g} ms"
        yield f"two groups of times: around {around}; the median lies in one of them"
    elif (high - low) / median > _WIDE:
        yield f"noise: half of the calls took {low * 1e3:.3g} to {high * 1e3:.3g} ms"


def _modes(seconds: Array) -> tuple[float, float] | None:
    """Return the medians of two groups that are far apart (Ashman et al. 1994), or None for a single group."""
    logs = np.sort(np.log(np.maximum(seconds, 1e-12)))
    logs = logs[: max(10, int(logs.size * 0.95))]  # a few slow calls are a tail, not a group of their own
    cut = _best_cut(logs)
    one, other = logs[:cut], logs[cut:]
    if min(one.size, other.size) < _SHARE * logs.size:
        return None
    gap = float(other.mean() - one.mean())
    spread = math.sqrt(float(one.var() + other.var()) / 2) or 1e-12
    if gap / spread < _APART or math.exp(gap) < _MODES:
        return None
    return float(np.exp(np.median(one))), float(np.exp(np.median(other)))


def _best_cut(ordered: Array) -> int:
    """Return where to split a sorted sample so that the variance within the two parts is least."""
    count = np.arange(1, ordered.size)
    sums = np.cumsum(ordered)[:-1]
    rest = ordered.sum() - sums
    # The least variance within the parts is the greatest variance between them (Otsu 1979).
    between = sums**2 / count + rest**2 / (ordered.size - count)
    return int(between.argmax()) + 1


def milliseconds(latency: Latency) -> dict[str, Any]:
    """Return a latency as plain JSON values, in milliseconds."""
    return {
        "median_ms": latency.median * 1e3,
        "p90_ms": latency.p90 * 1e3,
        "p99_ms": latency.p99 * 1e3,
        "min_ms": latency.minimum * 1e3,
        "mean_ms": latency.mean * 1e3,
        "calls": latency.count,
    }
