"""Parity: what is let pass, and what is found."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from onepass import ParityError
from onepass.outputs import Array
from onepass.source._parity import OutputError, parity
from onepass.source._reference import Case
from onepass.source.finish import Finished
from onepass.source.finish._batch import Batches
from tests.source.networks import graph_of


def _checked(expected: Array, found: Array) -> OutputError:
    """Hold an output that is `found` against one that should be `expected`."""
    kind = helper.np_dtype_to_tensor_dtype(found.dtype)
    node = helper.make_node(
        "Constant", [], ["c"], value=helper.make_tensor("c", kind, found.shape, found.tobytes(), raw=True)
    )
    join = helper.make_node("Identity", ["c"], ["y"])
    graph = graph_of([node, join, helper.make_node("Relu", ["x"], ["z"])], {"x": [1]}, {"y": [1], "z": [1]})
    graph.proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", kind, found.shape))
    batches = Batches(1, "N", {}, {})
    case = Case("random 0", {"x": np.ones(1, np.float32)}, {"y": expected, "z": np.ones(1, np.float32)})
    finished = Finished(graph, {"y": "y", "z": "z"}, frozenset(), batches, None)
    return parity(finished, [case])[0]


@given(place=st.integers(0, 11), scale=st.sampled_from([1e-2, 1.0, 1e4]), sign=st.sampled_from([-1, 1]))
def test_one_element_that_is_off(place: int, scale: float, sign: int) -> None:
    """Whatever an output's scale, half a percent of it is found, wherever; a millionth passes."""
    expected = (np.linspace(-1, 1, 12) * scale).astype(np.float32)
    close, off = expected.copy(), expected.copy()
    close[place] += sign * 1e-6 * scale
    off[place] += sign * 5e-3 * scale
    assert _checked(expected, close).relative < 1e-5
    with pytest.raises(ParityError, match=rf"output 'y' differs by up to .* at \[{place}\] on random 0"):
        _checked(expected, off)


def test_what_only_the_model_has_no_number_for() -> None:
    """NaN in the model where the framework has a number is found; where the framework has none it is not asked for."""
    whole = np.ones(3, np.float32)
    broken = np.array([1, np.nan, 1], np.float32)
    with pytest.raises(ParityError, match=r"ONNX Runtime nan, at \[1\]"):
        _checked(whole, broken)
    assert _checked(broken, whole).max_abs == 0


@pytest.mark.parametrize(
    ("dtype", "differ", "by", "passes"),
    [
        (np.uint8, 200, 1, True),
        (np.uint8, 1, 2, False),
        (np.int8, 200, 1, True),
        (np.int64, 2, 50, True),
        (np.int64, 3, 1, False),
        (np.bool_, 2, 1, True),
        (np.bool_, 3, 1, False),
        (np.float16, 200, 2e-3, True),
        (np.float16, 1, 2e-2, False),
    ],
)
def test_dtypes(dtype: Any, differ: int, by: float, passes: bool) -> None:
    """Bytes may be off by one, one whole number in a hundred by anything, float16 by a few of its steps."""
    expected = np.full(200, np.dtype(dtype).kind == "f", dtype)
    found = expected.copy()
    found[:differ] += np.asarray(by, dtype)
    if passes:
        assert _checked(expected, found).max_abs > 0
    else:
        with pytest.raises(ParityError, match="output 'y' differs by"):
            _checked(expected, found)


def test_another_dtype_or_shape() -> None:
    """The same numbers in another dtype or shape are not the same output."""
    ones = np.ones((2, 3), np.float32)
    with pytest.raises(ParityError, match=r"output 'y' is int64 \[2, 3\], but in the framework float32 \[2, 3\]"):
        _checked(ones, ones.astype(np.int64))
    with pytest.raises(ParityError, match=r"output 'y' is float32 \[3, 2\], but in the framework float32 \[2, 3\]"):
        _checked(ones, ones.reshape(3, 2))


def test_nothing_in_it() -> None:
    """An output without elements is as it should be."""
    assert str(_checked(np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32))) == "y: exact"


def test_what_to_do_about_it() -> None:
    """The message names the argument and the function that help, and no option of the command line."""
    with pytest.raises(ParityError) as caught:
        _checked(np.ones(3, np.float32), np.zeros(3, np.float32))
    assert "onepass.compare.bisect finds it" in str(caught.value)
    assert str(caught.value).endswith("Nothing was written; verify=False writes the model anyway")
    assert "--" not in str(caught.value)
