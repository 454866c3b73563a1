"""How far two arrays are apart, element by element, and how fine the numbers of a dtype are."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from onepass.outputs import Array
from onepass.tensors import STRING


def widened(array: Array) -> Array:
    """Return an array as float64, or complex128 if it is complex: so wide that differences of the others are exact.

    Strings are zeros.
    """
    if array.dtype == STRING:
        return np.zeros(array.shape)
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def widened_pair(first: Array, second: Array) -> tuple[Array, Array]:
    """Return two arrays of one shape widened; strings are 0 and, where the second has another one, 1."""
    if STRING in (first.dtype, second.dtype):
        return np.zeros(first.shape), np.asarray(first != second, np.float64)
    return widened(first), widened(second)


def distances(first: Array, second: Array) -> Array:
    """Return ``|first - second|`` of two widened arrays of one shape; infinite where either is not finite."""
    with np.errstate(all="ignore"):  # what overflows is infinite, which is what it shall be
        apart: Array = np.asarray(np.abs(first - second))
    apart[~(np.isfinite(first) & np.isfinite(second))] = np.inf
    return apart


def place_of_greatest(values: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return where the greatest of some values is, as a place in an array of `shape`; the first of equals."""
    return tuple(int(each) for each in np.unravel_index(int(values.argmax()), shape))


def is_exact(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype holds whole numbers, truth values or strings; those below eight bits have no own kind."""
    return dtype == STRING or dtype.kind in "iub" or dtype.name.removeprefix("u").startswith("int")


def step(dtype: np.dtype[Any]) -> float:
    """Return the distance from 1 to the next number of a dtype, 0 where numbers are exact."""
    # NumPy's own finfo does not know bfloat16 and float8, whatever kind they say they are.
    return 0.0 if is_exact(dtype) else float(ml_dtypes.finfo(dtype).eps)  # type: ignore[no-untyped-call]


def least_normal(dtype: np.dtype[Any]) -> float:
    """Return the least positive number that a dtype holds with all its digits, 0 where numbers are exact."""
    return 0.0 if is_exact(dtype) else float(ml_dtypes.finfo(dtype).smallest_normal)  # type: ignore[no-untyped-call]
