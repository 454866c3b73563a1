"""What the framework computes, to hold the ONNX model against."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import pytest

from onepass import ConversionError, Signature, TensorSpec
from onepass.outputs import Array
from onepass.source._reference import reference_cases
from onepass.source._samples import samples_of

FLOAT, INT = np.dtype(np.float32), np.dtype(np.int64)


class Network:
    """A network in a framework of the test's own, which is one function."""

    framework, version = "Pretence", "1.0"

    def __init__(self, function: Callable[[Mapping[str, Array]], Array], *, examples: Mapping[str, Array]) -> None:
        self.function, self.examples = function, examples
        self.signature = Signature(
            tuple(TensorSpec(name, array.dtype, array.shape) for name, array in examples.items()),
            (TensorSpec("y", FLOAT, None),),
        )

    def export(self, opset: int) -> onnx.ModelProto:
        """Return nothing of interest."""
        return onnx.ModelProto()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Apply the function."""
        return {"y": np.asarray(self.function(inputs), np.float32)}


def _names(network: Network) -> list[str]:
    return [case.name for case in reference_cases(network, samples_of(network))]


X = {"x": np.linspace(-1, 1, 6, dtype=np.float32)}


def test_the_example_comes_first() -> None:
    """What the source brings along is compared, and so are random and extreme inputs."""
    names = _names(Network(lambda f: f["x"] * 2, examples=X))
    assert names == ["the example", "random 0", "random 1", "zeros", "ones", "minus ones", "tiny", "large"]


def test_extreme_inputs_where_the_network_jumps() -> None:
    """The place of the greatest of equal numbers is nothing to be compared; that of different ones is."""
    names = _names(Network(lambda f: np.argsort(f["x"], kind="stable"), examples=X))
    assert names == ["the example", "random 0", "random 1", "tiny", "large"]


def test_extreme_inputs_that_the_network_does_not_take() -> None:
    """A network need not run on zeros."""

    def picky(feeds: Mapping[str, Array]) -> Array:
        if not feeds["x"].any():
            raise ZeroDivisionError("all zeros")
        return feeds["x"]

    assert "zeros" not in _names(Network(picky, examples=X))


def test_ordinary_inputs_that_the_network_does_not_take() -> None:
    """A network that fails on ordinary inputs is told about, with what the framework said."""

    def broken(feeds: Mapping[str, Array]) -> Array:
        raise ZeroDivisionError("no weights")

    with pytest.raises(ConversionError, match="cannot run the network on the example: ZeroDivisionError: no weights"):
        _names(Network(broken, examples=X))


def test_whole_numbers_keep_to_the_example() -> None:
    """Whole numbers and masks belong together, item by item: every case has items of the example."""
    examples = {
        "place": np.array([[4, 7], [9, 0]]),
        "mask": np.array([[True, True], [True, False]]),
        "count": np.array(3),
    }
    pairs = {((4, 7), (True, True)), ((9, 0), (True, False))}
    seen = []

    def look_up(feeds: Mapping[str, Array]) -> Array:
        seen.append(int(feeds["count"]))
        assert set(zip(*(map(tuple, feeds[name].tolist()) for name in ("place", "mask")), strict=True)) <= pairs
        return feeds["x"]

    assert len(_names(Network(look_up, examples=examples | X))) == 8
    assert set(seen) == {3}
