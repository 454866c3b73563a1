"""What times amount to, and when they are not believed."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onepass.bench import Latency, Ratio
from onepass.bench._statistics import doubts, median_spread, milliseconds, ratio_of

Samples = np.ndarray[Any, Any]


def _steady(rng: np.random.Generator, count: int = 1000, middle: float = 1e-3) -> Samples:
    """Times as a quiet machine gives them: a narrow peak with a tail of slow calls."""
    return middle * (1 + 0.02 * rng.standard_normal(count) + 0.5 * (rng.random(count) > 0.99))


def test_latency_is_that_of_numpy(rng: np.random.Generator) -> None:
    """Median, percentiles, least and mean are NumPy's."""
    seconds = rng.exponential(size=999)
    found = Latency.of(seconds)
    assert found.median == np.median(seconds)
    assert (found.p90, found.p99) == tuple(np.percentile(seconds, (90, 99)))
    assert (found.minimum, found.mean, found.count) == (seconds.min(), seconds.mean(), 999)
    assert milliseconds(found)["median_ms"] == found.median * 1e3


@settings(max_examples=25)  # each draws thousands of samples
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5))
def test_ratio_interval_holds_the_ratio(seed: int, factor: float) -> None:
    """The interval is about the ratio of the medians, and holds the true one where the samples are as drawn."""
    rng = np.random.default_rng(seed)
    found = ratio_of(_steady(rng, 400, factor), _steady(rng, 400, 1))
    assert found.low <= found.value <= found.high
    assert found.low * 0.98 <= factor <= found.high * 1.02


def test_ratio_of_the_same() -> None:
    """A model against itself is 1; a ratio is clear only if its interval leaves 1 out."""
    rng = np.random.default_rng(0)
    same = ratio_of(_steady(rng), _steady(rng))
    assert same.value == pytest.approx(1, abs=0.01)
    assert Ratio(0.9, 0.8, 0.95).is_clear
    assert not Ratio(1.1, 0.9, 1.2).is_clear
    assert str(Ratio(1, 0.5, 2)) == "1.000 [0.500, 2.000]"


def test_rounds_are_drawn_together(rng: np.random.Generator) -> None:
    """Where the machine's load moves both models alike, the interval of their ratio stays narrow."""
    load = np.exp(rng.standard_normal(300))
    paired = ratio_of(2 * load, load)
    apart = ratio_of(2 * load, rng.permutation(load))
    assert paired.high - paired.low < (apart.high - apart.low) / 10


def test_spread_shrinks_with_calls(rng: np.random.Generator) -> None:
    """The interval of the median covers it about as often as promised, and shrinks with the root of the calls."""
    assert median_spread(np.ones(5)) == math.inf
    assert median_spread(np.ones(100)) == 0
    few, many = (median_spread(1 + 0.1 * rng.standard_normal(count)) for count in (100, 10_000))
    assert 5 < few / many < 20
    held = 0
    for _ in range(200):
        sample = 1 + 0.1 * rng.standard_normal(400)
        held += abs(float(np.median(sample)) - 1) <= 1.3 * median_spread(sample) * float(np.median(sample))
    assert held > 180


def test_a_quiet_machine_is_believed(rng: np.random.Generator) -> None:
    """Steady times, and a sample that is merely skewed or normal, raise no doubt about groups or drift."""
    for _ in range(20):
        assert list(doubts(_steady(rng))) == []
        assert list(doubts(1e-3 * rng.lognormal(sigma=0.1, size=1000))) == []


@pytest.mark.parametrize(
    ("make", "doubt"),
    [
        (lambda rng: _steady(rng, 12), "few calls: 12 were measured"),
        (lambda rng: _steady(rng, 150), "uncertain p99: it is based on one of 150 calls"),
        (
            lambda rng: np.where(rng.random(1000) < 0.4, _steady(rng), 3 * _steady(rng)),
            "two groups of times: around 1",
        ),
        (lambda rng: _steady(rng) * np.linspace(1, 1.5, 1000), "drift: the median went from 1."),
        (lambda rng: 1e-3 * rng.lognormal(sigma=0.5, size=1000), "noise: half of the calls took"),
    ],
)
def test_what_is_not_believed(make: Any, doubt: str, rng: np.random.Generator) -> None:
    """Too few calls, two groups, drift and noise are each told."""
    assert any(doubt in each for each in doubts(make(rng)))
