"""What many times of one call amount to, how sure that is, and when it should not be believed."""

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
_APART = 6.0  # Ashman's D of the halves of a normal sample is 2.7, of a uniform one 3.5
_MODES = 1.15
_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that one call takes, from the moment it is made to the moment the outputs are there.

    Attributes:
        median: Half of the calls take no longer.
        p90: Nine in ten take no longer.
        p99: Ninety-nine in a hundred take no longer.
        minimum: The fastest.
        mean: Their mean.
        count: Calls measured.
    """

    median: float
    p90: float
    p99: float
    minimum: float
    mean: float
    count: int

    @classmethod
    def of(cls, seconds: Array) -> Latency:
        """Sum up the times of single calls."""
        median, p90, p99 = (float(value) for value in np.percentile(seconds, (50, 90, 99)))
        return cls(median, p90, p99, float(seconds.min()), float(seconds.mean()), int(seconds.size))


@dataclass(frozen=True, slots=True)
class Ratio:
    """How long one model takes over another: below 1 is faster.

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
        """Whether the interval leaves 1 out: whether one of the two is faster at all."""
        return not self.low <= 1 <= self.high


def ratio_of(seconds: Array, reference: Array, *, seed: int = 0) -> Ratio:
    """Return the ratio of two medians with its bootstrap interval (Efron 1979, percentile method).

    Args:
        seconds: Times, one for each round.
        reference: Times of the model in the denominator, in the same rounds, so that a round in which the machine was
            busy is drawn, or not, for both.
        seed: Of the resampling.
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
    """Return half the width of the 95 % interval of the median, over the median.

    The interval is that between two order statistics, which holds for any distribution (the normal approximation of the
    binomial).
    """
    count = seconds.size
    if count < 6:
        return math.inf
    ordered = np.sort(seconds)
    half = 0.98 * math.sqrt(count)
    low, high = max(0, math.floor(count / 2 - half)), min(count - 1, math.ceil(count / 2 + half))
    return float((ordered[high] - ordered[low]) / (2 * np.median(ordered)))


def doubts(seconds: Array) -> Iterator[str]:
    """Yield every reason not to believe what these times say; they are in the order in which they were measured."""
    if seconds.size < _FEW:
        yield f"only {seconds.size} calls were measured; give it more time"
    elif seconds.size < 200:
        yield f"p99 rests on {max(1, seconds.size // 100)} of {seconds.size} calls"
    if seconds.size < 10:
        return
    low, median, high = (float(value) for value in np.percentile(seconds, (25, 50, 75)))
    third = seconds.size // 3
    early, late = float(np.median(seconds[:third])), float(np.median(seconds[-third:]))
    if abs(late / early - 1) > _DRIFT:
        yield f"times drifted: the median went from {early * 1e3:.3g} to {late * 1e3:.3g} ms while it was measured"
    modes = _modes(seconds)
    if modes is not None:
        around = f"{modes[0] * 1e3:.3g} and {modes[1] * 1e3:.3g} ms"
        yield f"times fall into two groups, around {around}: the median is one or the other"
    elif (high - low) / median > _WIDE:
        yield f"the machine is noisy: half of the calls lie between {low * 1e3:.3g} and {high * 1e3:.3g} ms"


def _modes(seconds: Array) -> tuple[float, float] | None:
    """Return the middles of two groups that are far apart (Ashman et al. 1994), None if there are none."""
    logs = np.sort(np.log(np.maximum(seconds, 1e-12)))
    logs = logs[: max(10, int(logs.size * 0.95))]  # a few slow calls are a tail, not a group
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
    """Return where to cut a sorted sample in two so that the parts vary least in themselves."""
    count = np.arange(1, ordered.size)
    sums = np.cumsum(ordered)[:-1]
    rest = ordered.sum() - sums
    # Least variance within is greatest variance between (Otsu).
    between = sums**2 / count + rest**2 / (ordered.size - count)
    return int(between.argmax()) + 1


def milliseconds(latency: Latency) -> dict[str, Any]:
    """Return a latency as JSON values, in milliseconds."""
    return {
        "median_ms": latency.median * 1e3,
        "p90_ms": latency.p90 * 1e3,
        "p99_ms": latency.p99 * 1e3,
        "min_ms": latency.minimum * 1e3,
        "mean_ms": latency.mean * 1e3,
        "calls": latency.count,
    }
