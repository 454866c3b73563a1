"""Whether a model computes each row of a batch independently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from onepass._independence import dependent_output

_Array = np.ndarray[Any, np.dtype[Any]]
_Call = Callable[[Mapping[str, _Array]], Mapping[str, _Array]]


def _rows(width: int = 8, dtype: str = "float32") -> list[dict[str, _Array]]:
    return [{"x": np.random.default_rng(seed).normal(0, 9, (1, width)).astype(dtype)} for seed in (0, 1)]


def _y(function: Callable[[_Array], Any]) -> _Call:
    return lambda feeds: {"fine": feeds["x"], "y": np.asarray(function(feeds["x"]))}


_DEPENDENT: dict[str, _Call] = {
    "a softmax over the batch": _y(lambda x: np.exp(x) / np.exp(x).sum(0)),
    "a running sum, whose first row is right": _y(lambda x: x.cumsum(0)),
    "a division by the number of rows": _y(lambda x: x / len(x)),
    "2 % of the neighbour": _y(lambda x: x + 0.02 * x[::-1]),
    "one integer": _y(lambda x: x.astype(np.int64) + np.arange(len(x))[:, None]),
    "strings in another order": _y(lambda x: x.astype(str).astype(object)[::-1]),
    "half of all values": _y(lambda x: np.where(x > 0, x, x + 5 * (len(x) > 1))),
    "NaN, alone and joined": _y(lambda x: np.full(x.shape, np.nan)),
    "an infinity, alone and joined": _y(lambda x: np.where(x == x.max(1, keepdims=True), np.inf, x)),
    "a scalar": _y(np.max),
    "rows of pairs": _y(lambda x: np.concatenate([x, x])),
    "one row for all": _y(lambda x: x[:1]),
    "other columns": _y(lambda x: x[:, : len(x)]),
}


@pytest.mark.parametrize("case", _DEPENDENT)
def test_outputs_with_dependent_rows_are_named(case: str) -> None:
    """The output whose rows depend on other rows, or cannot be split into rows, is named; others are not."""
    assert dependent_output(_DEPENDENT[case], _rows()) == "y"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "int8", "bool"])
def test_independent_rows_may_be_joined(dtype: str) -> None:
    """Rows computed independently may be joined, whatever their dtype; so may all-zero and empty outputs."""
    assert dependent_output(_y(lambda x: ~x if x.dtype == bool else -x), _rows(dtype=dtype)) is None
    assert dependent_output(_y(lambda x: x * 0), _rows(dtype=dtype)) is None
    assert dependent_output(_y(lambda x: x[:, :0]), _rows(dtype=dtype)) is None


def test_rounding_of_deep_networks_in_float16_is_no_dependency() -> None:
    """A network of 50 float16 layers may be joined although its kernels for one and for two rows round differently."""
    width = 256
    rng = np.random.default_rng(7)
    layers = [rng.normal(0, np.sqrt(2 / width), (width, width)).astype(np.float16) for _ in range(50)]
    order = rng.permutation(width)

    def network(x: _Array) -> _Array:
        for weights in layers:  # products summed in float32, in an order that depends on the number of rows
            summed = order if len(x) > 1 else np.arange(width)
            x = np.maximum(x[:, summed].astype(np.float32) @ weights[summed].astype(np.float32), 0).astype(np.float16)
        return x

    rows = _rows(width, "float16")
    both = network(np.concatenate([row["x"] for row in rows]))
    assert not np.array_equal(both, np.concatenate([network(row["x"]) for row in rows]))
    assert dependent_output(_y(network), rows) is None
