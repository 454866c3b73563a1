"""The three heads of the zoo, with inputs and what they must compute; most tests of engines need no more."""

from typing import Any

import numpy as np

from tests.zoo import BY_NAME

THREE = BY_NAME["three heads"]


def x_of(rows: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Return an input of so many rows, by a seed."""
    return np.random.default_rng(seed).standard_normal((rows, 4)).astype(np.float32)


def expected_of(rows: int, seed: int = 0) -> Any:
    """Return the outputs for `x_of` the same."""
    return THREE.reference({"x": x_of(rows, seed)})
