"""Differences between two arrays of the same output, accumulated over any number of cases in constant memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onepass._distance import distances, is_exact, place_of_greatest, widened_pair
from onepass.compare._tolerance import Tolerance
from onepass.outputs import Array
from onepass.tensors import STRING, dtype_name, shape_text

_FIRST_DECADE, _LAST_DECADE = -12, 9
_FINE, _COARSE = 40, 4  # bins per decade: for percentiles, and for the chart
_DECADES = _LAST_DECADE - _FIRST_DECADE
_MOSTLY = 0.9  # from this agreement on, an output out of tolerance is imprecise rather than wrong


@dataclass(frozen=True, slots=True)
class Worst:
    """The element furthest out of tolerance, or closest to its tolerance if all are within.

    Attributes:
        case: Name of the case.
        index: Position in the output.
        values: The values of the first and the second model.
    """

    case: str
    index: tuple[int, ...]
    values: tuple[complex | str, complex | str]

    def __str__(self) -> str:
        first, second = (_plain(value) for value in self.values)
        return f"{first} vs. {second} at {list(self.index)} in {self.case}"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Histogram of absolute errors; bins are evenly spaced on a logarithmic scale.

    Attributes:
        edges: Bin edges, ascending, one more than bins. The first bin also counts nonzero errors below the first edge,
            the last bin errors above the last edge.
        within: Elements in each bin that are within tolerance.
        beyond: Elements in each bin that are out of tolerance.
        identical: Elements with no error.
    """

    edges: tuple[float, ...]
    within: tuple[int, ...]
    beyond: tuple[int, ...]
    identical: int


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """One output in two models, over all cases. Errors are absolute unless stated otherwise.

    Attributes:
        name: Name of the output in the first model.
        other: Its name in the second.
        dtypes: dtype in each model.
        shapes: Shape in each model, in the first case, or in the first case where the shapes differ.
        tolerance: The tolerance applied.
        count: Number of elements compared.
        beyond: Number of elements out of tolerance; a NaN or infinity in only one model always counts.
        max_abs: Largest error; infinite where only one model has a NaN or infinity.
        mean_abs: Mean error of the elements that are finite in both models.
        max_rel: Largest error relative to the element of the first model, where that element is not zero.
        mean_rel: Mean relative error.
        rms_rel: Norm of all errors over the norm of the first model's output: 0 for equal outputs, about 1 for
            unrelated ones. Infinite if only one model has a NaN or infinity.
        cosine: Cosine similarity of the two outputs as vectors; None where one is all zeros, or nothing is finite.
        percentiles: Error that 50, 90, 99 and 99.9 % of the elements do not exceed, at most 6 % too large.
        nans: Number of NaNs in each model.
        infs: Number of infinities in each model.
        worst: The worst element; None without elements.
        histogram: Histogram of the errors.
        complaint: Why the two outputs cannot be compared element by element; empty if they can.
    """

    name: str
    other: str
    dtypes: tuple[str, str]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    tolerance: Tolerance
    count: int
    beyond: int
    max_abs: float
    mean_abs: float
    max_rel: float
    mean_rel: float
    rms_rel: float
    cosine: float | None
    percentiles: dict[float, float] = field(repr=False)
    nans: tuple[int, int]
    infs: tuple[int, int]
    worst: Worst | None = field(repr=False)
    histogram: Histogram = field(repr=False)
    complaint: str = ""

    @property
    def agreement(self) -> float:
        """Fraction of elements within tolerance, 0 to 1."""
        return 1 - self.beyond / self.count if self.count else 1.0

    @property
    def passed(self) -> bool:
        """Whether the two outputs agree within the tolerance."""
        return not self.complaint and self.agreement >= self.tolerance.agreement

    @property
    def verdict(self) -> str:
        """The result in one word: ``ok``, ``differs`` if at least 90 % of the elements agree, or ``BROKEN``."""
        if self.passed:
            return "ok"
        comparable = not self.complaint and math.isfinite(self.max_abs)
        return "differs" if comparable and self.agreement >= _MOSTLY else "BROKEN"

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values; numbers that are not finite become NumPy's text for them."""
        return {
            "name": self.name,
            "other_name": self.other,
            "passed": self.passed,
            "complaint": self.complaint,
            "dtypes": list(self.dtypes),
            "shapes": [list(shape) for shape in self.shapes],
            "atol": self.tolerance.atol,
            "rtol": self.tolerance.rtol,
            "agreement_asked": self.tolerance.agreement,
            "agreement": self.agreement,
            "count": self.count,
            "beyond_tolerance": self.beyond,
            "max_abs": json_number(self.max_abs),
            "mean_abs": json_number(self.mean_abs),
            "max_rel": json_number(self.max_rel),
            "mean_rel": json_number(self.mean_rel),
            "rms_rel": json_number(self.rms_rel),
            "cosine": self.cosine,
            "percentiles_abs": {f"{share:g}": json_number(value) for share, value in self.percentiles.items()},
            "nans": list(self.nans),
            "infs": list(self.infs),
            "worst": None if self.worst is None else {
                "case": self.worst.case, "index": list(self.worst.index),
                "values": [_plain(value) for value in self.worst.values],
            },
        }  # fmt: skip


