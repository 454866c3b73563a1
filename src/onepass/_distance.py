"""Elementwise distance of two arrays, and the resolution of dtypes."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from onepass.outputs import Array
from onepass.tensors import STRING


def widened(array: Array) -> Array:
    """Return an array as float64, or complex128 if it is complex, so that differences are exact for narrower dtypes.

    Strings become zeros.
    """
    if array.dtype == STRING:
        return np.zeros(array.shape)
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def widened_pair(first: Array, second: Array) -> tuple[Array, Array]:
    """Widen two arrays of equal shape; for strings, return zeros, and 1 where the strings differ."""
    if STRING in (first.dtype, second.dtype):
        return np.zeros(first.shape), np.asarray(first != second, np.float64)
    return widened(first), widened(second)


def distances(first: Array, second: Array) -> Array:
    """Return ``|first - second|`` of two widened arrays of equal shape; infinite where either is not finite."""
    with np.errstate(all="ignore"):  # overflow gives infinity, as intended
        apart: Array = np.asarray(np.abs(first - second))
    apart[~(np.isfinite(first) & np.isfinite(second))] = np.inf
    return apart


def place_of_greatest(values: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index of the (first) greatest value, for an array of the given shape."""
    return tuple(int(each) for each in np.unravel_index(int(values.argmax()), shape))


def is_exact(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype holds integers, booleans or strings; ml_dtypes' small integers have no integer kind."""
    return dtype == STRING or dtype.kind in "iub" or dtype.name.removeprefix("u").startswith("int")


def step(dtype: np.dtype[Any]) -> float:
    """Return the distance from 1 to the next number of a dtype (machine epsilon), 0 for exact dtypes."""
    # NumPy's finfo does not support bfloat16 and float8.
    return 0.0 if is_exact(dtype) else float(ml_dtypes.finfo(dtype).eps)  # type: ignore[no-untyped-call]


def least_normal(dtype: np.dtype[Any]) -> float:
    """Return the smallest positive normal number of a dtype, 0 for exact dtypes."""
    return 0.0 if is_exact(dtype) else float(ml_dtypes.finfo(dtype).smallest_normal)  # type: ignore[no-untyped-call]
