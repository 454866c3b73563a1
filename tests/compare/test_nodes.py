"""What is said of two nodes whose weights differ: nothing, if the coarser type cannot hold more."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from onepass import OnnxGraph
from onepass.compare._nodes import node_differences, weight_difference
from onepass.graph.arrays import tensor_of
from tests.zoo import model

_COARSE = (
    np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2,
    ml_dtypes.float8_e5m2fnuz,
)  # fmt: skip
coarse = pytest.mark.parametrize("kind", _COARSE, ids=lambda kind: np.dtype(kind).name)


def _values() -> np.ndarray[Any, Any]:
    """Numbers of every size down to nothing, as weights are."""
    rng = np.random.default_rng(0)
    return (rng.standard_normal(500) * 10.0 ** rng.uniform(-9, 0, 500)).astype(np.float32)


def _with_weight(weight: np.ndarray[Any, Any]) -> OnnxGraph:
    graph = model("(float[N] x, float[500] w) => (float[500] y) { y = Mul (x, w) }")
    del graph.proto.graph.input[1]
    graph.proto.graph.initializer.append(tensor_of(weight, "w"))
    return graph


@coarse
def test_rounding_is_no_difference(kind: Any) -> None:
    """Weights that were rounded to a coarser type differ by no more than it cannot hold, whatever the type."""
    first, second = _with_weight(_values()), _with_weight(_values().astype(kind))
    nodes = first.proto.graph.node[0], second.proto.graph.node[0]
    assert node_differences(first, second, *nodes) == ()
    assert node_differences(second, first, *reversed(nodes)) == ()


@coarse
def test_a_change_is_told(kind: Any) -> None:
    """A weight that is off by more than rounding is told, by how much."""
    values = _values()
    values[7] = 1.0
    changed = values.astype(kind)
    changed[7] = 2.0
    assert weight_difference(values, changed) == "off by up to 1"


@coarse
def test_what_is_lost_is_told(kind: Any) -> None:
    """A weight beyond the coarser type's range is told with its size."""
    values = np.array([1.0, 3e38], np.float32) * np.float32(1.1)
    with np.errstate(over="ignore"):
        rounded = values.astype(kind)
    rounded[1] = np.nan
    assert weight_difference(values, rounded).startswith(f"1 of 2 elements are not finite in {np.dtype(kind).name}")


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.bool_, ml_dtypes.int4, ml_dtypes.uint4])
def test_whole_numbers_are_exact(kind: Any) -> None:
    """Whole numbers and truth values have no rounding to excuse a difference."""
    values = np.array([0, 1, 1, 0], kind)
    other = values.copy()
    other[2] = 0
    assert weight_difference(values, values.copy()) == ""
    assert weight_difference(values, other) == "off by up to 1"


def test_infinities_and_texts() -> None:
    """What both have is no difference, infinities and texts included."""
    values = np.array([np.inf, -np.inf, 1.0], np.float32)
    assert weight_difference(values, values.astype(np.float16)) == ""
    texts = np.array(["a", "b"], object)
    assert weight_difference(texts, texts.copy()) == ""
    assert weight_difference(texts, texts[::-1]) == "different strings"
    assert weight_difference(values, values[:2]) == "shape [3] vs. [2]"