class Meter:
    """Accumulates the difference of one output, case by case."""

    def __init__(self, name: str, other: str, dtypes: tuple[np.dtype[Any], np.dtype[Any]], tolerance: Tolerance):
        self._name, self._other, self._dtypes, self._tolerance = name, other, dtypes, tolerance
        self._shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self._complaint = ""
        first, second = map(is_exact, dtypes)
        if first != second:
            self._complaint = f"{dtypes[0]} vs. {dtypes[1]}: only one of them is an integer type"
        if (dtypes[0] == STRING) != (dtypes[1] == STRING):
            named = " vs. ".join(map(dtype_name, dtypes))
            self._complaint = f"{named}: only one of them holds strings"
        self._count = self._beyond = self._finite = self._nonzero = self._identical = 0
        self._max_abs = self._max_rel = self._sum_abs = self._sum_rel = 0.0
        self._squares = np.zeros(3)  # of the first, of the second, of their difference
        self._dot = 0.0
        self._odd = np.zeros((2, 2), np.int64)  # NaN, infinite; in the first, in the second
        self._bins = np.zeros((2, _DECADES * _FINE), np.int64)
        self._worst: Worst | None = None
        self._worst_excess = -math.inf

    def add(self, case: str, first: Array, second: Array) -> None:
        """Add the outputs of both models for one case."""
        if first.shape != second.shape:
            if not self._complaint:
                self._shapes = (first.shape, second.shape)
                self._complaint = f"shape {shape_text(first.shape)} vs. {shape_text(second.shape)} in {case}"
            return
        if self._shapes is None:
            self._shapes = (first.shape, second.shape)
        self._count += first.size
        if first.size:
            with np.errstate(all="ignore"):  # overflow of values that are out of bounds anyway
                self._measure(case, first.shape, first.reshape(-1), second.reshape(-1))

    def _measure(self, case: str, shape: tuple[int, ...], first: Array, second: Array) -> None:
        a, b = widened_pair(first, second)
        finite = np.isfinite(a) & np.isfinite(b)
        error = distances(a, b)
        same = (first == second) | (np.isnan(a) & np.isnan(b))
        error[same] = 0
        if first.dtype.kind in "iu" and second.dtype.kind in "iu":
            error[~same] = np.maximum(error[~same], 1)  # float64 does not represent large integers exactly
        excess = error - self._tolerance.rtol * np.where(finite, np.abs(a), 0)
        beyond = ~(excess <= self._tolerance.atol)
        self._identical += int(np.count_nonzero(error == 0))
        self._beyond += int(np.count_nonzero(beyond))
        self._max_abs = max(self._max_abs, float(error.max()))
        self._count_odd(a, b)
        self._sum_up(a[finite], b[finite], error[finite])
        self._count_bins(error, beyond)
        self._find_worst(case, shape, (first, second), excess)

    def _count_odd(self, a: Array, b: Array) -> None:
        for which, array in enumerate((a, b)):
            self._odd[:, which] += (np.count_nonzero(np.isnan(array)), np.count_nonzero(np.isinf(array)))

    def _sum_up(self, a: Array, b: Array, error: Array) -> None:
        self._finite += a.size
        self._sum_abs += float(error.sum())
        self._squares += [float(np.vdot(each, each).real) for each in (a, b, error)]
        self._dot += float(np.vdot(a, b).real)
        size = np.abs(a)
        relative = error[size > 0] / size[size > 0]
        self._nonzero += relative.size
        if relative.size:
            self._max_rel = max(self._max_rel, float(relative.max()))
            self._sum_rel += float(relative.sum())

    def _count_bins(self, error: Array, beyond: Array) -> None:
        for row, chosen in enumerate((~beyond, beyond)):
            place = (np.log10(error[chosen & (error > 0)]) - _FIRST_DECADE) * _FINE
            clipped = np.clip(place, 0, _DECADES * _FINE - 1).astype(np.int64)
            self._bins[row] += np.bincount(clipped, minlength=_DECADES * _FINE)

    def _find_worst(self, case: str, shape: tuple[int, ...], arrays: tuple[Array, Array], excess: Array) -> None:
        greatest = float(excess.max())
        if greatest > self._worst_excess:
            self._worst_excess = greatest
            index = place_of_greatest(excess, shape)
            first, second = (array.reshape(shape)[index] for array in arrays)
            self._worst = Worst(case, index, (_value(first), _value(second)))

    def result(self) -> OutputDifference:
        """Return the difference over all cases added so far."""
        unlike = bool(self._complaint) or math.isinf(self._max_abs)
        norms = np.sqrt(self._squares)
        return OutputDifference(
            name=self._name,
            other=self._other,
            dtypes=(dtype_name(self._dtypes[0]), dtype_name(self._dtypes[1])),
            shapes=self._shapes or ((), ()),
            tolerance=self._tolerance,
            count=self._count,
            beyond=self._beyond,
            max_abs=self._max_abs,
            mean_abs=self._sum_abs / max(self._finite, 1),
            max_rel=self._max_rel,
            mean_rel=self._sum_rel / max(self._nonzero, 1),
            rms_rel=math.inf if unlike else _ratio(float(norms[2]), float(norms[0])),
            cosine=self._dot / float(norms[0] * norms[1]) if norms[0] > 0 and norms[1] > 0 else None,
            percentiles=self._percentiles(),
            nans=(int(self._odd[0, 0]), int(self._odd[0, 1])),
            infs=(int(self._odd[1, 0]), int(self._odd[1, 1])),
            worst=self._worst,
            histogram=self._histogram(),
            complaint=self._complaint,
        )

    def _percentiles(self) -> dict[float, float]:
        counts = np.concatenate([[self._identical], self._bins.sum(axis=0)])
        uppers = np.concatenate([[0.0], _edges(_FINE)[1:]])
        reached = np.cumsum(counts)
        found = {}
        for share in (50, 90, 99, 99.9):
            place = int(np.searchsorted(reached, math.ceil(share / 100 * self._count)))
            # The last bin has no upper bound, and no percentile exceeds the largest error.
            last = place >= len(counts) - 1
            found[float(share)] = self._max_abs if last else min(float(uppers[place]), self._max_abs)
        return found

    def _histogram(self) -> Histogram:
        coarse = self._bins.reshape(2, _DECADES * _COARSE, _FINE // _COARSE).sum(axis=2)
        within, beyond = (tuple(int(n) for n in row) for row in coarse)
        return Histogram(tuple(float(edge) for edge in _edges(_COARSE)), within, beyond, self._identical)


def _edges(bins: int) -> Array:
    edges: Array = 10.0 ** (np.arange(_DECADES * bins + 1) / bins + _FIRST_DECADE)
    return edges


def _ratio(part: float, whole: float) -> float:
    if whole > 0:
        return part / whole
    return 0.0 if part == 0 else math.inf


def _value(value: Any) -> complex | str:
    return value if isinstance(value, str) else complex(value)


def _plain(value: complex | str) -> str:
    if isinstance(value, str):
        return repr(value)
    return f"{value.real:.6g}" if value.imag == 0 or math.isnan(value.imag) else f"{value:.6g}"


def json_number(value: float) -> float | str:
    """Return a JSON value: ``"Infinity"`` and ``"NaN"`` become strings, as in output files."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
