"""What is measured between two arrays: checked against NumPy, element by element."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onepass import InputError, OutputNameError
from onepass.compare import OutputDifference, Tolerance, Tolerances
from onepass.compare._difference import Meter

_FLOATS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
    elements=st.floats(width=32, allow_subnormal=False),
)


def _difference(
    first: Any, second: Any, *, atol: float = 1e-4, rtol: float = 1e-3, agreement: float = 1
) -> OutputDifference:
    a, b = np.asarray(first), np.asarray(second)
    meter = Meter("y", "y", (a.dtype, b.dtype), Tolerance(atol, rtol, agreement))
    meter.add("case", a, b)
    return meter.result()


@given(_FLOATS, st.integers(0, 2**32 - 1))
def test_as_numpy_has_it(a: np.ndarray[Any, Any], seed: int) -> None:
    """Elements beyond tolerance are those that NumPy's isclose refuses, NaN equal to NaN; errors are NumPy's."""
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        b = np.asarray(a + rng.choice([0, 1e-5, 1e-3, 1, math.nan, math.inf], a.shape).astype(np.float32))
    found = _difference(a, b)
    with np.errstate(all="ignore"):
        close = np.isclose(b.astype(float), a.astype(float), rtol=1e-3, atol=1e-4, equal_nan=True)
        both = np.isfinite(a) & np.isfinite(b)
        error = np.abs(a.astype(float) - b.astype(float))[both]
    # An element within a rounding error of its bound may fall either way.
    bound = np.abs(error - (1e-4 + 1e-3 * np.abs(a.astype(float)[both]))) < 1e-12
    assert abs(found.beyond - int(np.count_nonzero(~close))) <= np.count_nonzero(bound)
    assert found.count == a.size
    assert found.nans == (np.isnan(a).sum(), np.isnan(b).sum())
    assert found.infs == (np.isinf(a).sum(), np.isinf(b).sum())
    if error.size:
        assert found.mean_abs == pytest.approx(error.mean())
    histogram = found.histogram
    assert histogram.identical + sum(histogram.within) + sum(histogram.beyond) == a.size
    assert sum(histogram.beyond) == found.beyond
    shares = list(found.percentiles.values())
    assert shares == sorted(shares)
    assert not shares[-1] > found.max_abs


def test_percentiles_bound_the_errors(rng: np.random.Generator) -> None:
    """A percentile is never below the true one, and at most 6 % above it."""
    a = np.zeros(10_000)
    b = 10.0 ** rng.uniform(-9, 3, a.shape)
    found = _difference(a, b)
    for share, value in found.percentiles.items():
        true = float(np.sort(b)[math.ceil(share / 100 * len(b)) - 1])
        assert true * (1 - 1e-12) <= value <= true * 1.06
    assert found.max_abs == b.max()


def test_cases_add_up(rng: np.random.Generator) -> None:
    """Many cases measure as one case with all of their elements."""
    a = rng.standard_normal((6, 5)).astype(np.float32)
    b = a + rng.standard_normal((6, 5)).astype(np.float32) * np.float32(1e-3)
    meter = Meter("y", "y", (a.dtype, b.dtype), Tolerance(1e-4, 1e-3))
    for index in range(6):
        meter.add(f"case {index}", a[index], b[index])
    parts, whole = meter.result(), _difference(a, b)
    for name in ("count", "beyond", "max_abs", "percentiles", "histogram"):
        assert getattr(parts, name) == getattr(whole, name)
    for name in ("mean_abs", "max_rel", "mean_rel", "rms_rel", "cosine"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name))
    assert parts.worst is not None
    assert whole.worst is not None
    assert parts.worst.case == f"case {whole.worst.index[0]}"
    assert parts.worst.index == whole.worst.index[1:]
    assert a[whole.worst.index] == np.real(whole.worst.values[0])


def test_norms_and_cosine() -> None:
    """The relative norm and the cosine are those of the outputs as vectors."""
    found = _difference([3.0, 4.0], [3.0, 0.0])
    assert found.rms_rel == pytest.approx(4 / 5)
    assert found.cosine == pytest.approx(9 / 15)
    assert (found.max_rel, found.mean_rel) == (1.0, 0.5)
    assert _difference([0.0], [1.0]).cosine is None
    assert _difference([0.0], [0.0]).rms_rel == 0
    assert _difference([0.0], [1.0]).rms_rel == math.inf


def test_what_only_one_has() -> None:
    """A NaN or infinity in one model alone is beyond every tolerance; the same in both is no difference."""
    assert _difference([math.nan, math.inf, -math.inf], [math.nan, math.inf, -math.inf], atol=0, rtol=0).passed
    for a, b in ((math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (math.inf, -math.inf), (1e300, math.inf)):
        found = _difference([a, 0.0], [b, 0.0], atol=1e30)
        assert (found.beyond, found.max_abs, found.rms_rel) == (1, math.inf, math.inf)
        assert found.to_json()["max_abs"] == "Infinity"


@pytest.mark.parametrize(
    ("wrong", "value", "agreement", "verdict"),
    [
        (0, 1.0, 1, "ok"),
        (2, 1.0, 1, "differs"),
        (2, 1.0, 0.98, "ok"),
        (10, 1.0, 1, "differs"),
        (11, 1.0, 1, "BROKEN"),
        (1, math.nan, 1, "BROKEN"),
        (1, math.inf, 1, "BROKEN"),
    ],
)
def test_verdicts(wrong: int, value: float, agreement: float, verdict: str) -> None:
    """An output that mostly agrees differs; one that hardly does, or that gains a NaN or infinity, is broken."""
    second = np.zeros(100)
    second[:wrong] = value
    assert _difference(np.zeros(100), second, agreement=agreement).verdict == verdict
    assert _difference(np.zeros((2, 3)), np.zeros((3, 2))).verdict == "BROKEN"


def test_shapes_and_kinds() -> None:
    """Outputs of another shape, or whole numbers against others, break without being compared."""
    found = _difference(np.zeros((2, 3)), np.zeros((3, 2)))
    assert not found.passed
    assert found.complaint == "shape [2, 3] vs. [3, 2] in case"
    found = _difference(np.zeros(2), np.zeros(2, np.int64))
    assert "float64 vs. int64" in found.complaint
    assert not found.passed
    assert _difference(np.zeros((0, 3)), np.zeros((0, 3))).passed


@pytest.mark.parametrize(
    ("a", "b", "beyond"),
    [
        (np.array([2**62 + 1]), np.array([2**62]), 1),
        (np.array([True, False]), np.array([True, True]), 1),
        (np.array([1, 2], np.uint8), np.array([1, 2], np.uint8), 0),
        (np.array([1 + 1j]), np.array([1 + 2j]), 1),
        (np.array([1.0, 2.0], ml_dtypes.bfloat16), np.array([1.0, 2.0], ml_dtypes.bfloat16), 0),
        (np.array([1.0], np.float16), np.array([1.5], np.float32), 1),
    ],
)
def test_every_kind_of_number(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], beyond: int) -> None:
    """Whole numbers compare exactly however large; complex numbers, truth values and small floats compare too."""
    tolerance = Tolerances().of("y", a.dtype, b.dtype)
    assert _difference(a, b, atol=tolerance.atol, rtol=tolerance.rtol).beyond == beyond


def test_tolerances() -> None:
    """A value by name comes before one for all, and that before what suits the dtype."""
    f32, f16, i64 = (np.dtype(kind) for kind in (np.float32, np.float16, np.int64))
    assert Tolerances().of("y", f32, f32) == Tolerance(1e-4, 1e-3)
    assert Tolerances().of("y", f32, f16) == Tolerance(4 * 2**-10, 4 * 2**-10)
    assert Tolerances().of("y", i64, i64) == Tolerance(0, 0)
    assert Tolerances(atol=0.5).of("y", i64, i64) == Tolerance(0.5, 0)
    mixed = Tolerances(atol={"y": 1, "": 2}, agreement={"y": 0.5})
    assert [mixed.of(name, f32) for name in "yz"] == [Tolerance(1, 1e-3, 0.5), Tolerance(2, 1e-3)]
    with pytest.raises(OutputNameError, match=r"no output 'yy'\. Did you mean 'y'"):
        Tolerances(rtol={"yy": 1}).check_names(("y", "z"))


@pytest.mark.parametrize(("atol", "rtol", "agreement"), [(-1, 0, 1), (0, math.nan, 1), (math.inf, 0, 1), (0, 0, 1.5)])
def test_tolerances_that_are_none(atol: float, rtol: float, agreement: float) -> None:
    """A tolerance below zero or without end, and a share above 1, are refused."""
    with pytest.raises(InputError):
        Tolerance(atol, rtol, agreement)


def test_agreement() -> None:
    """A share below 1 lets that many elements be off."""
    a, b = np.zeros(10), np.zeros(10)
    b[3] = 1
    assert not _difference(a, b).passed
    assert _difference(a, b, agreement=0.9).passed
    assert _difference(a, b, agreement=0.9).agreement == 0.9
